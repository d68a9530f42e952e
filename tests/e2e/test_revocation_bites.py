"""Within a moment of a revocation nothing of its caller goes on: neither streams, nor calls that wait, nor new ones."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import grpc
import httpx
import pytest

from countersign.api.access.v1 import revocations_pb2
from countersign.api.approvals.v1 import approval_pb2, approvals_pb2
from tests.fault.record import Record
from tests.fault.rig import eventually
from tests.support.approvers import ApprovalClient
from tests.support.biting import Biting, Open, Revoker, biting_of, callers
from tests.support.clients import call
from tests.support.in_turn import InTurn

# What is aimed at is a second (see tests/bench/revocation.py); a busy machine may need longer, and nobody is served.
DEADLINE_S = 15.0


@pytest.fixture(scope="module")
def place(in_turn: InTurn) -> Iterator[Biting]:
    with biting_of(in_turn.take) as running:
        yield running


async def _revoke(revoker: Revoker, kind: str, one: Open) -> revocations_pb2.Revocation:
    match kind:
        case "principal":
            return await revoker.revoke(revocations_pb2.REVOCATION_KIND_PRINCIPAL, one.subject)
        case "token":
            return await revoker.revoke(revocations_pb2.REVOCATION_KIND_TOKEN, f"j-{one.subject}")
        case "sign_in":
            return await revoker.revoke(revocations_pb2.REVOCATION_KIND_SIGN_IN, f"i-{one.subject}")
        case "session":
            return await revoker.revoke(revocations_pb2.REVOCATION_KIND_SESSION, one.session_id, issuer="")
        case _:
            before_s = int(time.time()) - 60
            return await revoker.revoke(revocations_pb2.REVOCATION_KIND_ISSUER, "", issued_before_s=before_s)


@pytest.mark.parametrize("kind", ["principal", "token", "sign_in", "session", "issuer before a time"])
async def test_all_that_goes_on_for_the_revoked_ends_and_nothing_of_others(place: Biting, kind: str) -> None:
    old = {"iat": int(time.time()) - 120} if kind == "issuer before a time" else {}
    async with callers(place) as http, place.owner() as owner, place.revoker() as revoker:
        struck, other = await asyncio.gather(place.open(http, owner, **old), place.open(http, owner))
        try:
            made = await _revoke(revoker, kind, struck)
            async with asyncio.timeout(DEADLINE_S):
                await struck.ending
                _, answer = await struck.held
            assert answer.status_code == 401
            assert 'error="invalid_token"' in answer.headers["www-authenticate"]
            assert made.revocation_id not in f"{answer.text} {answer.headers}"
            assert "case 17" not in f"{answer.text} {answer.headers}"
            await eventually(lambda: _is_over(owner, struck), DEADLINE_S)
            assert not other.ending.done()
            assert not other.held.done()
            assert (await owner.get(other.approval_id)).approval.state == approval_pb2.APPROVAL_STATE_PENDING
            # This session began after that time, though by a token of before: it is sealed when it is idle.
            await _assert_recorded(place, struck, made.revocation_id, sealed=not kind.startswith("issuer"))
        finally:
            await struck.close()
            await other.close()


async def _is_over(owner: ApprovalClient, one: Open) -> bool:
    return (await owner.get(one.approval_id)).approval.state == approval_pb2.APPROVAL_STATE_CANCELLED


async def _assert_recorded(place: Biting, struck: Open, revocation_id: str, *, sealed: bool) -> None:
    """The cut, the refusal, and the end of the session stand in the record."""
    record = Record(place.gateway)

    def told() -> bool:
        rows = [row for row in record.rows() if "was revoked" in row.reason]
        in_session = {row.kind for row in rows if row.session == struck.session_id}
        refused = [row for row in rows if row.kind == "refused" and f"revocation {revocation_id}" in row.reason]
        return {"stream_end", "approval"} <= in_session and len(refused) == 1

    await eventually(told, DEADLINE_S)
    found = "SELECT seal_reason FROM countersign.sessions WHERE session_id = %s"
    if sealed:
        await eventually(lambda: record.query(found, struck.session_id) == [("revoked",)], DEADLINE_S, "the seal")


async def test_new_calls_of_the_revoked_are_refused_until_it_is_lifted(place: Biting) -> None:
    async with callers(place) as http, place.owner() as owner, place.revoker() as revoker:
        one = await place.open(http, owner)
        try:
            token = place.token(one.subject)
            made = await revoker.revoke(revocations_pb2.REVOCATION_KIND_PRINCIPAL, one.subject)
            await eventually(lambda: _status(place, http, token, 401), DEADLINE_S)
            answer = await place.post(http, token, call("drop"))
            assert "the token was revoked" in answer.headers["www-authenticate"]
            await revoker.lift(made)
            await eventually(lambda: _status(place, http, token, 200), DEADLINE_S)
        finally:
            await one.close()


async def _status(place: Biting, http: httpx.AsyncClient, token: str, status: int) -> bool:
    # A tool that no rule allows: answered at once, by a denial that has status 200.
    return (await place.post(http, token, call("other"))).status_code == status


async def test_who_watches_and_decides_and_is_revoked_does_so_no_more(place: Biting) -> None:
    async with callers(place) as http, place.owner() as owner, place.revoker() as revoker:
        one = await place.open(http, owner)
        watching = asyncio.ensure_future(_watched(place))
        try:
            made = await revoker.revoke(revocations_pb2.REVOCATION_KIND_PRINCIPAL, "dora")
            async with asyncio.timeout(DEADLINE_S):
                assert await watching in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.CANCELLED)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await owner.get(one.approval_id)
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
            assert not one.held.done()
            await revoker.lift(made)
        finally:
            watching.cancel()
            await one.close()


async def _watched(place: Biting) -> grpc.StatusCode:
    """Watch approvals until that ends; say how."""
    async with place.owner() as service:
        metadata = (("authorization", f"Bearer {service.token}"),)
        stream = service.stub.WatchApprovals(approvals_pb2.WatchApprovalsRequest(), metadata=metadata)
        try:
            async for _ in stream:
                pass
        except grpc.aio.AioRpcError as error:
            return error.code()
        return grpc.StatusCode.OK
