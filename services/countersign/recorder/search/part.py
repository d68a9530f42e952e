"""Puts indexing, searching and following together, as the recorder runs them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import grpc

from countersign.api.recorder.v1 import search_pb2, search_pb2_grpc
from countersign.recorder.bodies import BodyKeeper
from countersign.recorder.door import Door
from countersign.recorder.search.following import Head
from countersign.recorder.search.index_store import PostgresIndexStore
from countersign.recorder.search.indexer import SearchIndexer
from countersign.recorder.search.server import SearchServer
from countersign.recorder.search.store import PostgresSearchStore


class SearchRoom:
    """Searching within a recorder, see ``Room``.

    ``is_encrypted`` says whether bodies are encrypted now, ``busy`` whether many events wait to be recorded.
    """

    def __init__(
        self,
        dsn: str,
        door: Door,
        *,
        keeper: BodyKeeper | None = None,
        is_encrypted: Callable[[], bool] = lambda: False,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        bodies = keeper or BodyKeeper()
        self._store = PostgresSearchStore(dsn, bodies)
        self._index_store = PostgresIndexStore(dsn, bodies)
        self._indexer = SearchIndexer(self._index_store, busy=busy)
        self._head = Head(self._store)
        self._server = SearchServer(self._store, self._head, door, is_encrypted=is_encrypted)

    def register(self, server: grpc.aio.Server) -> tuple[str, ...]:
        """See ``Room.register``."""
        search_pb2_grpc.add_SearchServiceServicer_to_server(self._server, server)
        return (search_pb2.DESCRIPTOR.services_by_name["SearchService"].full_name,)

    async def run(self) -> None:
        """See ``Room.run``."""
        await asyncio.gather(self._indexer.run(), self._head.run())

    def drain(self) -> None:
        """See ``Room.drain``."""
        self._head.drain()

    async def close(self) -> None:
        """See ``Room.close``."""
        await self._index_store.close()
        await self._store.close()
