"""What authz asks of the approver, over gRPC: joined, bounded, at most one grant, and nothing without the record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import grpc
import pytest

from countersign.api.approvals.v1 import broker_pb2, broker_pb2_grpc
from countersign.model.approval import Approval, ApprovalState, Person, Question
from countersign.runtime.approval_messages import question_message
from countersign.runtime.approvals import ApproverAway, ApproverClient, TooManyAsked, UnknownApproval
from tests.support.approvals import GLASS, ISSUER, NOON, owner
from tests.support.approving import Bench, asking
from tests.support.approving import bench as running_bench
from tests.support.recorders import until

NOBODY = Person(ISSUER, "nobody")


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with running_bench() as made:
        yield made


async def approved(bench: Bench, question: Question | None = None) -> Approval:
    asked, _ = await bench.broker.ask(question or asking())
    return await bench.store.decide(asked.id, owner(), version=asked.version, agrees=True, note="", now_us=NOON)


async def test_a_question_comes_through_whole_and_whoever_asks_again_joins(bench: Bench) -> None:
    question = replace(asking(), break_glass=(GLASS,), acts_for=(NOBODY,))
    asked, joined = await bench.broker.ask(question)
    assert not joined
    assert asked == await bench.store.get(asked.id)
    assert (asked.summary, asked.requirements, asked.break_glass) == (
        question.summary,
        question.requirements,
        question.break_glass,
    )
    assert await bench.broker.ask(replace(question, call_id=str(uuid4()))) == (asked, True)


async def test_whoever_asks_too_much_is_told_so(bench: Bench) -> None:
    question = replace(asking(), most_pending=1)
    await bench.broker.ask(question)
    with pytest.raises(TooManyAsked):
        await bench.broker.ask(replace(asking(caller=question.caller.subject), most_pending=1))


async def test_nobody_comes_back_to_what_another_asked_for(bench: Bench) -> None:
    asked, _ = await bench.broker.ask(asking())
    assert await bench.broker.rejoin(asked.id, asked.asked_by, None) == asked
    with pytest.raises(UnknownApproval):
        await bench.broker.rejoin(asked.id, NOBODY, None)
    with pytest.raises(UnknownApproval):
        await bench.broker.cancel(asked.id, NOBODY, "")
    with pytest.raises(UnknownApproval):
        await bench.broker.wait(str(uuid4()), 1, 30)


async def test_no_grant_is_given_before_it_is_recorded_who_agreed(bench: Bench) -> None:
    asked = await approved(bench)
    bench.sink.refuse = lambda event: event.method == "approved"
    with pytest.raises(ApproverAway):
        await bench.hasty.consume(asked.id, asked.digest, str(uuid4()))
    assert (await bench.store.get(asked.id)).uses == 0
    bench.sink.refuse = lambda _: False
    call_id = str(uuid4())
    granted, consumed = await bench.broker.consume(asked.id, asked.digest, call_id)
    assert (granted, consumed.state, consumed.used_by) == (True, ApprovalState.CONSUMED, call_id)
    assert [event.method for event in bench.sink.durable] == ["asked", "approved"]
    assert (await bench.broker.consume(asked.id, asked.digest, call_id))[0]
    assert not (await bench.broker.consume(asked.id, asked.digest, str(uuid4())))[0]


async def test_a_decision_that_comes_while_the_record_is_written_is_not_used_unrecorded(bench: Bench) -> None:
    asked, _ = await bench.broker.ask(asking())
    bench.sink.open.clear()
    granted, _ = await bench.broker.consume(asked.id, asked.digest, str(uuid4()))
    assert not granted
    await bench.store.decide(asked.id, owner(), version=asked.version, agrees=True, note="", now_us=NOON)
    assert (await bench.store.get(asked.id)).state is ApprovalState.APPROVED


async def test_a_grant_is_for_one_digest_only(bench: Bench) -> None:
    asked = await approved(bench)
    with pytest.raises(UnknownApproval):
        await bench.broker.consume(asked.id, bytes(32), str(uuid4()))
    assert (await bench.store.get(asked.id)).uses == 0


async def test_the_last_who_hangs_up_abandons_it_and_who_waits_hears_of_it(bench: Bench) -> None:
    question = asking()
    asked, _ = await bench.broker.ask(question)
    waiting = asyncio.ensure_future(bench.broker.wait(asked.id, asked.version, 300))
    await until(lambda: bench.following.waiting == 1)
    await bench.broker.leave(asked.id, question.waiter.id, hung_up=True)
    assert (await asyncio.wait_for(waiting, 20)).state is ApprovalState.ABANDONED
    await bench.broker.leave(str(uuid4()), question.waiter.id, hung_up=True)


async def test_a_session_that_withdraws_ends_what_it_waits_for(bench: Bench) -> None:
    question = asking()
    asked, _ = await bench.broker.ask(question)
    assert await bench.broker.withdraw(NOBODY, question.session_id, "") == 0
    assert await bench.broker.withdraw(question.caller, question.session_id, "") == 1
    assert (await bench.store.get(asked.id)).state is ApprovalState.ABANDONED


async def test_what_is_cancelled_twice_is_answered_as_it_stands(bench: Bench) -> None:
    asked, _ = await bench.broker.ask(asking())
    for _ in range(2):
        ended = await bench.broker.cancel(asked.id, asked.asked_by, "changed my mind")
        assert (ended.state, ended.reason, ended.version) == (ApprovalState.CANCELLED, "changed my mind", 2)


async def test_a_database_that_is_away_is_an_approver_that_is_away(bench: Bench) -> None:
    asked, _ = await bench.broker.ask(asking())
    bench.store.away = True
    client = ApproverClient("")
    for away in (client, bench.hasty):
        with pytest.raises(ApproverAway):
            await asyncio.wait_for(away.rejoin(asked.id, asked.asked_by, None), 10)


async def test_a_wait_outlives_a_database_that_is_away_for_a_while(bench: Bench) -> None:
    asked = await approved(bench)
    bench.store.away = True
    waiting = asyncio.ensure_future(bench.broker.wait(asked.id, 1, 300))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(waiting), 0.2)
    bench.store.away = False
    assert (await asyncio.wait_for(waiting, 20)).state is ApprovalState.APPROVED


@pytest.mark.parametrize(
    "wrong",
    [
        {"digest": b""},
        {"caller": {"issuer": "", "subject": "a"}},
        {"caller_kind": "god"},
        {"session_id": "1"},
        {"call_id": ""},
        {"target": ""},
        {"method": "m" * 2_001},
        {"name": "n" * 200_001},
        {"within_us": 0},
        {"within_us": 2**62},
        {"reuse_us": -1},
        {"most_pending": 0},
        {"requirements": []},
        {"requirements": [{"rule": "r", "count": 1}]},
        {"requirements": [{"rule": "r", "groups": ["g"]}]},
        {"break_glass": [{"rule": "r"}]},
        {"acts_for": [{"issuer": "i", "subject": "s"}] * 101},
        {"waiter": {"id": "w"}},
    ],
    ids=lambda wrong: "-".join(wrong) + str(len(str(wrong))),
)
async def test_what_no_authz_asks_is_refused(bench: Bench, wrong: dict[str, object]) -> None:
    request = question_message(asking())
    for field in wrong:
        request.ClearField(field)  # type: ignore[arg-type]  # a field's name, one of many
    request.MergeFrom(broker_pb2.AskRequest(**wrong))  # type: ignore[arg-type]  # fields of many types
    async with grpc.aio.insecure_channel(bench.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await broker_pb2_grpc.ApprovalBrokerServiceStub(channel).Ask(request, timeout=10)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
