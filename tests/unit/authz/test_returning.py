"""What callers come back with: only what their session, or they themselves, were shown reaches the target."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from countersign.authz import underway
from countersign.authz.envoy import Answer, Forward, Inquiry
from countersign.config import SecretUse
from countersign.mcp import Handle, HandleKind
from countersign.model.decision import Outcome
from countersign.model.event import Event, EventKind
from countersign.runtime.handles import HandleOwner, HandlesAway
from countersign.runtime.moments import new_id
from countersign.runtime.rulebook import Rulebook
from countersign.runtime.sealing import SealedSession
from tests.support.recorders import until
from tests.unit.authz.bench import ALICE, CREDENTIAL, GATEWAY, NOW_US, SEALER, Bench, call, inquiry

MODERN = "2026-07-28"
TASKS = "io.modelcontextprotocol/tasks"
CARD = "4111 1111 " + "1111 1111"
MORE = """
  - {name: no forms, deny: {methods: [elicitation/create], targets: [orders]}, message: Fill in no forms.}
"""


def text_of(*, more: str = "", target: str = "") -> str:
    text = GATEWAY.replace("masks: {pii", f"{more}masks: {{cards: {{detect: [credit_card]}}, pii")
    return text.replace("  statements:", f"  {target}statements:")


def rulebook_of(path: Path, cache: Path, text: str) -> Rulebook:
    path.write_text(text)
    return Rulebook(path, {"ORDERS_TOKEN": CREDENTIAL}, cache, reads={SecretUse.TARGETS})


@pytest.fixture
def bench(tmp_path: Path, rules_cache: Path) -> Bench:
    return Bench(rulebook_of(tmp_path / "gateway.yaml", rules_cache, GATEWAY))


class Session:
    """A legacy session of alice's, in which its target asks."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.id = new_id()
        self.sealed = SEALER.seal_session(ALICE, "orders", SealedSession("theirs", self.id))
        self.owner = HandleOwner(self.id, ALICE.issuer, ALICE.subject, "orders")

    async def asked(self, id_json: str, method: str = "elicitation/create") -> None:
        await self.bench.handles.keep(self.owner, [Handle(HandleKind.REQUEST, id_json, method)])

    def inquiry(self, body: object, **headers: str) -> Inquiry:
        return inquiry(body, mcp_session_id=self.sealed, **headers)

    async def ask(self, body: object, **headers: str) -> Forward | Answer:
        return await self.bench.ask(self.inquiry(body, **headers))


