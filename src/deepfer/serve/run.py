"""Starting and stopping a service on this machine."""

import errno
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from deepfer.errors import InputError


class _HalfClosed(H11Protocol):
    """Answers a client that stops sending in the middle of a body and still listens."""

    def eof_received(self) -> bool:  # type: ignore[override]
        cycle = self.cycle
        if cycle is None or cycle.response_complete or not cycle.more_body:
            return False
        cycle.more_body, cycle.keep_alive = False, False
        cycle.message_event.set()
        return True


def run_app(
    app: ASGIApp,
    *,
    host: str,
    port: int,
    ready: Callable[[str], None],
    server: Callable[[uvicorn.Server], None] = lambda server: None,
) -> None:
    """Answer requests until interrupted.

    Args:
        app: The service.
        host: Address to listen at.
        port: Port; 0 for a free one.
        ready: Called with the address of the page, once it can be reached.
        server: Called with the server before it starts; setting its ``should_exit`` ends it.

    Raises:
        InputError: The address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            reason = "is taken; choose another --port" if taken else f"({error.strerror})"
            raise InputError(f"cannot listen at {host}, port {port}: {reason}") from None
        except OverflowError:
            raise InputError(f"port {port}: expected 0 to 65535") from None
        listener.listen(1024)
        # a wildcard is no address to go to
        near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
        shown = f"[{near}]" if family == socket.AF_INET6 else near
        config = uvicorn.Config(
            app, http=_HalfClosed, ws="none", log_level="warning", timeout_graceful_shutdown=3
        )
        service = uvicorn.Server(config)
        server(service)
        ready(f"http://{shown}:{listener.getsockname()[1]}/")
        service.run(sockets=[listener])
