"""Answers to what targets ask: only what their session was asked reaches the target, once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from countersign.authz.envoy import Answer, Forward
from countersign.mcp import Handle
from countersign.model.decision import Outcome
from countersign.model.event import Event, EventKind
from countersign.runtime.handles import HandleOwner, HandlesAway
from tests.unit.authz.bench import Bench, inquiry
from tests.unit.authz.returns import CARD, MORE, Session, answer, rulebook_of, text_of
from tests.unit.authz.returns import bench as bench


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
