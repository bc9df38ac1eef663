"""Which requests are worked on at all, and that whoever is refused hears why."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Guarded:
    """Middleware: pages from elsewhere may not use the service behind its user's back.

    Browsers say which page asks; programs say nothing, and go on.

    Args:
        app: The service.
        paths: How the paths begin that are work; pages are for all.
        origins: Whose pages may ask as well, such as ``https://example.org``; ``*`` for any.
    """

    def __init__(self, app: ASGIApp, paths: tuple[str, ...], origins: Sequence[str] = ()) -> None:
        self.app, self.paths, self.origins = app, paths, origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = None
        if "content-length" in headers and "transfer-encoding" in headers:
            told = "Content-Length and Transfer-Encoding say how long the body is; send one of them"
            refusal = JSONResponse({"error": told}, 400, {"Connection": "close"})
        elif scope["path"].startswith(self.paths) and _foreign(headers, self.origins):
            page = headers.get("origin", "another site")
            told = f"asked by a page of {page}, not by this service's; --allow-origin lets it ask"
            refusal = JSONResponse({"error": told}, 403)
        await (refusal or self.app)(scope, receive, send)


def _foreign(headers: Headers, origins: Sequence[str]) -> bool:
    if "*" in origins:
        return False
    origin = headers.get("origin")
    if origin is None:  # of a site's subdomains and ports nothing is known but that they differ
        return headers.get("sec-fetch-site") in {"cross-site", "same-site"}
    scheme, _, name = origin.partition("://")
    usual = {"http": ":80", "https": ":443"}.get(scheme, "")
    own = headers.get("host", "").removesuffix(usual)
    return origin not in origins and (not name or name.lower() != own.lower())


class Drained:
    """Middleware: a body is read to its end before a refusal, or its sender would not hear it.

    Args:
        app: The service.
        most: Bytes that are read, and dropped.
        seconds: From the start of the request; then it is refused nevertheless.
    """

    def __init__(self, app: ASGIApp, *, most: int, seconds: float) -> None:
        self.app, self.most, self.seconds = app, most, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        end = asyncio.get_running_loop().time() + self.seconds
        got, over = 0, not {"content-length", "transfer-encoding"} & set(headers)

        async def reading() -> Message:
            nonlocal got, over
            message = await receive()
            got += len(message.get("body", b""))
            over = not message.get("more_body", False)
            return message

        async def answering(message: Message) -> None:
            if message["type"] == "http.response.start":
                asks_first = "expect" in headers and got == 0
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(end):
                        while not (over or asks_first) and got <= self.most:
                            await reading()
                if not over:  # what follows would be taken for the next request
                    MutableHeaders(scope=message)["connection"] = "close"
            await send(message)

        await self.app(scope, reading, answering)
