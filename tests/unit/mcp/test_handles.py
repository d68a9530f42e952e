"""What is read of the handles in messages, by masker where they are shown and by authz where they come back."""

from __future__ import annotations

import json

import pytest

from countersign.jsontext import apply_edits, parse
from countersign.mcp import (
    AnswerRefused,
    Era,
    Handle,
    HandleKind,
    HttpRequest,
    McpRefused,
    check_answer,
    filter_tasks,
    listed_tasks,
    presented_handles,
    read_request,
    shown_handles,
)

REQUEST, STATE, TASK = HandleKind.REQUEST, HandleKind.STATE, HandleKind.TASK
MS_US = 1_000


def shown(message: object, method: str | None = "tools/call") -> list[Handle]:
    document = parse(json.dumps(message), max_depth=64)
    answers = check_answer(document, era=Era.LEGACY, expected_ids=None, in_stream=True)
    return list(shown_handles(document, answers, [method] * len(answers)))


def result(**members: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": 1, "result": members}


@pytest.mark.parametrize(
    ("message", "handles"),
    [
        ({"jsonrpc": "2.0", "id": 3, "method": "roots/list"}, [Handle(REQUEST, "3", "roots/list")]),
        ({"jsonrpc": "2.0", "id": "3", "method": "ping"}, [Handle(REQUEST, '"3"', "ping")]),
        ({"jsonrpc": "2.0", "id": 3, "method": "tasks/get"}, [Handle(REQUEST, "3")]),
        ({"jsonrpc": "2.0", "method": "notifications/message", "params": {"taskId": "t"}}, []),
        (result(requestState="s"), [Handle(STATE, "s")]),
        (result(requestState=None), []),
        (result(resultType="task", taskId="t", ttlMs=5), [Handle(TASK, "t", "", 5 * MS_US)]),
        (result(task={"taskId": "t", "ttl": 5}), [Handle(TASK, "t", "", 5 * MS_US)]),
        (result(taskId="t"), [Handle(TASK, "t")]),
        (result(taskId="t", ttlMs=None), [Handle(TASK, "t", "", 2**53 - 1)]),
        (result(taskId="t", ttlMs=10**30), [Handle(TASK, "t", "", 2**53 - 1)]),
        (result(content=[{"type": "text", "text": "requestState"}], structuredContent={"taskId": "t"}), []),
        ({"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "x", "data": {"taskId": "t"}}}, []),
        (
            [{"jsonrpc": "2.0", "id": 3, "method": "ping"}, result(requestState="s")],
            [Handle(REQUEST, "3", "ping"), Handle(STATE, "s")],
        ),
    ],
)
def test_what_a_target_hands_out_is_seen(message: object, handles: list[Handle]) -> None:
    assert shown(message) == handles


@pytest.mark.parametrize("method", ["tasks/get", "tasks/list", "tasks/result", "tasks/cancel"])
def test_an_answer_about_a_task_makes_it_nobodys(method: str) -> None:
    assert shown(result(taskId="t", task={"taskId": "t"}, requestState="s"), method) == [Handle(STATE, "s")]


@pytest.mark.parametrize("of", [{"requestState": 1}, {"requestState": {}}, {"taskId": 7}, {"task": {"taskId": None}}])
def test_what_nobody_could_hand_back_is_refused(of: dict[str, object]) -> None:
    with pytest.raises(AnswerRefused):
        shown(result(**of))


def filtered(message: object, method: str | None) -> object:
    document = parse(json.dumps(message), max_depth=64)
    (answer,) = check_answer(document, era=Era.LEGACY, expected_ids=None, in_stream=True)
    edits = filter_tasks(document, answer, method, lambda task_id: task_id == "mine")
    return json.loads(apply_edits(document.text, edits))["result"]["tasks"]


@pytest.mark.parametrize("method", ["tasks/list", None])
def test_a_listing_keeps_only_the_callers_own_tasks(method: str | None) -> None:
    tasks = [{"taskId": "theirs"}, {"taskId": "mine", "status": "working"}, {"taskId": "nobody's"}]
    assert filtered(result(tasks=tasks), method) == [tasks[1]]


@pytest.mark.parametrize("tasks", [{}, [1], [{"taskid": "t"}], [{"taskId": 1}], "x"])
def test_a_listing_that_cannot_be_filtered_is_refused(tasks: object) -> None:
    document = parse(json.dumps(result(tasks=tasks)), max_depth=64)
    (answer,) = check_answer(document, era=Era.LEGACY, expected_ids=None, in_stream=True)
    with pytest.raises(AnswerRefused):
        listed_tasks(document, answer, "tasks/list")
    assert listed_tasks(document, answer, "tools/call") == ()


RELATED = {"io.modelcontextprotocol/related-task": {"taskId": "r"}}


def presented(method: str, params: dict[str, object], text: str | None = None) -> list[Handle]:
    body = text or json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    headers = {"content-type": "application/json", "mcp-protocol-version": "2025-11-25"}
    request = read_request("t", HttpRequest("POST", headers, body.encode()), max_depth=64)
    return list(presented_handles(request.messages[0]))


@pytest.mark.parametrize(
    ("method", "params", "handles"),
    [
        ("tools/call", {"name": "x", "requestState": "s"}, [Handle(STATE, "s")]),
        ("tools/call", {"name": "x", "requestState": None}, []),
        ("tools/call", {"name": "x", "arguments": {"requestState": "s", "taskId": "t"}}, []),
        ("vendor/own", {"requestState": "s"}, [Handle(STATE, "s")]),
        ("tasks/result", {"taskId": "t"}, [Handle(TASK, "t")]),
        ("tasks/list", {}, []),
        ("tasks/list", {"cursor": "taskId"}, []),
        ("subscriptions/listen", {"notifications": {"taskIds": ["t", "u"]}}, [Handle(TASK, "t"), Handle(TASK, "u")]),
        ("tools/call", {"name": "x", "_meta": RELATED}, [Handle(TASK, "r")]),
        ("tasks/result", {"taskId": "t", "_meta": RELATED}, [Handle(TASK, "t"), Handle(TASK, "r")]),
        ("tools/call", {"name": "x", "arguments": {"_meta": RELATED}}, []),
    ],
)
def test_what_a_client_comes_back_with_is_seen(method: str, params: dict[str, object], handles: list[Handle]) -> None:
    assert presented(method, params) == handles


def test_escapes_hide_nothing() -> None:
    text = r'{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"task\u0049d":"\u0074"}}'
    assert presented("tasks/get", {}, text) == [Handle(TASK, "t")]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/call", {"name": "x", "requestState": 1}),
        ("tasks/get", {"taskId": ["t"]}),
        ("tasks/get", {"taskId": None}),
        ("tools/call", {"name": "x", "_meta": {"io.modelcontextprotocol/related-task": "r"}}),
        ("tools/call", {"name": "x", "_meta": {"io.modelcontextprotocol/related-task": {"TASKID": "r"}}}),
        ("tools/call", {"name": "x", "_meta": {"io.modelcontextprotocol/Related-Task": {"taskId": "r"}}}),
        ("subscriptions/listen", {"notifications": {"taskIds": [1]}}),
    ],
)
def test_what_is_no_text_is_refused(method: str, params: dict[str, object]) -> None:
    with pytest.raises(McpRefused):
        presented(method, params)
