"""Rate limits that hold somebody back are taken; those that never would, or say nothing clear, are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from countersign.model.principal import PrincipalKind
from countersign.model.rule import RateLimit, Selector, Window
from tests.unit.config.files import loaded, pointed_at, refused
from tests.unit.config.test_rules import HEAD


def with_limits(*limits: str) -> str:
    return HEAD + "rate_limits:\n" + "".join(f"  - {{{limit}}}\n" for limit in limits)


def test_a_limit_may_say_whom_and_where(tmp_path: Path) -> None:
    text = with_limits(
        "name: agents, kind: agent, groups: ['*'], principals: ['bot-*'], targets: [orders], calls: 60, per: 1m",
        "name: all, calls: 1000, per: 24h",
    )
    assert loaded(tmp_path, text).rate_limits == (
        RateLimit(
            "agents",
            Selector(groups=("*",), targets=("orders",), principals=("bot-*",), kinds=(PrincipalKind.AGENT,)),
            60,
            Window.MINUTE,
        ),
        RateLimit("all", Selector(), 1_000, Window.DAY),
    )


@pytest.mark.parametrize(
    ("limit", "what", "at"),
    [
        ("name: x, calls: 0, per: 1m", "too small", "0"),
        ("name: x, calls: -5, per: 1m", "too small", "-5"),
        ("name: x, calls: 1.5, per: 1m", "a number where a whole number", "1.5"),
        ("name: x, calls: '5', per: 1m", "text where a whole number", "'5'"),
        ("name: x, calls: 5, per: 5m", "calls are not counted per `5m`", "5m"),
        ("name: x, calls: 5, per: 60", "a number where text", "60"),
        ("name: x, calls: 5", "missing key `rate_limits[0].per`", "{name"),
        ("name: x, per: 1m", "missing key `rate_limits[0].calls`", "{name"),
        ("calls: 5, per: 1m", "missing key `rate_limits[0].name`", "{calls"),
        ("name: x, calls: 5, per: 1m, tools: [a]", "unknown key `tools`", "tools"),
        ("name: x, calls: 5, per: 1m, target: [orders]", "unknown key `target`", "target"),
        ("name: x, calls: 5, per: 1m, targets: [order]", "`order` is no target", "order]"),
        ("name: x, calls: 5, per: 1m, kind: robot", "no kind of principal `robot`", "robot"),
        ("name: base, calls: 5, per: 1m", "the limit name `base` stands twice", "base"),
        ("name: BASE, calls: 5, per: 1m", "differs only in case from `base`", "BASE"),
        ("name: ' x', calls: 5, per: 1m", "spaces around it", "' x'"),
    ],
)
def test_a_limit_that_is_not_clear_is_refused(tmp_path: Path, limit: str, what: str, at: str) -> None:
    text = with_limits(limit)
    (problem,) = refused(tmp_path, text)
    assert what in problem.what
    assert pointed_at(text, problem).startswith(at)
    assert problem.remedy


def test_limits_beside_a_broken_one_are_still_checked_in_their_places(tmp_path: Path) -> None:
    text = with_limits(
        "name: a, calls: no, per: 1m", "name: b, calls: 5, per: 2m", "name: b, calls: 7, per: 1h, groups: [x]"
    )
    assert [problem.line for problem in refused(tmp_path, text)] == [9, 10, 11]


@pytest.mark.parametrize(
    ("strict", "idle"),
    [
        ("calls: 10, per: 1h", "calls: 11, per: 1m, groups: [a]"),
        ("calls: 10, per: 1h", "calls: 10, per: 1h, targets: [stock]"),
        ("calls: 10, per: 24h, kind: agent", "calls: 10, per: 1h, kind: agent, groups: [a]"),
        ("calls: 10, per: 1h", "calls: 10, per: 1h"),
    ],
)
def test_a_limit_that_a_stricter_one_always_precedes_is_refused(tmp_path: Path, strict: str, idle: str) -> None:
    (problem,) = refused(tmp_path, with_limits(f"name: strict, {strict}", f"name: idle, {idle}"))
    assert problem.what == "the limit `idle` is never reached, for `strict` is at least as strict"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("calls: 10, per: 1m", "calls: 100, per: 1h"),
        ("calls: 100, per: 1h", "calls: 10, per: 1m"),
        ("calls: 10, per: 1h, groups: [a]", "calls: 20, per: 1h"),
        ("calls: 10, per: 1h, targets: [stock]", "calls: 20, per: 1h, targets: [orders]"),
    ],
)
def test_limits_that_each_hold_somebody_back_are_taken(tmp_path: Path, one: str, other: str) -> None:
    assert len(loaded(tmp_path, with_limits(f"name: one, {one}", f"name: other, {other}")).rate_limits) == 2
