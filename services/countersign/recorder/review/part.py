"""Puts summing up and signing together, as the recorder runs them."""

from __future__ import annotations

import grpc

from countersign.api.recorder.v1 import review_pb2, review_pb2_grpc
from countersign.recorder.bodies import BodyKeeper
from countersign.recorder.door import Door
from countersign.recorder.review.server import ReviewServer
from countersign.recorder.review.store import PostgresReviewStore
from countersign.runtime.moments import now_us


class ReviewRoom:
    """Access reviews within a recorder: ``register``, ``run`` in the background; ``drain``, ``close`` at the end."""

    def __init__(self, dsn: str, door: Door, bodies: BodyKeeper) -> None:
        self._store = PostgresReviewStore(dsn, bodies)
        self._server = ReviewServer(self._store, door, clock_us=now_us)

    def register(self, server: grpc.aio.Server) -> tuple[str, ...]:
        """Add the service to ``server``; return its full name."""
        review_pb2_grpc.add_ReviewServiceServicer_to_server(self._server, server)
        return (review_pb2.DESCRIPTOR.services_by_name["ReviewService"].full_name,)

    async def run(self) -> None:
        """Nothing: all is done when it is asked for."""

    def drain(self) -> None:
        """End what is summed up."""
        self._server.drain()

    async def close(self) -> None:
        """Let go of the database; call it when ``run`` has ended."""
        await self._store.close()
