"""``RevocationService``: what operators take back and give back, and what auditors see of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NoReturn

import grpc

from countersign.api.access.v1 import revocations_pb2, revocations_pb2_grpc
from countersign.model.principal import Principal
from countersign.recorder import door
from countersign.recorder.asked import BadQuestion, uuid_of
from countersign.recorder.audit import NotAudited
from countersign.recorder.door import Context, Door
from countersign.recorder.revocations import asked
from countersign.recorder.revocations.book import RevocationBook
from countersign.recorder.revocations.events import By
from countersign.recorder.revocations.ports import NotInForce, RevocationStore, Revoked, TooManyRevocations
from countersign.recorder.who import searchable
from countersign.runtime.postgres import DatabaseUnavailable

_ERRORS = (BadQuestion, NotAudited, NotInForce, TooManyRevocations, DatabaseUnavailable)
_NOT_IN_FORCE = "no such revocation is in force"
_NOT_RECORDED = "the record cannot be told now: what is revoked is in force all the same, and nothing is lifted"

Request = revocations_pb2.RevokeRequest | revocations_pb2.LiftRevocationRequest


class RevocationServer(revocations_pb2_grpc.RevocationServiceServicer):
    """Every method: who asks, may they, is it well formed, do it and record it. ``issuers`` are gateway.yaml's.

    ``own`` is the gateway's own portal.
    """

    def __init__(
        self,
        store: RevocationStore,
        door: Door,
        book: RevocationBook,
        *,
        clock_us: Callable[[], int],
        issuers: Callable[[], Iterable[str]] = tuple,
        own: Callable[[], str] = str,
    ) -> None:
        self._store = store
        self._door = door
        self._book = book
        self._clock_us = clock_us
        self._issuers = issuers
        self._own = own

    async def Revoke(self, request: revocations_pb2.RevokeRequest, context: Context) -> revocations_pb2.RevokeResponse:
        """See revocations.proto. When it cannot be recorded, it is in force all the same."""
        is_token = asked.hide_token(request)
        name = request.revocation.value or request.revocation.issuer
        principal = await self._door.admit(request, name, context, "operator")
        try:
            if is_token:
                raise BadQuestion("revocation.value: is a token itself; give its jti, or the digest in the record")
            asked.check_spelling(request.revocation, self._issuers(), self._own())
            what = asked.revocation(request.revocation, self._clock_us())
            wanted = Revoked(what, searchable(principal.issuer), searchable(principal.subject))
            put = await self._book.revoke([wanted], By(principal, _trace(context)))
            [in_force] = put.in_force
            if not put.untold:
                # Nothing new, so nothing of it is in the record yet.
                await self._door.audited(principal, request, name, context)
        except _ERRORS as error:
            await self._refuse(principal, request, name, context, error)
        return revocations_pb2.RevokeResponse(revocation=asked.told(in_force))

    async def LiftRevocation(
        self, request: revocations_pb2.LiftRevocationRequest, context: Context
    ) -> revocations_pb2.LiftRevocationResponse:
        """See revocations.proto. It is in force until it is recorded that it is lifted."""
        name = request.revocation_id
        principal = await self._door.admit(request, name, context, "operator")
        try:
            reason = asked.reason(request.reason)
            revoked = await self._store.get(str(uuid_of(name, "revocation_id")), self._clock_us())
            if revoked is None:
                raise NotInForce
            if not await self._book.lift(revoked, reason, By(principal, _trace(context))):
                # The record says that somebody else did, at the same time.
                await self._door.audited(principal, request, name, context)
        except _ERRORS as error:
            await self._refuse(principal, request, name, context, error)
        return revocations_pb2.LiftRevocationResponse()

    async def ListRevocations(
        self, request: revocations_pb2.ListRevocationsRequest, context: Context
    ) -> revocations_pb2.ListRevocationsResponse:
        """See revocations.proto."""
        name = request.value or request.issuer
        principal = await self._door.admit(request, name, context, "auditor", "operator")
        try:
            wanted = asked.listing(request)
            await self._door.audited(principal, request, name, context)
            found = await self._store.page(
                wanted.issuer,
                wanted.value,
                before=wanted.before,
                limit=wanted.limit + 1,
                now_us=self._clock_us(),
            )
        except (BadQuestion, NotAudited, DatabaseUnavailable) as error:
            await door.abort(context, error)
        shown = found[: wanted.limit]
        token = asked.next_page_token(wanted, shown[-1]) if len(found) > len(shown) else ""
        return revocations_pb2.ListRevocationsResponse(revocations=map(asked.told, shown), next_page_token=token)

    async def _refuse(
        self, principal: Principal, request: Request, name: str, context: Context, error: Exception
    ) -> NoReturn:
        match error:
            case NotInForce():
                await self._tell_refusal(principal, request, name, context, _NOT_IN_FORCE)
                await context.abort(grpc.StatusCode.NOT_FOUND, _NOT_IN_FORCE)
            case TooManyRevocations():
                await self._tell_refusal(principal, request, name, context, asked.TOO_MANY)
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, asked.TOO_MANY)
            case NotAudited():
                await context.abort(grpc.StatusCode.UNAVAILABLE, _NOT_RECORDED)
            case BadQuestion():
                await self._tell_refusal(principal, request, name, context, str(error))
        await door.abort(context, error)

    async def _tell_refusal(
        self, principal: Principal, request: Request, name: str, context: Context, what: str
    ) -> None:
        try:
            await self._door.audited(principal, request, name, context, refused=what)
        except NotAudited as error:
            await door.abort(context, error)


def _trace(context: Context) -> str:
    trace = [value for key, value in context.invocation_metadata() or () if key == "traceparent"]
    return str(trace[0])[:55] if len(trace) == 1 else ""
