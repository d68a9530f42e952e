"""``TokenService``: masker keeps what it showed, and finds it again."""

from __future__ import annotations

from collections.abc import Collection

import grpc

from countersign.api.access.v1 import tokens_pb2, tokens_pb2_grpc
from countersign.recorder.tokens.ports import HEAD_BYTES, MARK_BYTES, SealedToken, TokensFull, TokenStore
from countersign.runtime.postgres import DatabaseError

MOST_KEPT_AT_ONCE = 1_000
MOST_HEADS = 10_000
LONGEST_SEALED_BYTES = 16_384
LONGEST_SESSION_ID = 256


class TokenServer(tokens_pb2_grpc.TokenServiceServicer):
    """Hands the store what is well formed. While ``full`` is set, nothing is kept for anybody."""

    def __init__(self, store: TokenStore) -> None:
        self._store = store
        self.full = False

    async def KeepTokens(
        self,
        request: tokens_pb2.KeepTokensRequest,
        context: grpc.aio.ServicerContext[tokens_pb2.KeepTokensRequest, tokens_pb2.KeepTokensResponse],
    ) -> tokens_pb2.KeepTokensResponse:
        """See tokens.proto."""
        tokens = [SealedToken(one.mark, one.value_mark, one.head, one.sealed) for one in request.tokens]
        if not _is_session(request.session_id) or not _are_tokens(tokens):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not tokens of a session")
        if self.full:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "the database holds too many tokens")
        try:
            kept = await self._store.keep(request.session_id, tokens)
        except TokensFull as error:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
        except DatabaseError as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        return tokens_pb2.KeepTokensResponse(taken=sorted(kept.taken), echoes=sorted(kept.echoes))

    async def FindTokens(
        self,
        request: tokens_pb2.FindTokensRequest,
        context: grpc.aio.ServicerContext[tokens_pb2.FindTokensRequest, tokens_pb2.FindTokensResponse],
    ) -> tokens_pb2.FindTokensResponse:
        """See tokens.proto."""
        if not _is_session(request.session_id) or not _are_heads(request.heads):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not heads of a session's tokens")
        try:
            sealed = await self._store.find(request.session_id, frozenset(request.heads))
        except TokensFull as error:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
        except DatabaseError as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        return tokens_pb2.FindTokensResponse(sealed=sealed)


def _is_session(session_id: str) -> bool:
    return 0 < len(session_id) <= LONGEST_SESSION_ID and "\0" not in session_id


def _are_tokens(tokens: Collection[SealedToken]) -> bool:
    return (
        0 < len(tokens) <= MOST_KEPT_AT_ONCE
        and len({token.mark for token in tokens}) == len(tokens)
        and all(
            len(token.mark) == len(token.value_mark) == MARK_BYTES
            and len(token.head) == HEAD_BYTES
            and 0 < len(token.sealed) <= LONGEST_SEALED_BYTES
            for token in tokens
        )
    )


def _are_heads(heads: Collection[bytes]) -> bool:
    return 0 < len(heads) <= MOST_HEADS and all(len(head) == HEAD_BYTES for head in heads)
