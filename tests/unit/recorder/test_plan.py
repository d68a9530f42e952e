"""Whose session an event belongs to, and when a session takes no more."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from countersign.model.continuation import next_session
from countersign.model.event import Event, EventKind
from countersign.recorder.entry import Entry, Sealed, Settled, Verdict, accept, sealing
from countersign.recorder.plan import Known, Plan, SessionState, plan
from countersign.runtime.recording import to_message
from tests.support.events import ALICE, BOB, START_US, approval, new_id, request, response

SESSION = new_id()
KEY = UUID(SESSION).bytes
NEXT = next_session(UUID(SESSION))
RECORDED, WRONG, STALE = Verdict.RECORDED, Verdict.WRONG_SESSION, Verdict.STALE
HERS = SessionState(3, ALICE.issuer, ALICE.subject, "orders")


def entry(event: Event) -> Entry:
    return accept(to_message(event))


def seal(count: int, session: str = SESSION) -> Entry:
    return sealing(
        UUID(session),
        target="orders",
        event_count=count,
        root=bytes(32),
        unanswered_count=0,
        reason="idle",
        at_us=START_US,
    )


def planned(*entries: Entry, known: Entry | None = None, this: SessionState | None = None) -> Plan:
    # The plan counts in what it is given.
    there = {} if this is None else {KEY: replace(this)}
    recorded = {} if known is None else {known.event_key: Known(known.record, known.body)}
    return plan(entries, next_index=100, known=recorded, sessions=there, open_ends={})


def verdicts(*entries: Entry, this: SessionState = HERS) -> list[Settled]:
    return planned(*entries, this=this).verdicts


@pytest.mark.parametrize(
    ("event", "verdict"),
    [
        (request(SESSION), RECORDED),
        (request(SESSION, principal=replace(ALICE, token_id="another", groups=())), RECORDED),
        (request(SESSION, principal=BOB), WRONG),
        (request(SESSION, principal=replace(ALICE, issuer="https://other.example")), WRONG),
        (request(SESSION, target="payroll"), WRONG),
        (response(SESSION, target="payroll"), RECORDED),
        (approval(SESSION), RECORDED),
        (request(SESSION, kind=EventKind.AUDIT_READ, principal=BOB), RECORDED),
    ],
    ids=["same", "new token", "bob", "other issuer", "other target", "answer", "approval", "reading"],
)
def test_requests_are_of_the_sessions_principal_and_target(event: Event, verdict: Verdict) -> None:
    assert verdicts(entry(event), entry(request(SESSION))) == [verdict, RECORDED]


def test_first_request_says_whose_the_session_is_also_within_a_commit() -> None:
    nobodys = SessionState(1, "", "", "orders")
    assert verdicts(entry(request(SESSION)), entry(request(SESSION, principal=BOB)), this=nobodys) == [RECORDED, WRONG]
    new = [entry(request(SESSION)), entry(request(SESSION, principal=BOB)), entry(request(SESSION, target="x"))]
    done = planned(*new)
    assert done.verdicts == [RECORDED, WRONG, WRONG]
    assert [row.index for row in done.rows] == [100]


@pytest.mark.parametrize("count", [0, 2, 4, 2**53])
def test_seal_of_another_count_is_stale(count: int) -> None:
    assert verdicts(seal(count)) == [STALE]


def test_seal_counts_what_is_recorded_beside_it() -> None:
    one = entry(request(SESSION))
    assert verdicts(one, seal(3)) == [RECORDED, STALE]
    assert verdicts(one, seal(4)) == [RECORDED, RECORDED]
    assert verdicts(seal(3), one) == [RECORDED, Sealed(NEXT)]


def test_session_is_sealed_once() -> None:
    assert verdicts(seal(3), seal(3), seal(4)) == [RECORDED, STALE, STALE]
    assert verdicts(seal(3), this=replace(HERS, sealed=True)) == [STALE]
    assert planned(seal(0)).verdicts == [STALE]


def test_known_event_of_a_sealed_session_is_acknowledged() -> None:
    one = entry(request(SESSION))
    assert planned(one, known=one, this=replace(HERS, sealed=True)).verdicts == [RECORDED]


def test_event_recorded_where_its_session_goes_on_is_the_same_and_elsewhere_another() -> None:
    sent = request(SESSION)
    onwards = replace(sent, session_id=str(NEXT), continues=SESSION)
    far = next_session(NEXT)
    farther = replace(sent, session_id=str(far), continues=str(NEXT))
    for recorded in (onwards, farther):
        assert planned(entry(sent), known=entry(recorded), this=replace(HERS, sealed=True)).verdicts == [RECORDED]
    for other in (replace(sent, session_id=new_id()), replace(onwards, name="other"), replace(onwards, body=b"other")):
        assert planned(entry(sent), known=entry(other), this=HERS).verdicts == [Verdict.CONFLICT]


def test_event_sent_again_by_who_learned_meanwhile_of_the_seal_stays_where_it_was_recorded() -> None:
    sent = request(SESSION)
    onwards = replace(sent, session_id=str(NEXT), continues=SESSION)
    farther = replace(sent, session_id=str(next_session(NEXT)), continues=str(NEXT))
    for recorded, again in ((sent, onwards), (sent, farther), (onwards, farther)):
        done = planned(entry(again), known=entry(recorded), this=replace(HERS, sealed=True))
        assert (done.verdicts, done.rows) == ([RECORDED], [])
    other = replace(onwards, name="other")
    assert planned(entry(other), known=entry(sent), this=replace(HERS, sealed=True)).verdicts == [Verdict.CONFLICT]


def test_body_that_was_erased_cannot_differ_any_more_and_all_else_can() -> None:
    one = request(SESSION)
    known = Known(entry(one).record, None)
    assert known.same(entry(one))
    assert not known.same(entry(replace(one, name="other")))
    assert not known.same(entry(replace(one, body=b"")))


def continued(principal: object = ALICE, **changes: object) -> Entry:
    return entry(request(str(NEXT), continues=SESSION, principal=principal, **changes))


@pytest.mark.parametrize(
    ("before", "event", "verdict"),
    [
        (replace(HERS, sealed=True), continued(), RECORDED),
        (HERS, continued(), WRONG),
        (None, continued(), WRONG),
        (replace(HERS, sealed=True), continued(BOB), WRONG),
        (replace(HERS, sealed=True), continued(target="payroll"), WRONG),
        (HERS, entry(response(str(NEXT), continues=SESSION)), WRONG),
        (replace(HERS, sealed=True), entry(response(str(NEXT), continues=SESSION)), RECORDED),
    ],
    ids=["sealed", "open", "unknown", "of another", "at another", "answer of an open one", "answer"],
)
def test_session_goes_on_from_a_sealed_one_of_the_same_principal_and_target(
    before: SessionState | None, event: Entry, verdict: Verdict
) -> None:
    assert planned(event, this=before).verdicts == [verdict]


def test_nothing_goes_on_from_a_session_that_is_not_sealed_also_where_others_began() -> None:
    begun = replace(HERS, event_count=1)
    for before in (None, HERS, replace(HERS, sealed=True)):
        there = {NEXT.bytes: replace(begun)} | ({} if before is None else {KEY: before})
        done = plan([continued()], next_index=100, known={}, sessions=there, open_ends={})
        assert done.verdicts == [RECORDED if before is not None and before.sealed else WRONG]


def test_session_ends_when_its_client_deleted_it_and_the_target_agreed() -> None:
    for method, status, ended in (("DELETE", 204, True), ("DELETE", 405, False), ("tools/call", 200, False)):
        [change] = planned(entry(response(SESSION, method=method, status=status)), this=HERS).sessions
        assert change.ended == ended
