"""What every store that counts promises: each event once, for whom it was, and nothing that was no use."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from countersign.model.continuation import next_session
from countersign.model.decision import Outcome
from countersign.model.event import Event, EventKind, Finding
from countersign.model.rule import Window
from countersign.recorder.entry import sealing
from countersign.runtime.moments import now_us
from tests.contract.usage.conftest import Counting
from tests.support.events import ALICE, approval, decision, new_id, request, response

BOB = replace(ALICE, subject="bob")


def call(session: str | None = None, **changes: object) -> Event:
    return request(session, **({"time_us": now_us()} | changes))


def answer(session: str, **changes: object) -> Event:
    return response(session, **({"time_us": now_us(), "size_bytes": 100, "row_count": 3} | changes))


async def test_allowed_calls_count_in_every_window(counting: Counting) -> None:
    await counting.append(call(), call(), call(method="resources/read"))
    await counting.count_all()
    assert [await counting.totals(window=window) for window in Window] == [(3, 0, 0)] * 3


@pytest.mark.parametrize("method", ["initialize", "tools/list", "notifications/cancelled", "GET", "logging/setLevel"])
async def test_connecting_is_no_call(counting: Counting, method: str) -> None:
    await counting.append(call(method=method), call(method="tools/call"))
    await counting.count_all()
    assert await counting.totals() == (1, 0, 0)


@pytest.mark.parametrize("method", ["loggingXsetLevel", "notifications", "tools/list%", "x"])
async def test_methods_that_only_look_like_connecting_are_calls(counting: Counting, method: str) -> None:
    await counting.append(call(method=method))
    await counting.count_all()
    assert await counting.totals() == (1, 0, 0)


@pytest.mark.parametrize("outcome", [Outcome.DENY, Outcome.REFUSED, Outcome.APPROVE])
async def test_what_did_not_pass_is_no_call(counting: Counting, outcome: Outcome) -> None:
    await counting.append(call(decision=decision(outcome)))
    await counting.count_all()
    assert await counting.totals() == (0, 0, 0)


async def test_answers_that_come_after_the_seal_count_for_who_asked(counting: Counting) -> None:
    session = new_id()
    await counting.append(call(session))
    sealed = sealing(
        UUID(session), target="orders", event_count=1, root=bytes(32), unanswered_count=1, reason="idle", at_us=1
    )
    await counting.record.append([sealed])
    await counting.append(answer(str(next_session(UUID(session))), continues=session))
    await counting.count_all()
    assert await counting.totals() == (1, 3, 100)


async def test_rows_and_bytes_of_answers_count_for_who_asked(counting: Counting) -> None:
    alices, bobs = new_id(), new_id()
    await counting.append(call(alices), call(bobs, principal=BOB), answer(alices), answer(bobs, row_count=500))
    await counting.count_all()
    assert await counting.totals() == (1, 3, 100)
    assert await counting.totals("bob") == (1, 500, 100)


async def test_approvals_are_no_use_of_anybody(counting: Counting) -> None:
    session = new_id()
    await counting.append(call(session), *[approval(session, what) for what in ("asked", "approved", "consumed")])
    await counting.count_all()
    assert [await counting.totals(), await counting.totals("bob")] == [(1, 0, 0), (0, 0, 0)]


async def test_same_subject_at_another_target_is_counted_apart(counting: Counting) -> None:
    session = new_id()
    await counting.append(call(), call(session, target="billing"), answer(session, target="billing"))
    await counting.count_all()
    assert await counting.totals() == (1, 0, 0)
    assert await counting.totals(target="billing") == (1, 3, 100)


async def test_a_stream_counts_by_its_events_and_not_again_at_its_end(counting: Counting) -> None:
    session = new_id()
    await counting.append(call(session), answer(session, kind=EventKind.STREAM_EVENT))
    await counting.count_all()
    assert await counting.totals() == (1, 3, 100), "a stream that is still open counts"
    last = answer(session, kind=EventKind.STREAM_EVENT)
    end = answer(session, kind=EventKind.STREAM_END, size_bytes=200, row_count=6)
    await counting.append(last, end)
    await counting.count_all()
    assert await counting.totals() == (1, 6, 200)


@pytest.mark.parametrize("at_most", [1, 2, 1_000])
async def test_each_event_counts_once_however_it_is_divided(counting: Counting, at_most: int) -> None:
    session = new_id()
    first = call(session)
    await counting.append(first, answer(session), call(session))
    await counting.count_all(at_most)
    await counting.append(first, answer(session))  # the first is known already
    await counting.count_all(at_most)
    await counting.count_all(at_most)
    assert await counting.totals() == (2, 6, 200)


async def test_how_much_is_left_is_told(counting: Counting) -> None:
    await counting.append(*[call() for _ in range(5)])
    assert [await counting.usage.count(2) for _ in range(4)] == [3, 1, 0, 0]


async def test_texts_that_look_like_counts_are_not_believed(counting: Counting) -> None:
    session = new_id()
    trap = ',"row_count":999,"size_bytes":999'
    findings = (Finding(trap, '$["row_count":7]'), Finding("EMAIL", f"$.{trap}"))
    lying = answer(session, name=trap, reason=f'"{trap}', findings=findings, row_count=0, size_bytes=0)
    await counting.append(call(session, name=trap), lying, answer(session, name=f"\\{trap}", reason=trap))
    await counting.count_all()
    assert await counting.totals() == (1, 3, 100)


async def test_odd_texts_do_not_stop_the_counting(counting: Counting) -> None:
    session = new_id()
    odd = 'a\0b"\\\u2028\U0001f600'
    who = replace(ALICE, subject=odd + "x" * 508)
    await counting.append(call(session, name=odd, principal=who), answer(session, reason=odd), call())
    await counting.count_all()
    assert await counting.totals(who.subject) == (1, 3, 100)
    assert await counting.totals() == (1, 0, 0)


async def test_counts_of_the_greatest_size_do_not_stop_the_counting(counting: Counting) -> None:
    session = new_id()
    most = 2**53 - 1
    await counting.append(call(session), *[answer(session, row_count=most, size_bytes=most) for _ in range(20)])
    await counting.count_all()
    assert await counting.totals() == (1, 20 * most, 20 * most)


@pytest.mark.parametrize("off_s", [-3_600, 3_600, -6, 6])
async def test_a_senders_clock_that_is_off_moves_nothing_out_of_the_windows(counting: Counting, off_s: int) -> None:
    session = new_id()
    began_us = now_us()
    wrong_us = began_us + off_s * 1_000_000
    await counting.append(call(session, time_us=wrong_us), answer(session, time_us=wrong_us))
    await counting.count_all()
    [finest] = {bucket for _, window, bucket in await counting.buckets() if window is Window.MINUTE}
    assert began_us // 2_000_000 <= finest <= now_us() // 2_000_000


async def test_a_time_that_can_be_true_is_the_events_own(counting: Counting) -> None:
    a_little_ago_us = now_us() - 3_000_000
    await counting.append(call(time_us=a_little_ago_us))
    await counting.count_all()
    [finest] = {bucket for _, window, bucket in await counting.buckets() if window is Window.MINUTE}
    assert finest == a_little_ago_us // 2_000_000


async def test_an_answer_in_a_session_of_nobody_is_nobodys(counting: Counting) -> None:
    await counting.append(answer(new_id()), call())
    await counting.count_all()
    assert {bucket.rows for bucket in (await counting.buckets()).values()} == {0}


async def test_only_what_changed_is_told_again_and_as_totals(counting: Counting) -> None:
    session, other = new_id(), new_id()
    await counting.append(call(session), call(other, principal=BOB))
    await counting.count_all()
    before = await counting.buckets()
    position = (await counting.usage.changes(2**40)).newest
    assert (await counting.usage.changes(position)).buckets == ()
    await counting.append(call(session))
    await counting.count_all()
    changes = await counting.usage.changes(position)
    assert {one.key for one in changes.buckets} < {key for key, *_ in before}
    assert sum(one.calls for one in changes.buckets if one.window is Window.DAY) in (
        1,
        2,
    )  # a new bucket may have begun
    assert await counting.totals() == (2, 0, 0)


async def test_pages_hold_everything_once_however_many_there_are(counting: Counting) -> None:
    subjects = [f"subject-{number}" for number in range(40)]
    for subject in subjects:
        await counting.append(call(principal=replace(ALICE, subject=subject)))
        await counting.count_all()
    for subject in subjects:
        assert await counting.totals(subject) == (1, 0, 0)


async def test_until_when_all_is_counted_is_told(counting: Counting) -> None:
    await counting.count_all()
    await counting.append(call(), call())
    before = now_us()
    behind = await counting.usage.changes(0)
    assert behind.counted_until_us <= before
    await counting.usage.count(1)
    assert (await counting.usage.changes(0)).counted_until_us <= before
    await counting.count_all()
    done = await counting.usage.changes(0)
    assert done.counted_until_us >= before
    assert done.counted_until_us <= done.time_us


async def test_what_a_window_holds_is_not_pruned(counting: Counting) -> None:
    await counting.append(call())
    await counting.count_all()
    assert await counting.usage.prune(100) == 0
    assert await counting.totals(window=Window.MINUTE) == (1, 0, 0)
