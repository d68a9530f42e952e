"""A call that rules want approved waits, in the way its client can, and what people agreed to runs once."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from countersign.authz.envoy import Answer, Forward
from countersign.credentials import CredentialUnavailable
from countersign.identity import Unidentified
from countersign.mcp import Handle, HandleKind
from countersign.model.approval import Approval, ApprovalState
from countersign.model.decision import Outcome
from countersign.model.principal import Principal, PrincipalKind
from countersign.runtime.approvals import UnknownApproval
from countersign.runtime.handles import HandleOwner
from countersign.runtime.rulebook import Rulebook
from tests.support.brokers import StoreBroker
from tests.unit.authz.bench import ALICE, SEALER, Bench, inquiry
from tests.unit.authz.test_presenting import Given

GATEWAY = """
version: 1
gateway: {url: "https://gateway.test"}
identity: {oidc: [{issuer: "https://idp.test"}]}
targets: {orders: {mcp: "http://127.0.0.1:9000/mcp"}}
approvals: {hold: 0.2s, pending_per_principal: 2, sign_in: {issuer: "https://idp.test", client_id: page}}
rules:
  - {name: read, allow: {groups: [analysts], targets: [orders], tools: ["*"]}}
  - {name: ask, approve: {groups: [analysts], tools: ["drop_*"]}, by: {groups: [owners], within: 15m}}
