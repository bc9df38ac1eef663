"""Starting and stopping a service on this machine."""

import errno
import logging
import math
import socket
from collections import OrderedDict
from collections.abc import Callable
from functools import partial

import uvicorn
from starlette.types import ASGIApp

from deepfer.errors import InputError
from deepfer.serve.connections import Connection, Seldom, open_files

_CONNECTIONS = 4096  # and a quarter of the files at most, for as many may be accepted at once


def run_app(
    app: ASGIApp,
    *,
    host: str,
    port: int,
    ready: Callable[[str], None],
    server: Callable[[uvicorn.Server], None] = lambda server: None,
    closing: float = 3.0,
    patience: float = 15.0,
    most: int = _CONNECTIONS,
) -> None:
    """Answer requests until interrupted.

    Args:
        app: The service.
        host: Address to listen at.
        port: Port; 0 for a free one.
        ready: Called with the address of the page, once it can be reached.
        server: Called with the server before it starts; setting its ``should_exit`` ends it.
        closing: Seconds for requests to end after an interrupt; a second one ends at once.
        patience: Seconds for a client to send a request's head, and to take some of its answer.
        most: Connections, as far as the limit of open files allows.

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
        room = open_files() // 4
        config = uvicorn.Config(
            app,
            http=partial(  # type: ignore[arg-type]
                Connection, waiting=OrderedDict(), most=min(most, room), patience=patience
            ),
            ws="none",
            log_level="warning",
            backlog=min(_CONNECTIONS, room),
            timeout_keep_alive=math.ceil(patience),
            timeout_graceful_shutdown=math.ceil(closing),
        )
        handlers = (*logging.getLogger("uvicorn").handlers, logging.lastResort)
        for handler in filter(None, handlers):  # the second is that of all other loggers
            handler.filters[:] = [Seldom()]
        service = uvicorn.Server(config)
        server(service)
        ready(f"http://{shown}:{listener.getsockname()[1]}/")
        service.run(sockets=[listener])