def answer(rpc_id: object = 7, **said: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": rpc_id, **(said or {"result": {"action": "accept", "content": {"name": "x"}}})}


async def test_an_answer_passes_once_when_its_session_was_asked(bench: Bench) -> None:
    session = Session(bench)
    await session.asked("7")
    passed = await session.ask(answer())
    assert isinstance(passed, Forward)
    assert passed.set_headers["mcp-session-id"] == "theirs"
    assert passed.handoff is not None
    # The target owes nothing to an answer: one with its id would be another's.
    assert [each.id_json for each in passed.handoff.calls] == [""]
    (event,) = bench.sink.durable
    assert (event.kind, event.method) == (EventKind.REQUEST, "elicitation/create")
    assert json.loads(event.body) == {"result": {"action": "accept", "content": {"name": "x"}}}
    again = await session.ask(answer())
    assert isinstance(again, Answer)
    assert again.reply.status == 400


@pytest.mark.parametrize("said", [{"error": {"code": -1, "message": "no"}}, {"result": {"roots": []}}])
async def test_errors_answer_as_well_as_results(bench: Bench, said: dict[str, object]) -> None:
    session = Session(bench)
    await session.asked('"a"')
    assert isinstance(await session.ask(answer("a", **said)), Forward)


@pytest.mark.parametrize("rpc_id", ["7", 8, "a", 70])
async def test_an_id_of_another_type_or_value_was_not_asked(bench: Bench, rpc_id: object) -> None:
    session = Session(bench)
    await session.asked("7")
    refused = await session.ask(answer(rpc_id))
    assert isinstance(refused, Answer)
    assert (refused.reply.status, json.loads(refused.reply.body)["error"]["code"]) == (400, -32600)
    assert bench.sink.durable[-1].decision is not None
    assert bench.sink.durable[-1].decision.outcome is Outcome.REFUSED


async def test_what_one_session_was_asked_no_other_answers(bench: Bench) -> None:
    await Session(bench).asked("7")
    assert isinstance(await Session(bench).ask(answer()), Answer)
    assert isinstance(await bench.ask(inquiry(answer())), Answer)


async def test_of_answers_that_come_together_all_pass_or_none(bench: Bench) -> None:
    session = Session(bench)
    await session.asked("7")
    assert isinstance(await session.ask([answer(7), answer(8)]), Answer)
    await session.asked("8")
    assert isinstance(await session.ask([answer(7), answer(8)]), Forward)


async def test_of_two_racing_answers_one_passes(bench: Bench) -> None:
    session = Session(bench)
    await session.asked("7")
    results = await asyncio.gather(*(session.ask(answer()) for _ in range(5)))
    assert sum(isinstance(each, Forward) for each in results) == 1


async def test_an_answer_that_could_not_be_recorded_can_come_again_and_no_other_one(bench: Bench) -> None:
    session = Session(bench)
    await session.asked("7")
    bench.sink.refuse = lambda _: True
    lost = await session.ask(answer())
    assert isinstance(lost, Answer)
    assert lost.reply.status == 503
    bench.sink.refuse = lambda _: False
    other = await session.ask(answer(7, result={"action": "decline"}))
    assert isinstance(other, Answer)
    assert other.reply.status == 400
    assert isinstance(await session.ask(answer()), Forward)
    assert isinstance(await session.ask(answer()), Answer), "its target has it"


async def test_an_answer_whose_caller_left_while_it_was_recorded_can_come_again(bench: Bench) -> None:
    session, recording = Session(bench), asyncio.Event()
    await session.asked("7")

    async def never(event: Event) -> None:
        recording.set()
        await asyncio.Event().wait()

    record, bench.sink.record = bench.sink.record, never  # type: ignore[method-assign]  # it hangs
    asking = asyncio.ensure_future(session.ask(answer()))
    await recording.wait()
    asking.cancel()
    await asyncio.wait({asking})
    bench.sink.record = record  # type: ignore[method-assign]  # and goes on
    assert isinstance(await session.ask(answer()), Forward)


async def test_an_answer_of_which_nobody_knows_whether_it_was_sent_is_not_sent(bench: Bench) -> None:
    session = Session(bench)
    await session.asked("7")
    spend = bench.handles.spend

    async def away(owner: HandleOwner, handles: Sequence[Handle]) -> bool:
        raise HandlesAway("away")

    bench.handles.spend = away  # type: ignore[method-assign]  # only now
    lost = await session.ask(answer())
    assert isinstance(lost, Answer)
    assert lost.reply.status == 503
    last = bench.sink.durable[-1]
    assert (last.kind, last.status, last.reason) == (EventKind.RESPONSE, 503, "away: nothing was sent")
    bench.handles.spend = spend  # type: ignore[method-assign]  # there again
    assert isinstance(await session.ask(answer()), Forward)


async def test_of_the_same_answer_twice_at_once_the_record_says_which_was_sent(bench: Bench) -> None:
    session = Session(bench)
    await session.asked("7")
    results = await asyncio.gather(*(session.ask(answer()) for _ in range(3)))
    (passed,) = [each for each in results if isinstance(each, Forward)]
    assert passed.handoff is not None
    unsent = {one.call_id for one in bench.sink.durable if one.reason.endswith("nothing was sent")}
    recorded = {
        one.call_id
        for one in bench.sink.durable
        if one.kind is EventKind.REQUEST and one.decision is not None and one.decision.allowed
    }
    assert recorded - unsent == {passed.handoff.call_id}


@pytest.mark.parametrize(
    "body",
    [
        answer(7, result={"action": "accept", "Action": "decline"}),
        answer(7, result={}, error={"code": 1, "message": "x"}),
        answer(7, error={"code": 1, "message": "x", "Data": 1}),
        answer(7, result=[]),
        {"jsonrpc": "2.0", "id": 7, "method": "elicitation/create", "params": {}},
    ],
)
async def test_an_answer_that_could_be_read_in_two_ways_is_refused(bench: Bench, body: object) -> None:
    session = Session(bench)
    await session.asked("7")
    refused = await session.ask(body)
    assert isinstance(refused, Answer)
    assert refused.reply.status == 400
    assert isinstance(await session.ask(answer()), Forward), "nothing was used up"


async def test_a_rule_denies_answers_by_what_they_answer(tmp_path: Path, rules_cache: Path) -> None:
    session = Session(Bench(rulebook_of(tmp_path / "gateway.yaml", rules_cache, text_of(more=MORE.rstrip(" ")))))
    for id_json, method in (("7", "elicitation/create"), ("8", "sampling/createMessage"), ("9", "")):
        await session.asked(id_json, method)
    denied = await session.ask(answer(7))
    assert isinstance(denied, Answer)
    assert (denied.reply.status, json.loads(denied.reply.body)["error"]["code"]) == (403, 4030)
    assert b"Fill in no forms." in denied.reply.body
    assert isinstance(await session.ask(answer(8)), Forward)
    assert isinstance(await session.ask(answer(9)), Forward)


async def test_what_must_not_leave_is_masked_or_refused_in_answers_too(tmp_path: Path, rules_cache: Path) -> None:
    asks = "mask_request: {mask: [cards], refuse: [pii]}, "
    session = Session(Bench(rulebook_of(tmp_path / "gateway.yaml", rules_cache, text_of(target=asks))))
    for id_json in ("7", "8"):
        await session.asked(id_json)
    guarded = inquiry(answer(7, result={"action": "accept", "content": {"card": CARD}}), mcp_session_id=session.sealed)
    masked = await session.bench.ask(replace(guarded, changes_requests=True))
    assert isinstance(masked, Forward)
    assert masked.handoff is not None
    assert masked.handoff.mask_request
    mail = "canary@" + "example.org"
    refused = await session.ask(answer(8, result={"action": "accept", "content": {"mail": mail}}))
    assert isinstance(refused, Answer)
    assert refused.reply.status == 403


def modern(
    params: dict[str, object],
    method: str = "tools/call",
    name: str = "query",
    *,
    can: dict[str, object] | None = None,
) -> Inquiry:
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": can if can is not None else {"extensions": {TASKS: {}}},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
    return inquiry(body, mcp_protocol_version=MODERN, mcp_method=method, mcp_name=name)


ALICES = HandleOwner("", ALICE.issuer, ALICE.subject, "orders")


@pytest.mark.parametrize("owner", [ALICES, HandleOwner("", ALICE.issuer, "bob", "orders"), None])
async def test_a_state_is_good_for_whom_it_was_shown_to(bench: Bench, owner: HandleOwner | None) -> None:
    if owner is not None:
        await bench.handles.keep(owner, [Handle(HandleKind.STATE, "opaque")])
    asked = modern({"name": "query", "arguments": {}, "requestState": "opaque", "inputResponses": {}})
    for _ in range(2):
        result = await bench.ask(asked)
        if owner is ALICES:
            assert isinstance(result, Forward)
        else:
            assert isinstance(result, Answer)
            error = json.loads(result.reply.body)
            assert (result.reply.status, error["error"]["code"], error["id"]) == (400, -32602, 1)


@pytest.mark.parametrize("state", [5, {}, [], True])
async def test_a_state_that_is_no_text_is_refused(bench: Bench, state: object) -> None:
    result = await bench.ask(modern({"name": "query", "arguments": {}, "requestState": state}))
    assert isinstance(result, Answer)
    assert result.reply.status == 400


async def test_a_state_hidden_by_escapes_is_seen(bench: Bench) -> None:
    asked = modern({"name": "query", "arguments": {}, "requestState": "opaque"})
    escaped = asked.http.body.replace(b"requestState", rb"request\u0053tate")
    result = await bench.ask(replace(asked, http=replace(asked.http, body=escaped)))
    assert isinstance(result, Answer)
    assert result.reply.status == 400


@pytest.mark.parametrize(
    ("method", "params", "name"),
    [
        ("tasks/get", {"taskId": "t-1"}, "t-1"),
        ("tasks/cancel", {"taskId": "t-1"}, "t-1"),
        ("tasks/update", {"taskId": "t-1", "inputResponses": {}}, "t-1"),
        ("subscriptions/listen", {"notifications": {"taskIds": ["t-1"]}}, ""),
    ],
)
async def test_a_task_is_unknown_to_all_but_its_caller(
    tmp_path: Path, rules_cache: Path, method: str, params: dict[str, object], name: str
) -> None:
    rule = '  - {name: tasks, allow: {groups: ["*"], methods: ["tasks/*"], targets: [orders]}}\n'
    bench = Bench(rulebook_of(tmp_path / "gateway.yaml", rules_cache, text_of(more=rule)))
    asked = modern(params, method, name)
    if not name:
        headers = {key: value for key, value in asked.http.headers.items() if key != "mcp-name"}
        asked = replace(asked, http=replace(asked.http, headers=headers))
    result = await bench.ask(asked)
    assert isinstance(result, Answer)
    assert (result.reply.status, json.loads(result.reply.body)["error"]["code"]) == (400, -32602)
    await bench.handles.keep(ALICES, [Handle(HandleKind.TASK, "t-1")])
    assert isinstance(await bench.ask(asked), Forward)


async def test_a_subscription_asks_about_no_more_tasks_than_can_be_looked_up(bench: Bench) -> None:
    asked = modern({"notifications": {"taskIds": ["t"] * 1_001}}, "subscriptions/listen", "")
    headers = {key: value for key, value in asked.http.headers.items() if key != "mcp-name"}
    result = await bench.ask(replace(asked, http=replace(asked.http, headers=headers)))
    assert isinstance(result, Answer)
    error = json.loads(result.reply.body)
    assert (result.reply.status, error["error"]["code"], error["id"]) == (400, -32602, 1)
    assert bench.handles.asked == 0


@pytest.mark.parametrize("method", ["tasks/get", "tasks/cancel", "tasks/update"])
async def test_who_declares_no_tasks_is_told_so_of_a_task_that_is_unknown(
    tmp_path: Path, rules_cache: Path, method: str
) -> None:
    rule = '  - {name: tasks, allow: {groups: ["*"], methods: ["tasks/*"], targets: [orders]}}\n'
    bench = Bench(rulebook_of(tmp_path / "gateway.yaml", rules_cache, text_of(more=rule)))
    asked = modern({"taskId": "t-1"}, method, "t-1", can={"extensions": {"com.example/other": {}}})
    result = await bench.ask(asked)
    assert isinstance(result, Answer)
    error = json.loads(result.reply.body)["error"]
    assert (result.reply.status, error["code"]) == (400, -32021)
    assert error["data"] == {"requiredCapabilities": {"extensions": {TASKS: {}}}}
    # Of a task that it has, its target says so.
    await bench.handles.keep(ALICES, [Handle(HandleKind.TASK, "t-1")])
    assert isinstance(await bench.ask(asked), Forward)


async def test_what_cannot_be_looked_up_is_not_sent(bench: Bench) -> None:
    session = Session(bench)
    await session.asked("7")
    bench.handles.away = True
    for asked in (session.inquiry(answer()), modern({"name": "query", "arguments": {}, "requestState": "x"})):
        result = await bench.ask(asked)
        assert isinstance(result, Answer)
        assert result.reply.status == 503


async def test_a_call_that_comes_back_with_nothing_asks_nobody(bench: Bench) -> None:
    assert isinstance(await bench.ask(inquiry(call())), Forward)
    assert isinstance(await Session(bench).ask(call()), Forward)
    assert bench.handles.asked == 0


async def test_an_id_is_used_again_once_its_call_has_ended_and_not_before(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(underway, "PATIENCE_S", 0.0)
    session, bench.handles.under_way = Session(bench), True
    assert isinstance(await session.ask(call()), Forward)
    refused = await session.ask(call())
    assert isinstance(refused, Answer)
    error = json.loads(refused.reply.body)
    assert (refused.reply.status, error["error"]["code"], error["id"]) == (400, -32600, 1)
    # Another id, another type of it, another session, another sender: all of them are others.
    assert isinstance(await session.ask(call(rpc_id=2)), Forward)
    assert isinstance(await session.ask({**call(), "id": "1"}), Forward)
    assert isinstance(await Session(bench).ask(call()), Forward)
    for _ in range(2):
        assert isinstance(await bench.ask(inquiry(call())), Forward)
    bench.handles.under_way = False
    assert isinstance(await session.ask(call()), Forward)


async def test_an_id_whose_call_was_denied_is_free(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(underway, "PATIENCE_S", 0.0)
    session, bench.handles.under_way = Session(bench), True
    for _ in range(2):
        denied = await session.ask(call("drop_table"))
        assert isinstance(denied, Answer)
        assert denied.reply.status == 200
    assert isinstance(await session.ask(call()), Forward)


async def test_an_end_that_is_recorded_a_moment_later_is_waited_for(bench: Bench) -> None:
    session, bench.handles.under_way = Session(bench), True
    assert isinstance(await session.ask(call()), Forward)
    again = asyncio.ensure_future(session.ask(call()))
    await until(lambda: bench.handles.asked >= 2)
    bench.handles.under_way = False
    assert isinstance(await again, Forward)


def cancellation(**of: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1, **of}}


async def test_a_cancellation_reaches_a_target_only_within_a_session(bench: Bench) -> None:
    assert isinstance(await Session(bench).ask(cancellation()), Forward)
    for asked in (
        inquiry(cancellation()),
        inquiry(cancellation(), mcp_protocol_version=MODERN, mcp_method="notifications/cancelled"),
    ):
        result = await bench.ask(asked)
        assert isinstance(result, Answer)
        assert (result.reply.status, result.reply.body) == (202, b"")
        assert "nothing was sent" in bench.sink.durable[-1].reason
    among_others = await bench.ask(inquiry([cancellation(), call()]))
    assert isinstance(among_others, Answer)
    assert among_others.reply.status == 400
    assert isinstance(await Session(bench).ask([cancellation(), call()]), Forward)


async def test_what_is_remembered_of_ids_is_bounded_in_number_and_in_time(
    tmp_path: Path, rules_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(underway, "PATIENCE_S", 0.0)
    monkeypatch.setattr(underway, "_MOST", 2)
    clock = [NOW_US]
    bench = Bench(rulebook_of(tmp_path / "gateway.yaml", rules_cache, GATEWAY), clock=lambda: clock[0])
    session, bench.handles.under_way = Session(bench), True
    for rpc_id in (1, 2, 3):
        assert isinstance(await session.ask(call(rpc_id=rpc_id)), Forward)
    assert isinstance(await session.ask(call(rpc_id=3)), Answer)
    assert isinstance(await session.ask(call(rpc_id=1)), Forward), "the oldest is forgotten"
    clock[0] += underway.FORGOTTEN_US
    assert isinstance(await session.ask(call(rpc_id=3)), Forward)
