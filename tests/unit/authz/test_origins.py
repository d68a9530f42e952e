"""What a call goes on from: a task is its caller's, and what comes of it is masked as the call was that began it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from countersign.authz.envoy import Answer, Forward
from countersign.mcp import Handle, HandleKind
from countersign.runtime.handles import HandleOwner
from tests.unit.authz.bench import ALICE, Bench, call, inquiry
from tests.unit.authz.returns import ALICES, Session, answer, modern, rulebook_of, text_of
from tests.unit.authz.returns import bench as bench

RELATED = "io.modelcontextprotocol/related-task"
BOBS = HandleOwner("", ALICE.issuer, "bob", "orders")
TASK, STATE = Handle(HandleKind.TASK, "t-1"), Handle(HandleKind.STATE, "s-1")
RULE = '  - {name: tasks, allow: {groups: ["*"], methods: ["tasks/*"], targets: [orders]}}\n'


def meta(related: object = None, key: str = RELATED) -> dict[str, object]:
    return {"_meta": {key: {"taskId": "t-1"} if related is None else related}}


def refusal(result: Forward | Answer) -> tuple[int, int]:
    assert isinstance(result, Answer)
    return result.reply.status, json.loads(result.reply.body)["error"]["code"]


def related_call(**of: object) -> dict[str, object]:
    asked = call()
    params = asked["params"]
    assert isinstance(params, dict)
    return {**asked, "params": {**params, **of}}


async def test_a_call_is_related_to_nobody_elses_task(bench: Bench) -> None:
    await bench.handles.keep(BOBS, [TASK])
    assert refusal(await bench.ask(inquiry(related_call(**meta())))) == (400, -32602)
    progress = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 1, **meta()}}
    session = Session(bench)
    assert refusal(await session.ask(progress)) == (400, -32602)
    await bench.handles.keep(ALICES, [TASK])
    assert isinstance(await bench.ask(inquiry(related_call(**meta()))), Forward)
    assert isinstance(await session.ask(progress), Forward)


@pytest.mark.parametrize(
    "related",
    [meta({"taskId": 1}), meta({}), meta("t-1"), meta({"taskid": "t-1", "taskId": "mine"}), meta(key=RELATED.upper())],
)
async def test_a_relation_that_could_be_read_in_two_ways_is_refused(bench: Bench, related: dict[str, object]) -> None:
    await bench.handles.keep(ALICES, [TASK, Handle(HandleKind.TASK, "mine")])
    assert refusal(await bench.ask(inquiry(related_call(**related))))[0] == 400
    session = Session(bench)
    await session.asked("7")
    assert refusal(await session.ask(answer(7, result=related)))[0] == 400


async def test_a_relation_hidden_by_escapes_is_seen(bench: Bench) -> None:
    session = Session(bench)
    await session.asked("7")
    for asked in (inquiry(related_call(**meta())), session.inquiry(answer(7, result=meta()))):
        body = asked.http.body.replace(b"related-task", rb"related\u002dtask").replace(b"taskId", rb"t\u0061skId")
        assert b"related-task" not in body
        assert refusal(await bench.ask(replace(asked, http=replace(asked.http, body=body)))) == (400, -32602)


async def test_an_answer_is_related_to_its_callers_tasks_and_to_those_that_its_client_made(bench: Bench) -> None:
    session = Session(bench)
    for number in (7, 8, 9):
        await session.asked(str(number), "sampling/createMessage")
    await bench.handles.keep(BOBS, [TASK])
    assert refusal(await session.ask(answer(7, result=meta()))) == (400, -32602)
    made = {"task": {"taskId": "t-1", "status": "working", "ttl": 60_000}}
    assert isinstance(await session.ask(answer(7, result=made)), Forward)
    assert isinstance(await session.ask(answer(8, result=meta())), Forward)
    # In its own session alone, and no call is related to what the target never made.
    other = Session(bench)
    await other.asked("9")
    assert refusal(await other.ask(answer(9, result=meta()))) == (400, -32602)
    assert refusal(await session.ask({**related_call(**meta()), "id": 5})) == (400, -32602)


def masks(result: Forward | Answer) -> tuple[str, ...]:
    assert isinstance(result, Forward)
    assert result.handoff is not None
    return result.handoff.masks


async def test_what_comes_of_a_task_is_masked_as_its_call_was(tmp_path: Path, rules_cache: Path) -> None:
    bench = Bench(rulebook_of(tmp_path / "gateway.yaml", rules_cache, text_of(more=RULE)))
    await bench.handles.keep(ALICES, [TASK], ("cards", "pii"))
    for method in ("tasks/get", "tasks/cancel"):
        for _ in range(2):
            assert masks(await bench.ask(modern({"taskId": "t-1"}, method, "t-1"))) == ("cards", "pii")
            decision = bench.sink.durable[-1].decision
            assert decision is not None
            assert decision.masks == ("cards", "pii"), "the record says so"
    await bench.handles.keep(ALICES, [Handle(HandleKind.TASK, "t-2")])
    assert masks(await bench.ask(modern({"taskId": "t-2"}, "tasks/get", "t-2"))) == ()


async def test_a_task_that_a_masked_call_joins_later_is_masked_from_then_on(tmp_path: Path, rules_cache: Path) -> None:
    bench = Bench(rulebook_of(tmp_path / "gateway.yaml", rules_cache, text_of(more=RULE)))
    await bench.handles.keep(ALICES, [TASK])
    assert masks(await bench.ask(modern({"taskId": "t-1"}, "tasks/get", "t-1"))) == ()
    # Its target tells the same id for another call, as those do that name jobs by what is asked of them.
    await bench.handles.keep(ALICES, [TASK], ("cards",))
    assert masks(await bench.ask(modern({"taskId": "t-1"}, "tasks/get", "t-1"))) == ("cards",)


async def test_what_goes_on_from_a_state_is_masked_as_its_call_was(tmp_path: Path, rules_cache: Path) -> None:
    bench = Bench(rulebook_of(tmp_path / "gateway.yaml", rules_cache, text_of()))
    await bench.handles.keep(ALICES, [STATE], ("cards",))
    asked = modern({"name": "query", "arguments": {}, "requestState": "s-1", "inputResponses": {}})
    assert masks(await bench.ask(asked)) == ("cards", "pii")


async def test_what_was_masked_by_what_nobody_knows_any_more_is_not_asked_for(bench: Bench) -> None:
    await bench.handles.keep(ALICES, [STATE], ("gone",))
    asked = modern({"name": "query", "arguments": {}, "requestState": "s-1"})
    for _ in range(2):
        assert refusal(await bench.ask(asked)) == (400, -32602)
