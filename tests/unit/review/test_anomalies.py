"""Sessions that stand out: what is new or much is told with its reason; who has no past is left alone."""

from __future__ import annotations

from dataclasses import replace

from countersign.review.anomalies import Unusual, unusual_sessions
from countersign.review.facts import SessionUse

HOUR_US = 3_600 * 1_000_000
SINCE = 1_000 * HOUR_US


def hours(at: int, calls: int = 10) -> tuple[int, ...]:
    return tuple(calls if hour == at else 0 for hour in range(24))


def session(number: int, at_us: int, **changes: object) -> SessionUse:
    one = SessionUse(
        session_id=f"s{number}",
        issuer="https://idp",
        subject="alice",
        target="orders",
        started_us=at_us,
        names=("query",),
        calls=10,
        rows=50,
        size_bytes=5_000,
        by_hour=hours(9),
    )
    return replace(one, **changes)  # type: ignore[arg-type]  # each test names the fields it means


PAST = [session(number, SINCE - (20 - number) * HOUR_US) for number in range(8)]


def told(*sessions: SessionUse, past: list[SessionUse] = PAST) -> list[Unusual]:
    return list(unusual_sessions([*past, *sessions], SINCE))


def test_what_is_as_before_is_not_told() -> None:
    alike = session(50, SINCE + 1, rows=60, size_bytes=9_000, calls=14, by_hour=hours(10))
    assert told(alike) == []


def test_each_reason_is_told_in_words() -> None:
    new_target = session(50, SINCE + 1, target="payroll")
    new_tool = session(51, SINCE + 2, names=("export_table", "query"))
    much = session(52, SINCE + 3, rows=50_000, size_bytes=50_000_000, calls=900)
    night = session(53, SINCE + 4, by_hour=hours(3))
    found = {one.session.session_id: one.reasons for one in told(new_target, new_tool, much, night)}
    assert found["s50"] == ("new target: never used payroll in 8 sessions before",)
    assert found["s51"] == ("new at orders: export_table",)
    assert [reason.split(",")[0] for reason in found["s52"]] == [
        "volume: 50",
        "volume: 50",
        "volume: 900 calls",
    ]
    assert found["s53"] == ("hours: calls at 03:00 UTC, where there were none before, nor an hour beside",)


def test_what_was_new_once_is_the_past_afterwards() -> None:
    found = told(session(50, SINCE + 1, names=("export",)), session(51, SINCE + 2, names=("export",)))
    assert [one.session.session_id for one in found] == ["s50"]


def test_a_principal_without_a_past_is_first_seen_once_and_then_left_alone() -> None:
    new = [session(number, SINCE + number, target=f"t{number}", rows=10**6 * number) for number in range(5)]
    [only] = told(*new, past=[])
    assert only.first_seen
    assert only.reasons == ("first seen: there is no past to compare with",)


def test_small_numbers_are_below_the_floor() -> None:
    quiet = [replace(one, rows=0, size_bytes=100, calls=1, by_hour=hours(9, 1)) for one in PAST]
    assert told(session(50, SINCE + 1, rows=90, size_bytes=90_000, calls=25), past=quiet) == []


def test_another_principal_of_the_same_name_has_a_past_of_its_own() -> None:
    [only] = told(session(50, SINCE + 1, issuer="https://other"))
    assert only.first_seen


def test_hours_beside_midnight_are_near() -> None:
    late = [replace(one, by_hour=hours(23)) for one in PAST]
    assert told(session(50, SINCE + 1, by_hour=hours(0)), past=late) == []