"""
OWNER = Principal("https://idp.test", "olga", ("owners",), PrincipalKind.PERSON, "o1")
VERSION = "2026-07-28"
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
META = {"io.modelcontextprotocol/protocolVersion": VERSION, CAPABILITIES: {}}


def now_us() -> int:
    return time.time_ns() // 1_000


class Waiting:
    """A judge whose approver is a store in memory."""

    def __init__(self, path: Path, cache: Path, text: str = GATEWAY) -> None:
        self.path = path
        path.write_text(text)
        self.rulebook = Rulebook(path, {}, cache, reads=())
        self.broker = StoreBroker(now_us)
        self.store = self.broker.memory
        self.bench = Bench(self.rulebook, broker=self.broker, clock=now_us)

    async def legacy(
        self, arguments: Mapping[str, object] | None = None, rpc_id: int = 1, **headers: str
    ) -> Forward | Answer:
        params = {"name": "drop_table", "arguments": dict(arguments or {})}
        body = {"jsonrpc": "2.0", "id": rpc_id, "method": "tools/call", "params": params}
        return await self.bench.ask(replace(inquiry(body, **headers), changes_requests=True))

    async def modern(
        self,
        arguments: Mapping[str, object] | None = None,
        more: Mapping[str, object] | None = None,
        can: Mapping[str, object] | None = None,
    ) -> Forward | Answer:
        params = {"name": "drop_table", "arguments": dict(arguments or {}), **(more or {})}
        return await self.ask("tools/call", "drop_table", params, can)

    async def ask(
        self,
        method: str,
        name: str,
        params: Mapping[str, object],
        can: Mapping[str, object] | None = None,
        meta: Mapping[str, object] | None = None,
    ) -> Forward | Answer:
        said = {"io.modelcontextprotocol/protocolVersion": VERSION, CAPABILITIES: dict(can or {}), **(meta or {})}
        body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": {**params, "_meta": said}}
        headers = {"mcp_protocol_version": VERSION, "mcp_method": method, "mcp_name": name}
        return await self.bench.ask(replace(inquiry(body, **headers), changes_requests=True))

    async def pending(self) -> Approval:
        await asyncio.wait_for(self.broker.waiting.wait(), 5)
        found = await self.store.page(states=[ApprovalState.PENDING], after=None, limit=10)
        return found[0]

    async def decide(self, approval: Approval, *, agrees: bool = True, note: str = "") -> Approval:
        return await self.store.decide(
            approval.id, OWNER, version=approval.version, agrees=agrees, note=note, now_us=now_us()
        )

    def recorded(self) -> list[tuple[Outcome, str]]:
        return [(event.decision.outcome, event.approval_id) for event in self.bench.sink.durable if event.decision]


def result(answer: Forward | Answer) -> dict[str, object]:
    assert isinstance(answer, Answer), answer
    assert answer.reply.status == 200, answer
    found = json.loads(answer.reply.body)["result"]
    assert isinstance(found, dict)
    return found


def text(answer: Forward | Answer) -> str:
    found = result(answer)
    assert found["isError"] is True
    return str(found["content"])


@pytest.fixture
async def waiting(tmp_path: Path, rules_cache: Path) -> AsyncIterator[Waiting]:
    found = Waiting(tmp_path / "gateway.yaml", rules_cache)
    yield found
    await found.bench.desk.close()


async def test_a_call_is_held_until_people_agree_and_then_runs_once(waiting: Waiting) -> None:
    call = asyncio.ensure_future(waiting.modern({"table": "a"}))
    approval = await waiting.pending()
    assert not call.done()
    await waiting.decide(approval)
    assert isinstance(await call, Forward)
    assert waiting.recorded() == [(Outcome.ALLOW, approval.id)]
    assert (await waiting.store.get(approval.id)).state is ApprovalState.CONSUMED


async def test_a_call_is_answered_before_an_impatient_envoy_gives_it_up(waiting: Waiting) -> None:
    waiting.path.write_text(GATEWAY.replace("hold: 0.2s", "hold: 250s"))
    waiting.rulebook.poll()
    assert waiting.rulebook.current.config.approvals.hold_s == 250
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "drop_table", "arguments": {}}}
    impatient = replace(inquiry(body), changes_requests=True, patience_s=5.1)
    assert "call again" in text(await asyncio.wait_for(waiting.bench.ask(impatient), 5.1))
    assert (await waiting.pending()).state is ApprovalState.PENDING


async def test_whoever_is_held_when_authz_stops_is_sent_away_to_come_back(waiting: Waiting) -> None:
    waiting.path.write_text(GATEWAY.replace("hold: 0.2s", "hold: 250s"))
    waiting.rulebook.poll()
    call = asyncio.ensure_future(waiting.modern({"table": "a"}))
    approval = await waiting.pending()
    waiting.bench.desk.drain()
    assert result(await asyncio.wait_for(call, 5)).keys() == {"resultType", "requestState"}
    assert (await waiting.store.get(approval.id)).state is ApprovalState.PENDING


async def test_what_was_agreed_to_is_no_leave_for_another_call(waiting: Waiting) -> None:
    first = await waiting.legacy({"table": "a"})
    approval = await waiting.pending()
    await waiting.decide(approval)
    assert "waiting for approval" in text(await waiting.legacy({"table": "b"}))
    assert "waiting for approval by owners" in text(first)
    assert isinstance(await waiting.legacy({"table": "a"}), Forward)
    assert "waiting for approval" in text(await waiting.legacy({"table": "a"}))


UNSEEN = {"example.com/tenant": "production", "baggage": "dry_run=no"}


async def test_nothing_reaches_the_target_that_people_did_not_agree_to(waiting: Waiting) -> None:
    # Whatever `_meta` says is no part of what people see, and of what their agreement is bound to.
    asked = result(await waiting.modern({"table": "a"}))
    await waiting.decide(await waiting.pending())
    params = {"name": "drop_table", "arguments": {"table": "a"}, "requestState": asked["requestState"]}
    passed = await waiting.ask("tools/call", "drop_table", {**params}, meta=UNSEEN)
    assert isinstance(passed, Forward)
    assert passed.handoff is not None
    del params["requestState"]
    judged = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {**params, "_meta": META}}
    assert passed.handoff.bare
    assert passed.handoff.sent_mark == SEALER.mark_request(json.dumps(judged).encode())


async def test_what_the_protocol_says_of_a_call_goes_along_with_it(waiting: Waiting) -> None:
    meta = {"progressToken": 7, "traceparent": "00-1", "tracestate": "a=b"}
    call = asyncio.ensure_future(
        waiting.ask("tools/call", "drop_table", {"name": "drop_table", "arguments": {}}, meta=meta)
    )
    await waiting.decide(await waiting.pending())
    passed = await call
    assert isinstance(passed, Forward)
    assert passed.handoff is not None
    assert (passed.handoff.bare, passed.handoff.sent_mark) == (False, "")


async def test_a_modern_client_comes_back_with_a_state_that_only_it_can_use_for_this_call(waiting: Waiting) -> None:
    asked = result(await waiting.modern({"table": "a"}))
    assert asked.keys() == {"resultType", "requestState"}
    state = asked["requestState"]
    for altered in ({"table": "b"}, {"table": "a", "more": 1}):
        refused = await waiting.modern(altered, {"requestState": state})
        assert isinstance(refused, Answer)
        assert refused.reply.status == 400
    forged = await waiting.modern({"table": "a"}, {"requestState": f"{state}A"})
    assert isinstance(forged, Answer)
    assert forged.reply.status == 400
    assert [outcome for outcome, _ in waiting.recorded()[-3:]] == [Outcome.REFUSED] * 3
    await waiting.decide(await waiting.pending())
    passed = await waiting.modern({"table": "a"}, {"requestState": state})
    assert isinstance(passed, Forward)
    assert passed.handoff is not None
    assert passed.handoff.state == "{}"
    # What was used up says so, and asks nobody anew.
    assert "is good for one call" in text(await waiting.modern({"table": "a"}, {"requestState": state}))
    assert len(await waiting.store.page(states=list(ApprovalState), after=None, limit=10)) == 1


@pytest.mark.parametrize("sealed", [False, True])
async def test_a_targets_own_state_is_kept_and_given_back_to_it(waiting: Waiting, sealed: bool) -> None:
    own = {"requestState": "their own", "inputResponses": {"x": {"action": "accept"}}}
    handed = SEALER.seal_state(ALICE, "orders", "their own") if sealed else "their own"
    alice = HandleOwner("", ALICE.issuer, ALICE.subject, "orders")
    await waiting.bench.handles.keep(alice, [Handle(HandleKind.STATE, handed)])
    asked = result(await waiting.modern({"table": "a"}, {**own, "requestState": handed}))
    assert ("their own" in repr(vars(waiting.store))) is not sealed, "people are shown what their caller could read"
    await waiting.decide(await waiting.pending())
    passed = await waiting.modern({"table": "a"}, {"requestState": asked["requestState"]})
    assert isinstance(passed, Forward)
    assert passed.handoff is not None
    assert json.loads(passed.handoff.state or "") == own


async def test_after_ten_rounds_a_model_reads_what_it_waits_for(waiting: Waiting) -> None:
    more: dict[str, object] = {}
    for _ in range(10):
        found = result(await waiting.modern({"table": "a"}, more))
        assert found["resultType"] == "input_required"
        more = {"requestState": found["requestState"]}
    assert "call again" in text(await waiting.modern({"table": "a"}, more))


async def test_a_link_is_shown_once_to_who_can_show_it(waiting: Waiting) -> None:
    can: Mapping[str, object] = {"elicitation": {"url": {}}}
    first = result(await waiting.modern({"table": "a"}, can=can))
    approval = await waiting.pending()
    assert f"https://gateway.test/approvals/{approval.id}" in json.dumps(first["inputRequests"])
    responses = {"approval": {"action": "decline"}}
    more = {"requestState": first["requestState"], "inputResponses": responses}
    second = result(await waiting.modern({"table": "a"}, more, can))
    assert "inputRequests" not in second


async def test_a_client_of_tasks_asks_how_it_stands_and_cancels(waiting: Waiting) -> None:
    can: Mapping[str, object] = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
    task = result(await waiting.modern({"table": "a"}, can=can))
    assert (task["resultType"], task["status"]) == ("task", "working")
    task_id = str(task["taskId"])
    assert result(await waiting.ask("tasks/get", task_id, {"taskId": task_id}, can))["status"] == "working"
    await waiting.decide(await waiting.pending())
    ready = result(await waiting.ask("tasks/get", task_id, {"taskId": task_id}, can))
    assert (ready["status"], "call again" in json.dumps(ready["result"])) == ("completed", True)
    assert result(await waiting.ask("tasks/cancel", task_id, {"taskId": task_id}, can)) == {"resultType": "complete"}
    assert "waiting" in text(await waiting.legacy({"table": "a"}))
    foreign = await waiting.ask("tasks/get", f"{task_id}x", {"taskId": f"{task_id}x"}, can)
    assert isinstance(foreign, Answer)
    assert foreign.reply.status == 400


async def test_a_plain_client_is_told_where_to_look(waiting: Waiting) -> None:
    accepted = await waiting.legacy({"table": "a"}, prefer="respond-async")
    assert isinstance(accepted, Answer)
    headers = dict(accepted.reply.headers)
    assert (accepted.reply.status, headers["retry-after"]) == (202, "5")
    path = headers["location"].removeprefix("https://gateway.test")
    looked = await waiting.bench.judge.status(replace(inquiry(verb="GET", path=path), route="approval"))
    assert json.loads(looked.reply.body)["state"] == "pending"
    other = path[:-12] + "0" * 12
    looked = await waiting.bench.judge.status(replace(inquiry(verb="GET", path=other), route="approval"))
    assert looked.reply.status == 404


async def test_whoever_has_a_token_for_another_target_is_told_nothing_of_this_one(waiting: Waiting) -> None:
    waiting.path.write_text(GATEWAY.replace("}}\nap", '}, other: {mcp: "http://127.0.0.1:9001/mcp"}}\nap'))
    waiting.rulebook.poll()
    accepted = await waiting.legacy(prefer="respond-async")
    assert isinstance(accepted, Answer)
    path = dict(accepted.reply.headers)["location"].removeprefix("https://gateway.test").replace("/orders/", "/other/")
    asked = replace(inquiry(verb="GET", path=path), route="approval", target="other")
    assert (await waiting.bench.judge.status(asked)).reply.status == 404


async def test_a_denial_is_told_with_its_note(waiting: Waiting) -> None:
    call = asyncio.ensure_future(waiting.legacy())
    await waiting.decide(await waiting.pending(), agrees=False, note="not on a Friday")
    assert "not on a Friday" in text(await call)
    assert waiting.recorded()[-1][0] is Outcome.DENY


@pytest.mark.parametrize("prefer", ["", "respond-async"])
async def test_a_denial_is_told_once_to_who_was_sent_away_meanwhile(waiting: Waiting, prefer: str) -> None:
    asked = await waiting.legacy(prefer=prefer)
    assert isinstance(asked, Answer)
    assert b"waiting for approval" in asked.reply.body
    (denied,) = await waiting.store.page(states=[ApprovalState.PENDING], after=None, limit=2)
    await waiting.decide(denied, agrees=False, note="not on a Friday")
    assert "not on a Friday" in text(await waiting.legacy())
    assert waiting.recorded()[-1] == (Outcome.DENY, denied.id)
    assert len(await waiting.store.page(states=list(ApprovalState), after=None, limit=2)) == 1
    assert "waiting for approval" in text(await waiting.legacy())
    assert len(await waiting.store.page(states=[ApprovalState.PENDING], after=None, limit=2)) == 1


async def test_a_modern_caller_who_hangs_up_abandons_it_and_a_legacy_one_does_not(waiting: Waiting) -> None:
    for ask, left in ((waiting.legacy, ApprovalState.PENDING), (waiting.modern, ApprovalState.ABANDONED)):
        call = asyncio.ensure_future(ask({"table": left.value}))
        approval = await waiting.pending()
        call.cancel()
        await asyncio.wait({call})
        await waiting.bench.desk.close()
        assert (await waiting.store.get(approval.id)).state is left
        waiting.broker.waiting.clear()


async def test_a_caller_who_came_back_and_hangs_up_then_has_left(waiting: Waiting) -> None:
    asked = result(await waiting.modern({"table": "a"}))
    approval = await waiting.pending()
    waiting.broker.waiting.clear()
    call = asyncio.ensure_future(waiting.modern({"table": "a"}, {"requestState": asked["requestState"]}))
    await waiting.pending()
    call.cancel()
    await asyncio.wait({call})
    await waiting.bench.desk.close()
    assert (await waiting.store.get(approval.id)).state is ApprovalState.ABANDONED


async def test_a_state_of_ours_is_known_however_it_is_spelt(waiting: Waiting) -> None:
    asked = result(await waiting.modern({"table": "a"}))
    params = {"name": "drop_table", "arguments": {"table": "a"}, "requestState": asked["requestState"], "_meta": META}
    body = json.dumps({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params})
    spelt = body.replace("cs-wait1", "\\u0063s-wait1").replace("requestState", "request\\u0053tate")
    headers = {"mcp_protocol_version": VERSION, "mcp_method": "tools/call", "mcp_name": "drop_table"}
    await waiting.decide(await waiting.pending())
    asked_again = inquiry(verb="POST", **headers)
    http = replace(asked_again.http, body=spelt.encode())
    passed = await waiting.bench.ask(replace(asked_again, http=http, changes_requests=True))
    assert isinstance(passed, Forward)
    assert passed.handoff is not None
    assert passed.handoff.state == "{}"


async def test_a_legacy_caller_cancels_what_it_named(waiting: Waiting) -> None:
    call = asyncio.ensure_future(waiting.legacy(rpc_id=5))
    approval = await waiting.pending()
    for rpc_id in (6, "5", 5):
        cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": rpc_id}}
        await waiting.bench.ask(inquiry(cancelled))
        expected = ApprovalState.ABANDONED if rpc_id == 5 else ApprovalState.PENDING
        assert (await waiting.store.get(approval.id)).state is expected
    assert "abandoned" in text(await call)


async def test_when_the_rules_changed_meanwhile_nothing_runs(waiting: Waiting) -> None:
    call = asyncio.ensure_future(waiting.legacy())
    approval = await waiting.pending()
    waiting.path.write_text(GATEWAY.replace("within: 15m", "within: 20m"))
    waiting.rulebook.poll()
    await waiting.decide(approval)
    assert "rules changed" in text(await call)
    assert (await waiting.store.get(approval.id)).state is ApprovalState.APPROVED


async def test_when_the_tool_became_another_meanwhile_nothing_runs(waiting: Waiting) -> None:
    call = asyncio.ensure_future(waiting.legacy())
    approval = await waiting.pending()
    waiting.bench.tools.seen = b"another"
    await waiting.decide(approval)
    assert isinstance(await call, Answer)
    assert "waiting for approval" in text(await waiting.legacy())
    assert (await waiting.store.get(approval.id)).state is ApprovalState.APPROVED


async def test_nobody_is_asked_about_a_call_in_a_batch(waiting: Waiting) -> None:
    one = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "drop_table", "arguments": {}}}
    answer = await waiting.bench.ask(replace(inquiry([one]), changes_requests=True))
    assert isinstance(answer, Answer)
    (told,) = json.loads(answer.reply.body)
    assert "send it by itself" in json.dumps(told["result"])
    assert not await waiting.store.page(states=list(ApprovalState), after=None, limit=1)


async def test_when_the_token_is_no_longer_good_nothing_runs(waiting: Waiting) -> None:
    call = asyncio.ensure_future(waiting.legacy())
    approval = await waiting.pending()
    waiting.bench.verifier.error = Unidentified("the token expired 1 s ago")
    await waiting.decide(approval)
    answer = await call
    assert isinstance(answer, Answer)
    assert answer.reply.status == 401
    assert (await waiting.store.get(approval.id)).state is ApprovalState.APPROVED


async def test_without_its_targets_credential_nothing_runs_nor_is_used_up(waiting: Waiting) -> None:
    given = Given(error=CredentialUnavailable("the token endpoint does not answer in time"))
    waiting.bench.judge._presenting._credentials = given
    call = asyncio.ensure_future(waiting.legacy())
    approval = await waiting.decide(await waiting.pending())
    answer = await call
    assert isinstance(answer, Answer)
    assert answer.reply.status == 503
    assert waiting.bench.sink.durable[-1].reason == "the token endpoint does not answer in time: nothing was sent"
    assert (await waiting.store.get(approval.id)).state is ApprovalState.APPROVED
    given.error = None
    assert isinstance(await waiting.legacy(), Forward)


async def test_nobody_floods_the_approvers(waiting: Waiting) -> None:
    for table in "ab":
        await waiting.legacy({"table": table})
    flooded = await waiting.legacy({"table": "c"})
    assert isinstance(flooded, Answer)
    assert flooded.reply.status == 429
    assert "waiting" in text(await waiting.legacy({"table": "a"}))


async def test_without_an_approver_nothing_that_needs_one_runs(waiting: Waiting) -> None:
    waiting.store.away = True
    answer = await waiting.legacy()
    assert isinstance(answer, Answer)
    assert answer.reply.status == 503


async def test_a_grant_that_vanished_lets_nothing_run(waiting: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    async def vanished(approval_id: str, digest: bytes, call_id: str) -> tuple[bool, Approval]:
        raise UnknownApproval("there is no such approval of this caller")

    monkeypatch.setattr(waiting.broker, "consume", vanished)
    call = asyncio.ensure_future(waiting.legacy())
    await waiting.decide(await waiting.pending())
    answer = await call
    assert isinstance(answer, Answer)
    assert answer.reply.status == 503


async def test_twenty_retries_at_once_run_once(waiting: Waiting) -> None:
    calls = [asyncio.ensure_future(waiting.modern({"table": "a"})) for _ in range(20)]
    await waiting.decide(await waiting.pending())
    answers = await asyncio.gather(*calls)
    assert sum(isinstance(answer, Forward) for answer in answers) == 1
    assert (
        ALICE.subject == (await waiting.store.page(states=list(ApprovalState), after=None, limit=1))[0].asked_by.subject
    )


async def test_a_legacy_client_that_asks_for_progress_is_held_as_long_as_that_says(
    tmp_path: Path, rules_cache: Path
) -> None:
    config = GATEWAY.replace("{hold: 0.2s,", "{hold: 0.1s, hold_with_progress: 20s,")
    waiting = Waiting(tmp_path / "gateway.yaml", rules_cache, config)
    assert "waiting for approval" in text(await waiting.legacy({"table": "a"}))
    waiting.broker.waiting.clear()
    params = {"name": "drop_table", "arguments": {"table": "b"}, "_meta": {"progressToken": 1}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    call = asyncio.ensure_future(waiting.bench.ask(replace(inquiry(body), changes_requests=True)))
    # Nothing but the decision ends this hold within the test's time.
    await waiting.decide(await waiting.pending())
    assert isinstance(await call, Forward)
    await waiting.bench.desk.close()
