"""What callers come back with: only states and tasks that they themselves were shown reach the target."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from countersign.authz.envoy import Answer, Forward
from countersign.mcp import Handle, HandleKind
from countersign.runtime.handles import HandleOwner
from tests.unit.authz.bench import ALICE, Bench, call, inquiry
from tests.unit.authz.returns import ALICES, TASKS, Session, answer, modern, rulebook_of, text_of
from tests.unit.authz.returns import bench as bench


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
