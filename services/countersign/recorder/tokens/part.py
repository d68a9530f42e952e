"""Puts keeping and sweeping together, as the recorder runs them."""

from __future__ import annotations

import grpc

from countersign.api.access.v1 import tokens_pb2, tokens_pb2_grpc
from countersign.recorder.sweeping import SweptRoom
from countersign.recorder.tokens.ports import TokenStore
from countersign.recorder.tokens.server import TokenServer
from countersign.recorder.tokens.store import PostgresTokenStore

SWEEP_EVERY_S = 10.0
SWEPT_AT_ONCE = 2_000
MOST_HELD = 5_000_000
"""Of all sessions together."""


class TokenRoom(SweptRoom):
    """Tokens within a recorder: ``register``, ``run`` in the background; ``close`` at the end."""

    def __init__(self, store: TokenStore) -> None:
        self._server = TokenServer(store)
        super().__init__(
            "tokens", store, self._server, every_s=SWEEP_EVERY_S, at_once=SWEPT_AT_ONCE, most_held=MOST_HELD
        )

    @classmethod
    def of(cls, dsn: str) -> TokenRoom:
        """Return the room of a database."""
        return cls(PostgresTokenStore(dsn))

    def register(self, server: grpc.aio.Server) -> tuple[str, ...]:
        """Add the service to ``server``; return its full name."""
        tokens_pb2_grpc.add_TokenServiceServicer_to_server(self._server, server)
        return (tokens_pb2.DESCRIPTOR.services_by_name["TokenService"].full_name,)
