"""What answers hand out: kept before it is shown, as it is shown; and of listed tasks only the caller's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid4

import pytest
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb

from countersign.mcp import Handle, HandleKind
from countersign.model.event import EventKind
from countersign.runtime.handles import HandleOwner
from tests.unit.masker.exchanging import ALICE, EVENTS, JSON, Bench, refused, released
from tests.unit.masker.exchanging import bench as bench
from tests.unit.masker.exchanging import rulebook as rulebook

MAIL = "canary@" + "example.org"
OWNER = HandleOwner("", ALICE.issuer, ALICE.subject, "orders")


def result(**members: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": members}).encode()


def event(*messages: object) -> bytes:
    return b"".join(b"data: %s\n\n" % json.dumps(each).encode() for each in messages)


def asked(rpc_id: object, method: str = "elicitation/create") -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": rpc_id, "method": method, "params": {"message": "who?"}}


async def told(
    bench: Bench, body: bytes, content_type: str = JSON, method: str = "tools/call", era: str = "legacy"
) -> Sequence[pb.ProcessingResponse]:
    await bench.head(content_type, method=method, era=era)
    return await bench.body(body, ends=True)


def requests(bench: Bench) -> set[tuple[str, str]]:
    """Which requests are kept, by ids, with their methods."""
    return {(key[2], method) for key, method in bench.handles.kept.items() if key[0] == "request"}


async def test_a_targets_requests_are_kept_with_their_types_before_they_are_shown(bench: Bench) -> None:
    replies = await told(bench, event(asked(1), asked("1", "ping"), asked(2, "vendor/own")), content_type=EVENTS)
    assert requests(bench) == {("1", "elicitation/create"), ('"1"', "ping"), ("2", "")}
    assert released(replies).count(b"who?") == 3


async def test_what_cannot_be_kept_is_never_shown(bench: Bench) -> None:
    bench.handles.away = True
    assert refused(await told(bench, result(requestState="opaque", resultType="input_required"), era="modern")) == 502


@pytest.mark.parametrize("drawn", [4111111111111111, str(uuid4())], ids=["number", "uuid"])
async def test_an_id_that_a_program_drew_is_shown_as_it_is(bench: Bench, drawn: object) -> None:
    replies = await told(bench, event(asked(drawn)), content_type=EVENTS)
    assert requests(bench) == {(json.dumps(drawn), "elicitation/create")}
    assert json.loads(released(replies).removeprefix(b"data: "))["id"] == drawn


@pytest.mark.parametrize("message", [asked(MAIL), {"jsonrpc": "2.0", "id": 1, "result": {"requestState": MAIL}}])
async def test_what_masks_change_can_never_come_back(bench: Bench, message: object) -> None:
    replies = await told(bench, event(message), content_type=EVENTS)
    assert MAIL.encode() not in released(replies)
    assert bench.handles.kept == {}


async def test_states_and_tasks_are_kept_for_their_caller(bench: Bench) -> None:
    await told(bench, result(resultType="task", taskId="t-1", requestState="s-1"), era="modern")
    found = await bench.handles.find(OWNER, [Handle(HandleKind.TASK, "t-1"), Handle(HandleKind.STATE, "s-1")])
    assert None not in found


@pytest.mark.parametrize("content_type", [EVENTS, "application/json"])
async def test_of_listed_tasks_only_the_callers_own_are_left(bench: Bench, content_type: str) -> None:
    await bench.handles.keep(OWNER, [Handle(HandleKind.TASK, "mine")])
    body = result(tasks=[{"taskId": "theirs", "note": "x"}, {"taskId": "mine"}])
    body = b"data: %s\n\n" % body if content_type == EVENTS else body
    answer = released(await told(bench, body, content_type=content_type, method="tasks/list"))
    assert json.loads(answer.removeprefix(b"data: "))["result"]["tasks"] == [{"taskId": "mine"}]


async def test_tasks_of_nobody_known_are_not_listed(bench: Bench) -> None:
    bench.handles.away = True
    assert refused(await told(bench, result(tasks=[{"taskId": "mine"}]), method="tasks/list")) == 502


def status(task_id: object, method: str = "notifications/tasks/status") -> dict[str, object]:
    return {"jsonrpc": "2.0", "method": method, "params": {"taskId": task_id, "statusMessage": f"how {task_id} does"}}


@pytest.mark.parametrize("method", ["notifications/tasks/status", "notifications/tasks"])
async def test_nobody_is_told_of_the_tasks_of_others(bench: Bench, method: str) -> None:
    await bench.handles.keep(OWNER, [Handle(HandleKind.TASK, "mine")])
    body = event(status("theirs", method), status("mine", method), status(7, method), asked(1))
    await bench.head(EVENTS, method="GET", id_json="")
    passed = released(await bench.body(body))
    assert passed == event(status("mine", method), asked(1))
    kinds = [(each.kind, bool(each.body), each.reason) for each in bench.sink.durable]
    withheld = (EventKind.STREAM_EVENT, False, "it tells of a task that is not this caller's: withheld")
    shown = (EventKind.STREAM_EVENT, True, "")
    assert kinds == [withheld, shown, withheld, shown]
    # What a caller begins meanwhile is theirs from then on.
    await bench.handles.keep(OWNER, [Handle(HandleKind.TASK, "theirs")])
    assert released(await bench.body(event(status("theirs", method)))) == event(status("theirs", method))


async def some_tasks(bench: Bench) -> None:
    for task_id, masks in (("masked", ("told",)), ("plain", ())):
        await bench.handles.keep(OWNER, [Handle(HandleKind.TASK, task_id)], masks)
    await bench.handles.keep(replace(OWNER, subject="bob"), [Handle(HandleKind.TASK, "theirs")], ("told",))


async def test_what_is_told_of_a_task_is_masked_as_the_call_was_that_began_it(bench: Bench) -> None:
    await some_tasks(bench)
    await bench.head(EVENTS, method="GET", id_json="")
    passed = released(await bench.body(event(status("masked"), status("plain"), status("theirs"))))
    assert [json.loads(line[6:])["params"] for line in passed.splitlines() if line] == [
        {"taskId": "masked", "statusMessage": "[STATUSMESSAGE]"},
        {"taskId": "plain", "statusMessage": "how plain does"},
    ]


async def test_a_task_that_a_masked_call_joins_while_it_is_told_of_is_masked_from_then_on(bench: Bench) -> None:
    await some_tasks(bench)
    await bench.head(EVENTS, method="GET", id_json="")
    assert b"how plain does" in released(await bench.body(event(status("plain"))))
    await bench.handles.keep(OWNER, [Handle(HandleKind.TASK, "plain")], ("told",))
    assert b"how plain does" not in released(await bench.body(event(status("plain"))))


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (("plain", "theirs"), ["how plain does"]),
        # One message is masked as a whole.
        (("masked", "plain", "theirs"), ["[STATUSMESSAGE]", "[STATUSMESSAGE]"]),
    ],
)
async def test_a_list_of_tasks_is_masked_as_the_calls_were_that_began_them(
    bench: Bench, ids: Sequence[str], said: Sequence[str]
) -> None:
    await some_tasks(bench)
    tasks = [{"taskId": each, "statusMessage": f"how {each} does"} for each in ids]
    listed = json.loads(released(await told(bench, result(tasks=tasks), method="tasks/list")))["result"]["tasks"]
    assert [each["statusMessage"] for each in listed] == said


async def test_of_a_task_that_was_masked_by_what_nobody_knows_nothing_is_said(bench: Bench) -> None:
    await bench.handles.keep(OWNER, [Handle(HandleKind.TASK, "mine")], ("gone",))
    assert refused(await told(bench, result(tasks=[{"taskId": "mine"}]), method="tasks/list")) == 502


async def test_an_answer_that_hands_out_nothing_keeps_nothing(bench: Bench) -> None:
    await told(bench, result(content=[{"type": "text", "text": "requestState taskId"}]))
    assert bench.handles.asked == 0


async def test_the_end_of_a_session_forgets_what_it_was_asked(bench: Bench) -> None:
    bench.handles.kept["request", "another", "1"] = "ping"
    await told(bench, event(asked(1)), content_type=EVENTS)
    ending = Bench(bench.rulebook, handles=bench.handles)
    ending.session_id = bench.session_id
    await ending.head(method="DELETE", id_json="")
    assert list(bench.handles.kept) == [("request", "another", "1")]


async def test_nothing_is_shown_while_it_is_not_kept(bench: Bench) -> None:
    gate = asyncio.Event()
    keep = bench.handles.keep

    async def later(owner: HandleOwner, handles: Sequence[Handle], masks: Sequence[str] = ()) -> None:
        await gate.wait()
        await keep(owner, handles, masks)

    bench.handles.keep = later  # type: ignore[method-assign]  # one moment longer
    showing = asyncio.ensure_future(told(bench, event(asked(1)), content_type=EVENTS))
    await asyncio.sleep(0)
    assert not showing.done()
    gate.set()
    assert b"who?" in released(await showing)
