"""Whatever dies while a call waits for people: nothing is lost, who comes back joins that wait, and it runs once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping

import grpc
import httpx
import pytest

from countersign.api.approvals.v1 import approval_pb2
from tests.fault.rig import RULES, TARGET, Caller, Rig, eventually, new_marker, running_rig
from tests.support.approvers import ApprovalClient, approval_service
from tests.support.clients import Rpc
from tests.support.targets import answers, tool_text

DECIDED_S = 30.0
ASKING: Mapping[str, object] = {
    "name": "owners agree",
    "approve": {"groups": ["analysts"], "targets": [TARGET], "tools": ["drop"]},
    "by": {"groups": ["data-owners"]},
}
CONSUMED = approval_pb2.APPROVAL_STATE_CONSUMED


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with running_rig(rules=(*RULES, ASKING), extra={"approvals": {"hold": "1.5s"}}) as running:
        yield running


@pytest.fixture
async def owner(rig: Rig) -> AsyncIterator[ApprovalClient]:
    token = rig.hold(rig.issuer.token("alice", rig.gateway.url, sub="dora", groups=["data-owners"]))
    async with approval_service(rig.gateway.url, token) as service:
        yield service


async def asked_once(caller: Caller, marker: str, state: str = "") -> httpx.Response:
    """Make the call; with ``state``, as a client that was told to come back."""
    resumed = {"requestState": state} if state else {}
    return await caller.post(Rpc("tools/call", {"name": "drop", "arguments": {"marker": marker}, **resumed}))


def state_of(answer: httpx.Response) -> str:
    """What the client is to come back with; empty when the call is answered."""
    found = json.loads(answer.content)["result"].get("requestState", "")
    assert isinstance(found, str)
    return found


async def answered(caller: Caller, marker: str, state: str = "") -> str:
    """Make the call, and come back with it however often it takes; the text of its answer."""
    while True:
        answer = await asked_once(caller, marker, state)
        if answer.status_code == 503:
            await asyncio.sleep(0.05)
        elif not (state := state_of(answer)) and "call again" not in answer.text:
            return answer.text


async def agreed(owner: ApprovalClient, approval_id: str) -> None:
    """Agree, however often it takes: who got no answer looks whether it was heard."""

    async def heard() -> bool:
        try:
            seen = (await owner.get(approval_id)).approval
            if seen.state == approval_pb2.APPROVAL_STATE_PENDING:
                await owner.decide(seen)
        except grpc.aio.AioRpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED):
                raise
            return False
        return True

    await eventually(heard, DECIDED_S, "the decision")


def transitions(rig: Rig, approval_id: str) -> list[str]:
    """What the record says of an approval, in its order."""
    found = rig.record.query(
        "SELECT method, record::json ->> 'approval_id' FROM countersign.events WHERE kind = 10 ORDER BY index"
    )
    return [method for method, which in found if which == approval_id]


def passed(rig: Rig, approval_id: str) -> int:
    """How many requests the record says were sent by this approval."""
    found = rig.record.query(
        "SELECT record::json ->> 'approval_id' FROM countersign.events WHERE kind = 1 AND outcome = 1"
    )
    return [which for (which,) in found].count(approval_id)


@pytest.mark.parametrize("name", ["approver", "postgres", "recorder"])
async def test_a_call_that_waits_outlives_who_keeps_it(rig: Rig, owner: ApprovalClient, name: str) -> None:
    marker = new_marker()
    async with rig.target(answers(tool_text("dropped"))) as target, rig.caller() as caller:
        calling = asyncio.ensure_future(answered(caller, marker))
        approval = await owner.wait_for(lambda one: marker in one.summary.arguments)
        dead = rig.gateway.kill(name)
        await rig.until_restarted(name, dead)
        await agreed(owner, approval.id)
        assert "dropped" in await calling
        assert len(target.received) == 1
    ended = (await owner.get(approval.id)).approval
    assert (ended.state, ended.uses) == (CONSUMED, 1)
    assert passed(rig, approval.id) == 1
    # Its use is told to the record after it was granted: the request that it let pass stands there before.
    await eventually(lambda: "consumed" in transitions(rig, approval.id), DECIDED_S, "the record of its use")
    told = transitions(rig, approval.id)
    assert told.index("asked") < told.index("approved") < told.index("consumed") == len(told) - 1


async def test_a_target_gets_its_own_state_back_and_never_ours(rig: Rig, owner: ApprovalClient) -> None:
    marker, own = new_marker(), {"requestState": "the target's", "inputResponses": {"q": {"action": "accept"}}}
    params = {"name": "drop", "arguments": {"marker": marker}}
    rounds = answers({"resultType": "input_required", "requestState": "the target's"})
    async with rig.target(rounds), rig.caller() as caller:
        assert state_of(await caller.post(Rpc("tools/call", {"name": "query", "arguments": {}}))) == "the target's"
    async with rig.target(answers(tool_text("dropped"))) as target, rig.caller() as caller:
        state = state_of(await caller.post(Rpc("tools/call", {**params, **own})))
        await agreed(owner, (await owner.wait_for(lambda one: marker in one.summary.arguments)).id)
        assert "dropped" in await answered(caller, marker, state)
        (received,) = target.received
    got = received.message()["params"]
    assert isinstance(got, dict)
    assert {key: got[key] for key in own} == own
    assert got["arguments"] == {"marker": marker}


async def test_what_was_agreed_to_is_there_after_everything_died(rig: Rig, owner: ApprovalClient) -> None:
    marker = new_marker()
    async with rig.target(answers(tool_text("dropped"))) as target, rig.caller() as caller:
        state = state_of(await asked_once(caller, marker))
        approval = await owner.wait_for(lambda one: marker in one.summary.arguments)
        await agreed(owner, approval.id)
        dead = {name: rig.gateway.kill(name) for name in ("postgres", "approver", "authz")}
        await asyncio.gather(*(rig.until_restarted(name, process) for name, process in dead.items()))
        assert "dropped" in await answered(caller, marker, state)
        assert len(target.received) == 1
    assert passed(rig, approval.id) == 1


@pytest.mark.parametrize("name", ["approver", "authz"])
async def test_a_part_that_dies_as_the_grant_is_taken_never_runs_a_call_twice(
    rig: Rig, owner: ApprovalClient, name: str
) -> None:
    marker = new_marker()
    async with rig.target(answers(tool_text("dropped"))) as target, rig.caller() as caller:
        calling = asyncio.ensure_future(answered(caller, marker))
        approval = await owner.wait_for(lambda one: marker in one.summary.arguments)
        deciding = asyncio.ensure_future(agreed(owner, approval.id))
        dead = rig.gateway.kill(name)
        await rig.until_restarted(name, dead)
        await deciding

        async def over() -> bool:
            """It was answered, or what it says without a state, the answer lost, is asked anew."""
            pending = [one for one in await owner.list(to_decide=True) if marker in one.summary.arguments]
            return calling.done() or any(one.id != approval.id for one in pending)

        await eventually(over, DECIDED_S, "an answer")
        calling.cancel()
        await asyncio.wait({calling})
        ran = len(target.received)
    assert ran == 1 if not calling.cancelled() and "dropped" in calling.result() else ran <= 1
    assert passed(rig, approval.id) <= 1
    assert (await owner.get(approval.id)).approval.state == CONSUMED
