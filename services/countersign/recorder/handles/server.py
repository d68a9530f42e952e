"""``HandleService``: masker keeps what it shows, authz asks for what callers come back with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import grpc

from countersign.api.access.v1 import handles_pb2 as pb
from countersign.api.access.v1 import handles_pb2_grpc
from countersign.recorder.handles.ports import HASH_BYTES, LONGEST_LIFETIME_US, HandleStore, HashedHandle, HashedOwner
from countersign.recorder.handles.shares import Bounds, Shares
from countersign.runtime.postgres import DatabaseError

MOST_AT_ONCE = 1_000
LONGEST_WHAT = 128
MOST_MASKS = 1_000


class HandleServer(handles_pb2_grpc.HandleServiceServicer):
    """Hands the store what is well formed, and fits into its owner's shares.

    While ``full`` is set, nothing is kept for anybody.
    """

    def __init__(self, store: HandleStore, bounds: Bounds) -> None:
        self._store = store
        self.shares = Shares(bounds)
        self.full = False

    async def KeepHandles(
        self, request: pb.KeepHandlesRequest, context: grpc.aio.ServicerContext[pb.KeepHandlesRequest, object]
    ) -> pb.KeepHandlesResponse:
        """See handles.proto."""
        if self.full:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "the database holds too many handles")
        async with _asked(context):
            handles, owner = _read(request.handles), _read_owner(request)
            if not all(0 < one.lifetime_us <= LONGEST_LIFETIME_US for one in handles):
                raise ValueError
            if not self.shares.take(owner.target, owner.principal, len(handles)):
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many handles of one target or principal")
            await self._store.keep(owner, handles)
        return pb.KeepHandlesResponse()

    async def FindHandles(
        self, request: pb.FindHandlesRequest, context: grpc.aio.ServicerContext[pb.FindHandlesRequest, object]
    ) -> pb.FindHandlesResponse:
        """See handles.proto."""
        async with _asked(context):
            found = await self._store.find(_read(request.handles))
        return pb.FindHandlesResponse(
            found=[
                pb.FoundHandle() if one is None else pb.FoundHandle(known=True, what=one.what, masks=one.masks)
                for one in found
            ]
        )

    async def TakeHandles(
        self, request: pb.TakeHandlesRequest, context: grpc.aio.ServicerContext[pb.TakeHandlesRequest, object]
    ) -> pb.TakeHandlesResponse:
        """See handles.proto."""
        async with _asked(context):
            taken = await self._store.take(_read_answered(request.handles))
        return pb.TakeHandlesResponse(taken=taken)

    async def SpendHandles(
        self, request: pb.SpendHandlesRequest, context: grpc.aio.ServicerContext[pb.SpendHandlesRequest, object]
    ) -> pb.SpendHandlesResponse:
        """See handles.proto."""
        async with _asked(context):
            spent = await self._store.spend(_read_answered(request.handles))
        return pb.SpendHandlesResponse(spent=spent)

    async def DropHandles(
        self, request: pb.DropHandlesRequest, context: grpc.aio.ServicerContext[pb.DropHandlesRequest, object]
    ) -> pb.DropHandlesResponse:
        """See handles.proto."""
        async with _asked(context):
            if len(request.scope) != HASH_BYTES:
                raise ValueError
            await self._store.drop(request.scope)
        return pb.DropHandlesResponse()

    async def HasEnded(
        self, request: pb.HasEndedRequest, context: grpc.aio.ServicerContext[pb.HasEndedRequest, object]
    ) -> pb.HasEndedResponse:
        """See handles.proto."""
        async with _asked(context):
            ended = await self._store.has_ended(str(UUID(request.session_id)), str(UUID(request.call_id)))
        return pb.HasEndedResponse(ended=ended)


@asynccontextmanager
async def _asked(context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[None]:
    """Answer INVALID_ARGUMENT for a ``ValueError``, and UNAVAILABLE while the database does not do its work."""
    try:
        yield
    except ValueError:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not handles")
    except DatabaseError as error:
        await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))


def _read_answered(handles: Iterable[pb.Handle]) -> list[HashedHandle]:
    read = _read(handles)
    if len({(one.scope, one.mark) for one in read}) != len(read):
        raise ValueError
    if any(len(one.answer) != HASH_BYTES for one in read):
        raise ValueError
    return read


def _read_owner(request: pb.KeepHandlesRequest) -> HashedOwner:
    if len(request.target) != HASH_BYTES or len(request.principal) != HASH_BYTES:
        raise ValueError
    if len(request.masks) > MOST_MASKS or any("\0" in mask for mask in request.masks):
        raise ValueError
    return HashedOwner(request.target, request.principal, tuple(request.masks))


def _read(handles: Iterable[pb.Handle]) -> list[HashedHandle]:
    read = [HashedHandle(one.scope, one.mark, one.what, one.lifetime_us, one.answer) for one in handles]
    if not 0 < len(read) <= MOST_AT_ONCE:
        raise ValueError
    for one in read:
        if len(one.scope) != HASH_BYTES or len(one.mark) != HASH_BYTES:
            raise ValueError
        if len(one.what) > LONGEST_WHAT or "\0" in one.what:
            raise ValueError
    return read
