"""Serving HTTP within a process: a uvicorn with the bounds that every part of the house needs."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

_BACKLOG = 128
_DRAIN_S = 3
_AT_ONCE = 200
_HEAD_BYTES = 32 * 1024

KEEP_ALIVE_S = 30
"""Longer than Envoy keeps a connection that idles: it must not send on one that ends just then."""


class WebServer(uvicorn.Server):
    """Serves ``app`` on ``listener`` (see ``runtime.listening``), beside others in its process: it takes no signals.

    It takes no connections before ``listen``, ``at_once`` at a time, keeps one that is unused for half a minute, and
    ends what is under way within three seconds. With ``tls`` it speaks HTTPS alone.
    """

    def __init__(
        self, app: ASGIApp, listener: socket.socket, *, at_once: int = _AT_ONCE, tls: ssl.SSLContext | None = None
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                log_level="warning",
                server_header=False,
                proxy_headers=False,
                limit_concurrency=at_once,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=_DRAIN_S,
                h11_max_incomplete_event_size=_HEAD_BYTES,
            )
        )
        if tls is not None:
            # A context of ours, and no files: uvicorn would read them once.
            self.config.load()
            self.config.ssl = tls
        self._listener = listener

    @property
    def serving(self) -> bool:
        """Whether it takes requests."""
        return self.started and not self.should_exit

    async def listen(self) -> None:
        """Serve until it was told to ``end``."""
        self._listener.listen(_BACKLOG)
        await self.serve([self._listener])

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Take no signals."""
        yield

    def end(self) -> None:
        """Have it end once what is under way is done, or after some seconds."""
        self.should_exit = True
