"""What every room beside the appending itself offers to the recorder."""

from __future__ import annotations

from typing import Protocol

import grpc


class Room(Protocol):
    """A part of the recorder: ``register``, ``run`` in the background; ``drain``, ``close`` at the end."""

    def register(self, server: grpc.aio.Server) -> tuple[str, ...]:
        """Add its services to ``server``; return their full names."""

    async def run(self) -> None:
        """Do what there is to do until cancelled; nothing that fails may end it, or stop the record."""

    def drain(self) -> None:
        """Let its streams end by themselves."""

    async def close(self) -> None:
        """Let go of the database; called when ``run`` has ended."""
