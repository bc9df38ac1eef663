"""The images of a request, read into memory within the limits and never onto a disk."""

import asyncio
from collections.abc import AsyncGenerator

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from deepfer.serve.limits import Limits

_DRAIN = 8  # a client that sends too much hears so only if it is let finish, up to so many times


async def read_images(request: Request, limits: Limits) -> list[tuple[str, bytes]]:
    """Return the name and bytes of every image in the multipart field ``file``.

    Raises:
        HTTPException: 400 malformed, 408 too slow, 413 too large, 415 no multipart form.
    """
    kind = request.headers.get("content-type", "")
    if not kind.lower().startswith("multipart/form-data"):
        raise HTTPException(415, "send images as multipart/form-data, in the field 'file'")
    body = await _body(request, limits)
    if not body.rstrip().endswith(b"--"):
        raise HTTPException(400, "the body ends before its form does; send it again")
    parser = MultiPartParser(
        request.headers, _once(body), max_files=limits.max_images, max_fields=limits.max_images
    )
    parser.spool_max_size = limits.max_bytes + 1  # in memory, whatever the size
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError) as error:
        reason = getattr(error, "message", None) or str(error)
        raise HTTPException(400, f"the form cannot be read ({reason})") from None
    try:
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


async def _body(request: Request, limits: Limits) -> bytes:
    too_large = HTTPException(413, f"more than {limits.max_bytes:,} bytes; send less at once")
    declared = request.headers.get("content-length", "0")
    if int(declared) > limits.max_bytes and "expect" in request.headers:
        raise too_large  # the client asked before it sends
    body = bytearray()
    total = 0
    try:
        async with asyncio.timeout(limits.seconds):
            async for chunk in request.stream():
                total += len(chunk)
                if total > _DRAIN * limits.max_bytes:
                    raise too_large
                if total <= limits.max_bytes:
                    body += chunk
    except TimeoutError:
        raise HTTPException(408, f"the body took more than {limits.seconds:g} s") from None
    except ClientDisconnect:
        raise HTTPException(400, "the connection ended before the body did") from None
    if total > limits.max_bytes:
        raise too_large
    return bytes(body)


async def _once(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body


def _plain_name(name: str) -> str:
    if any(c in name for c in "/\\\0") or name in {"", ".", ".."}:
        raise HTTPException(400, f"file name {name!r} holds a path; send the bare name")
    return name
