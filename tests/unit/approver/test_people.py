"""What people see of approvals and decide, over gRPC: theirs only, in words that are precise, and on the record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import grpc
import pytest

from countersign.api.approvals.v1 import approval_pb2, approvals_pb2
from countersign.approver.notify.ports import Delivery, DeliveryState, News
from countersign.approver.people import PRINCIPAL_METADATA
from countersign.model.approval import Approval, ApprovalState, ApprovalSummary, Requirement
from countersign.model.principal import Principal, PrincipalKind
from countersign.runtime.approval_messages import person_message
from tests.support.approvals import GLASS, MINUTE, NOON, OWNERS, REASON, TWO_OWNERS, owner, person
from tests.support.approving import TIMEOUT_S, Bench, asking, vouched
from tests.support.approving import bench as running_bench

PENDING, APPROVED = approval_pb2.APPROVAL_STATE_PENDING, approval_pb2.APPROVAL_STATE_APPROVED
AUDITOR, OPERATOR = person("ada", "auditors"), person("otto", "operators")
STRANGER = person("mallory", "others")


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with running_bench(beat_s=0.05) as made:
        yield made


async def ask(bench: Bench, *requirements: Requirement, caller: str = "") -> Approval:
    return (await bench.store.ask(asking(*requirements, caller=caller), bench.now_us)).approval


def asker(one: Approval) -> Principal:
    return person(one.asked_by.subject, "agents", kind=PrincipalKind(one.asked_by_kind))


async def listed(bench: Bench, who: Principal, **asked: bool) -> set[str]:
    request = approvals_pb2.ListApprovalsRequest(**asked)  # type: ignore[arg-type]  # its two flags
    answer = await bench.people.stub.ListApprovals(request, metadata=vouched(who), timeout=TIMEOUT_S)
    return {one.id for one in answer.approvals}


def refusals(bench: Bench) -> list[tuple[str, str]]:
    return [
        (event.principal.subject if event.principal else "", event.reason)
        for event in bench.sink.durable
        if event.method == "decision_refused"
    ]


async def refused(bench: Bench, who: Principal, one: Approval, *, version: int = 0) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await bench.people.decide(who, one.id, version or one.version, note="x")
    return error.value.code(), error.value.details() or ""


async def test_everybody_sees_what_they_asked_for_and_what_they_may_decide_about_and_no_more(bench: Bench) -> None:
    ours, theirs = await ask(bench), await ask(bench, Requirement("r", ("security",)))
    assert await listed(bench, owner()) == {ours.id}
    assert await listed(bench, asker(theirs)) == {theirs.id}
    assert await listed(bench, asker(theirs), mine=True) == {theirs.id}
    assert await listed(bench, STRANGER) == set()
    assert await listed(bench, AUDITOR) == await listed(bench, OPERATOR) == {ours.id, theirs.id}
    assert await listed(bench, AUDITOR, to_decide=True) == set()
    with pytest.raises(grpc.aio.AioRpcError) as unseen:
        await bench.people.get(owner(), theirs.id)
    assert unseen.value.code() is grpc.StatusCode.NOT_FOUND


async def test_the_beginning_of_an_id_is_enough_where_one_sees_only_one_that_begins_so(bench: Bench) -> None:
    one = await ask(bench)
    seen = await bench.people.get(owner(), one.id[:6])
    assert (seen.approval.id, seen.may_decide, seen.why_not) == (one.id, True, "")
    assert (await bench.people.get(asker(one), one.id)).why_not
    for wrong in (one.id[:5], "x" * 8, one.id + "0"):
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await bench.people.get(owner(), wrong)
        assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_decision_is_answered_once_it_is_recorded(bench: Bench) -> None:
    one = await ask(bench, TWO_OWNERS)
    bench.sink.open.clear()
    deciding = asyncio.ensure_future(bench.people.decide(owner(1), one.id, one.version, note="fine"))
    await bench.sink.asked.wait()
    assert not deciding.done()
    bench.sink.open.set()
    agreed = await deciding
    assert (agreed.state, [decision.note for decision in agreed.decisions]) == (PENDING, ["fine"])
    assert [event.method for event in bench.sink.durable] == ["asked", "agreed"]
    assert (await bench.people.decide(owner(2), one.id, agreed.version)).state == APPROVED


async def test_a_decision_that_cannot_be_recorded_stands_and_the_same_again_is_answered(bench: Bench) -> None:
    one = await ask(bench)
    bench.sink.refuse = lambda _: True
    code, words = await refused(bench, owner(), one)
    assert (code, "stands" in words) == (grpc.StatusCode.UNAVAILABLE, True)
    assert (await bench.store.get(one.id)).state is ApprovalState.APPROVED
    bench.sink.refuse = lambda _: False
    assert (await bench.people.decide(owner(), one.id, one.version, note="x")).state == APPROVED


async def test_who_may_not_is_told_why_once_that_is_recorded(bench: Bench) -> None:
    one = await ask(bench)
    robot = person("robot", "data-owners", kind=PrincipalKind.MACHINE)
    for who, why in ((STRANGER, "none of the groups"), (robot, "only people"), (asker(one), "only people")):
        code, words = await refused(bench, who, one)
        assert (code, why in words) == (grpc.StatusCode.PERMISSION_DENIED, True)
        assert refusals(bench)[-1] == (who.subject, words)
    await bench.people.decide(owner(), one.id, one.version)
    # They see nothing of it, not even that it is decided.
    assert (await refused(bench, STRANGER, one))[0] is grpc.StatusCode.PERMISSION_DENIED
    bench.sink.refuse = lambda event: event.method == "decision_refused"
    code, words = await refused(bench, STRANGER, one)
    assert (code, "stands" in words) == (grpc.StatusCode.UNAVAILABLE, False)


async def test_what_changed_meanwhile_or_is_over_has_a_status_of_its_own_and_is_recorded(bench: Bench) -> None:
    one = await ask(bench, TWO_OWNERS)
    await bench.people.decide(owner(1), one.id, one.version)
    assert (await refused(bench, owner(2), one))[0] is grpc.StatusCode.ABORTED
    bench.now_us += 60 * MINUTE
    assert (await refused(bench, owner(2), one, version=2))[0] is grpc.StatusCode.FAILED_PRECONDITION
    assert [who for who, _ in refusals(bench)] == ["owner 2", "owner 2"]
    assert "expired" in [event.method for event in bench.sink.durable]


async def test_a_decision_about_nothing_is_recorded_too(bench: Bench) -> None:
    one = replace(await ask(bench), id=str(uuid4()))
    assert (await refused(bench, STRANGER, one))[0] is grpc.StatusCode.NOT_FOUND
    assert [who for who, _ in refusals(bench)] == ["mallory"]


async def test_a_note_that_is_missing_or_too_long_is_a_bad_request(bench: Bench) -> None:
    one = await ask(bench, replace(OWNERS, note_required=True))
    for note in ("", "x" * 1_001):
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await bench.people.decide(owner(), one.id, one.version, note=note)
        assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (await bench.people.decide(owner(), one.id, one.version, note="x" * 1_000)).state == APPROVED


async def test_only_who_asked_breaks_the_glass_or_takes_it_back(bench: Bench) -> None:
    one = (
        await bench.store.ask(replace(asking(caller="ann"), caller_kind="person", break_glass=(GLASS,)), NOON)
    ).approval
    ann = person("ann")
    breaking = approvals_pb2.BreakGlassRequest(approval_id=one.id, version=1, reason=REASON)
    taking = approvals_pb2.CancelApprovalRequest(approval_id=one.id)
    for who in (owner(), STRANGER):
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await bench.people.stub.BreakGlass(breaking, metadata=vouched(who), timeout=TIMEOUT_S)
        assert refusal.value.code() is grpc.StatusCode.PERMISSION_DENIED
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await bench.people.stub.CancelApproval(taking, metadata=vouched(who), timeout=TIMEOUT_S)
        assert refusal.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert len(refusals(bench)) == 4
    broken = await bench.people.stub.BreakGlass(breaking, metadata=vouched(ann), timeout=TIMEOUT_S)
    assert broken.approval.state == APPROVED
    taken = await bench.people.stub.CancelApproval(taking, metadata=vouched(ann), timeout=TIMEOUT_S)
    assert taken.approval.state == approval_pb2.APPROVAL_STATE_CANCELLED


async def test_only_operators_revoke_and_whatever_waited_for_them_ends(bench: Bench) -> None:
    one, other = await ask(bench), await ask(bench)
    revoking = approvals_pb2.RevokePrincipalRequest(principal=person_message(one.asked_by), reason="left")
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await bench.people.stub.RevokePrincipal(revoking, metadata=vouched(AUDITOR), timeout=TIMEOUT_S)
    assert refusal.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert [who for who, _ in refusals(bench)] == ["ada"]
    done = await bench.people.stub.RevokePrincipal(revoking, metadata=vouched(OPERATOR), timeout=TIMEOUT_S)
    assert list(done.cancelled) == [one.id]
    assert (await bench.store.get(other.id)).state is ApprovalState.PENDING
    assert "cancelled" in [event.method for event in bench.sink.durable]


async def test_pages_show_everything_once_and_none_is_larger_than_a_client_takes(bench: Bench) -> None:
    large = ApprovalSummary("x" * 1_500_000, "")
    asked = [await ask(bench) for _ in range(3)]
    bench.now_us += MINUTE
    asked += [(await bench.store.ask(replace(asking(), summary=large), bench.now_us)).approval for _ in range(3)]
    seen: list[str] = []
    token = ""
    while True:
        request = approvals_pb2.ListApprovalsRequest(page_size=4, page_token=token)
        answer = await bench.people.stub.ListApprovals(request, metadata=vouched(owner()), timeout=TIMEOUT_S)
        seen += [one.id for one in answer.approvals]
        token = answer.next_page_token
        if not token:
            break
    assert sorted(seen) == sorted(one.id for one in asked)


async def test_who_watches_is_told_all_there_is_then_each_change_of_what_is_theirs(bench: Bench) -> None:
    one = await ask(bench)
    call = bench.people.stub.WatchApprovals(
        approvals_pb2.WatchApprovalsRequest(to_decide=True), metadata=vouched(owner()), timeout=TIMEOUT_S
    )
    told = call.__aiter__()
    first = await told.__anext__()
    assert ([each.id for each in first.approvals], first.whole) == ([one.id], True)
    assert list((await told.__anext__()).approvals) == []
    other = await ask(bench)
    await ask(bench, Requirement("r", ("security",)))
    for each in await bench.store.page(states=list(ApprovalState), after=None, limit=10):
        bench.following.hint(each.id)
    news = [each.id async for each in changes(told, 1)]
    assert news == [other.id]
    await bench.people.decide(owner(), one.id, one.version, agrees=False)
    denied = [each async for each in changes(told, 1)]
    assert [(each.id, each.state) for each in denied] == [(one.id, approval_pb2.APPROVAL_STATE_DENIED)]
    bench.following.drain()
    assert [list(answer.approvals) async for answer in call] == []


async def changes(
    told: AsyncIterator[approvals_pb2.WatchApprovalsResponse], count: int
) -> AsyncIterator[approval_pb2.Approval]:
    while count > 0:
        for approval in (await told.__anext__()).approvals:
            yield approval
            count -= 1


async def test_what_became_of_notifications_is_for_who_sees_the_approval(bench: Bench) -> None:
    one, other = await ask(bench), await ask(bench, Requirement("r", ("security",)))
    for number, about in enumerate((one, other)):
        news = News(str(uuid4()), about.id, 1, "asked", NOON)
        state = DeliveryState.DEAD if number else DeliveryState.WAITING
        bench.told.all.insert(0, Delivery(str(number), news, "slack", state, 1, "HTTP 500", NOON + number, NOON))

    async def deliveries(who: Principal, **asked: object) -> list[str]:
        request = approvals_pb2.ListDeliveriesRequest(**asked)  # type: ignore[arg-type]  # fields of many types
        answer = await bench.people.stub.ListDeliveries(request, metadata=vouched(who), timeout=TIMEOUT_S)
        return [each.approval_id for each in answer.deliveries]

    assert await deliveries(owner(), approval_id=one.id) == [one.id]
    assert await deliveries(OPERATOR) == [other.id, one.id]
    assert await deliveries(AUDITOR, dead=True) == [other.id]
    for asked, code in (
        ({}, grpc.StatusCode.PERMISSION_DENIED),
        ({"approval_id": other.id}, grpc.StatusCode.NOT_FOUND),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await deliveries(owner(), **asked)
        assert refusal.value.code() is code


@pytest.mark.parametrize("given", [(), ("",), ("x",), ("twice", "twice")], ids=["none", "empty", "forged", "two"])
async def test_nobody_gets_in_without_being_vouched_for(bench: Bench, given: tuple[str, ...]) -> None:
    sealed = vouched(owner())[0][1]
    metadata = tuple((PRINCIPAL_METADATA, sealed if one == "twice" else one) for one in given)
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await bench.people.stub.ListApprovals(
            approvals_pb2.ListApprovalsRequest(), metadata=metadata, timeout=TIMEOUT_S
        )
    assert refusal.value.code() is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(
    "wrong",
    [{"page_size": 501}, {"page_token": "x"}, {"page_token": "WzFd"}, {"states": [99]}, {"page_token": "x" * 70_000}],
    ids=["size", "token", "a list of one", "state", "huge"],
)
async def test_a_question_that_is_not_well_formed_is_refused(bench: Bench, wrong: dict[str, object]) -> None:
    request = approvals_pb2.ListApprovalsRequest(**wrong)  # type: ignore[arg-type]  # fields of many types
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await bench.people.stub.ListApprovals(request, metadata=vouched(owner()), timeout=TIMEOUT_S)
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
