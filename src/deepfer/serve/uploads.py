"""The images of a request, read into memory within the limits and never onto a disk."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from deepfer.serve.batching import BusyError
from deepfer.serve.limits import Limits

# whoever sends a malformed form hears it; the log need not
logging.getLogger("python_multipart").addHandler(logging.NullHandler())

_SLICE = 65_536  # bytes of a form that are parsed before others get a turn


class Uploads:
    """Reads the images of requests.

    Args:
        limits: What one request, and all together, may hold.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._held = 0

    @asynccontextmanager
    async def images(self, request: Request) -> AsyncIterator[list[tuple[str, bytes]]]:
        """Give the name and bytes of every image in the multipart field ``file``.

        Raises:
            HTTPException: 400 malformed, 408 too slow, 413 too large, 415 no multipart form.
            BusyError: The bodies of all clients together are too much.
        """
        kind = request.headers.get("content-type", "").partition(";")[0]
        if kind.strip().lower() != "multipart/form-data":
            raise HTTPException(415, "send images as multipart/form-data, in the field 'file'")
        body, parsed = bytearray(), 0
        try:
            await self._read(request, body)
            images = await self._parsed(request, body)
            parsed = len(body)
            body.clear()  # the images are copies
            yield images
        finally:
            self._held -= len(body) + parsed

    async def _read(self, request: Request, body: bytearray) -> None:
        limits = self.limits
        too_large = HTTPException(413, f"more than {limits.max_bytes:,} bytes; send less at once")
        if int(request.headers.get("content-length", "0")) > limits.max_bytes:
            raise too_large
        try:
            async with asyncio.timeout(limits.seconds):
                async for chunk in request.stream():
                    if len(body) + len(chunk) > limits.max_bytes:
                        raise too_large
                    if self._held + len(chunk) > limits.held:
                        raise BusyError
                    self._held += len(chunk)
                    body += chunk
        except TimeoutError:
            raise HTTPException(408, f"the body took more than {limits.seconds:g} s") from None
        except ClientDisconnect:
            raise HTTPException(400, "the connection ended before the body did") from None

    async def _parsed(self, request: Request, body: bytearray) -> list[tuple[str, bytes]]:
        parser = _Parser(
            request.headers,
            _in_slices(body),
            max_files=self.limits.max_images,
            max_fields=self.limits.max_images,
        )
        parser.spool_max_size = self.limits.max_bytes + 1  # in memory, whatever the size
        try:
            form = await parser.parse()
        except (MultiPartException, KeyError, ValueError, LookupError) as error:
            reason = getattr(error, "message", None) or str(error)
            raise HTTPException(400, f"the form cannot be read ({reason!r})") from None
        try:
            if not parser.ended:
                raise HTTPException(400, "the body ends before its form does; send it again")
            images = [
                (_plain_name(part.filename or "-"), await part.read())
                for part in form.getlist("file")
                if isinstance(part, UploadFile)
            ]
        finally:
            await form.close()
        if not images:
            raise HTTPException(400, "no image found; send at least one file in the field 'file'")
        return images


class _Parser(MultiPartParser):
    ended = False

    def on_end(self) -> None:
        self.ended = True
        super().on_end()


async def _in_slices(body: bytearray) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(body), _SLICE):
        yield bytes(body[start : start + _SLICE])
        await asyncio.sleep(0)


def _plain_name(name: str) -> str:
    if any(c in name for c in "/\\") or name in {".", ".."} or not name.isprintable():
        raise HTTPException(400, f"file name {name!a} holds a path or what cannot be printed")
    return name
