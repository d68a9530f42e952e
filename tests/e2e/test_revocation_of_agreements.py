"""Whoever stole an approver's token or browser session has agreed to nothing once that is revoked."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import httpx
import pytest

from countersign.api.access.v1 import revocations_pb2
from countersign.api.approvals.v1 import approval_pb2
from tests.fault.record import Record
from tests.fault.rig import eventually
from tests.support.approvers import approval_service
from tests.support.biting import Biting, biting_of, callers
from tests.support.clients import Rpc, call
from tests.support.in_turn import InTurn

DEADLINE_S = 15.0
REASON = "a token by which somebody agreed to it was revoked"


@pytest.fixture(scope="module")
def place(in_turn: InTurn) -> Iterator[Biting]:
    with biting_of(in_turn.take) as running:
        yield running


@pytest.mark.parametrize("kind", ["token", "sign_in"])
async def test_what_was_agreed_to_by_what_is_revoked_does_not_run_and_its_owner_may_agree_anew(
    place: Biting, kind: str
) -> None:
    """Somebody has an owner's browser session; the owner is still one."""
    owner = f"o-{uuid.uuid4().hex[:12]}"
    claims = {"sub": owner, "groups": ["data-owners"]}
    stolen = place.issuer.token("alice", place.gateway.url, jti=f"j-{owner}", sid=f"i-{owner}", **claims)
    own = place.issuer.token("alice", place.gateway.url, jti=f"k-{owner}", sid=f"l-{owner}", **claims)
    rpc, token = call("drop", {"who": owner}), place.token(f"s-{owner}")
    async with (
        callers(place) as http,
        approval_service(place.gateway.url, stolen) as thief,
        approval_service(place.gateway.url, own) as rightful,
        place.revoker() as revoker,
    ):
        await eventually(lambda: _asks(place, http, token, rpc), DEADLINE_S)
        asked = await thief.wait_for(lambda one: one.asked_by.subject == f"s-{owner}")
        agreed = await thief.decide(asked)
        assert agreed.state == approval_pb2.APPROVAL_STATE_APPROVED
        if kind == "token":
            await revoker.revoke(revocations_pb2.REVOCATION_KIND_TOKEN, f"j-{owner}")
        else:
            await revoker.revoke(revocations_pb2.REVOCATION_KIND_SIGN_IN, f"i-{owner}")
        # It is not let run, not even in the moment before it is ended.
        answer = await place.post(http, token, rpc, prefer="respond-async")
        assert answer.status_code in (200, 202)
        assert "first" not in answer.text
        ended = (await rightful.get(asked.id)).approval
        assert ended.state == approval_pb2.APPROVAL_STATE_CANCELLED
        assert ended.reason == REASON
        await eventually(lambda: _asks(place, http, token, rpc), DEADLINE_S)
        again = await rightful.wait_for(lambda one: one.asked_by.subject == f"s-{owner}")
        assert again.id != asked.id
        assert (await rightful.decide(again)).state == approval_pb2.APPROVAL_STATE_APPROVED
    record = Record(place.gateway)

    def told() -> bool:
        rows = [row for row in record.rows() if row.kind == "approval" and asked.id in row.text]
        # Who came back before it was ended joined it.
        changes = [(row.method, row.reason) for row in rows if row.method != "joined"]
        return changes == [("asked", ""), ("approved", ""), ("cancelled", REASON)]

    await eventually(told, DEADLINE_S, "its end on the record")


async def _asks(place: Biting, http: httpx.AsyncClient, token: str, rpc: Rpc) -> bool:
    """Whether a call waits for people now: its caller is told where to look."""
    return (await place.post(http, token, rpc, prefer="respond-async")).status_code == 202
