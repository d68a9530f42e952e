"""Demo only: how the demo's HTTP servers run, as a process of their own or on a thread inside a test."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from types import TracebackType
from typing import Any

import uvicorn

Message = MutableMapping[str, Any]
AsgiApp = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]
"""As ASGI 3.0 defines an application; the message dicts are ASGI's own."""

_DRAIN_S = 2


def listen(port: int) -> socket.socket:
    """A listening TCP socket on 127.0.0.1; port 0 takes a free one.

    Raises:
        OSError: when the port is taken.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def _server(app: AsgiApp) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            ws="none",
            access_log=False,
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=_DRAIN_S,
        )
    )


def serve_in_foreground(app: AsgiApp, port: int, *, ready: str) -> None:
    """Serve on 127.0.0.1 until SIGINT or SIGTERM; prints ``ready`` once connections are accepted.

    Raises:
        SystemExit: with one line when the port is taken.
    """
    try:
        listener = listen(port)
    except OSError as error:
        raise SystemExit(f"port {port} of 127.0.0.1 cannot be used ({error.strerror}): choose another") from None
    print(ready, flush=True)
    with suppress(KeyboardInterrupt):
        _server(app).run(sockets=[listener])


class ThreadedServer:
    """An ASGI application on a thread and event loop of its own; stops and starts again on the same port.

    Between ``stop`` and ``start`` connections are refused, as when a real server is down.
    """

    def __init__(self, app: AsgiApp, port: int = 0) -> None:
        self._app = app
        self._listener: socket.socket | None = listen(port)
        self.port: int = self._listener.getsockname()[1]
        self._running: tuple[uvicorn.Server, threading.Thread] | None = None

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Begin to serve; connections are accepted at once.

        Raises:
            OSError: when somebody else took the port meanwhile.
        """
        listener = self._listener or listen(self.port)
        self._listener = None
        server = _server(self._app)
        thread = threading.Thread(target=_run, args=(server, listener), name=f"server-{self.port}", daemon=True)
        thread.start()
        self._running = (server, thread)

    def stop(self) -> None:
        """Close the listener and every connection; returns when they are closed. Does nothing when stopped."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._running is not None:
            server, thread = self._running
            server.should_exit = True
            thread.join(timeout=_DRAIN_S + 5)
            if thread.is_alive():
                raise RuntimeError(f"the server on port {self.port} does not stop")
            self._running = None

    def __enter__(self) -> ThreadedServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _run(server: uvicorn.Server, listener: socket.socket) -> None:
    asyncio.run(server.serve(sockets=[listener]))
