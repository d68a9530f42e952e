"""A report as tables of text, which every way to show it draws; nothing in a cell is hidden, reordered or obeyed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from countersign.model.visible import visible
from countersign.review.report import Counts, Report, Thing

_MOST_THINGS = 12
COUNTED = ("calls", "denied", "asked", "approved", "masked", "rows", "bytes", "first", "last")


@dataclass(frozen=True, slots=True)
class Table:
    """A section of a report; the first column holds the ids of its lines. ``numeric`` are columns of numbers."""

    section: str
    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def numeric(self) -> frozenset[str]:
        """The names of columns that hold numbers."""
        return frozenset(COUNTED[:7]) | {"principals"}


def tables(report: Report) -> list[Table]:
    """All sections that there are, in the order in which they are read."""
    shown = [_people(report), _groups(report)]
    if report.policy is not None:
        shown.append(_grants(report))
    if report.rules:
        shown.append(_rules(report))
    return [*shown, _sessions(report)]


def heading(report: Report) -> list[str]:
    """What the report is about, and what came of it, a sentence each."""
    lines = [f"From {report.since} to {report.until}" + (f", target {report.target}" if report.target else "") + "."]
    if report.policy is not None:
        facts = report.policy
        lines.append(
            f"Compared with {facts.file} (version {facts.version}): {facts.passed:,} calls passed or waited for "
            f"people, {facts.not_passed:,} did not."
        )
        if facts.no_longer_passing:
            lines.append(
                f"{facts.no_longer_passing:,} of those that passed would not pass by this file any more: were groups "
                "renamed, or rules changed?"
            )
    if report.narrower is not None:
        lines.append(_proof(report))
    return [visible(line) for line in lines]


def rules_text(report: Report) -> str:
    """The narrower rules as they are shown; empty when there are none."""
    return "" if report.narrower is None else visible(report.narrower.yaml, keep="\n")


def _proof(report: Report) -> str:
    one = report.narrower
    assert one is not None
    if one.refused:
        return f"No narrower rules: {one.refused}."
    aside = f" {one.set_aside:,} more cannot be judged: their arguments were erased." if one.set_aside else ""
    masked = f" {one.on_masked_arguments:,} were judged on masked arguments." if one.on_masked_arguments else ""
    return (
        f"Narrower rules: {one.judged:,} calls were judged again by them, {one.changed:,} would be decided otherwise, "
        f"{one.from_allowed_to_denied:,} would be denied.{aside}{masked}"
    )


def _people(report: Report) -> Table:
    return _table(
        "people",
        "Who used what",
        "What each principal used of each target, the busiest first.",
        ("line", "principal", "kind", "groups", "target", *COUNTED, "used"),
        (
            (
                *(line.id, line.subject, line.kind, _list(line.groups), line.target),
                *_counts(line.counts),
                _things(line.used),
            )
            for line in report.people
        ),
    )


def _groups(report: Report) -> Table:
    return _table(
        "groups",
        "By group",
        "Whoever is in several groups counts for each of them.",
        ("line", "group", "target", "principals", *COUNTED, "used"),
        (
            (line.id, line.group, line.target, str(line.principals), *_counts(line.counts), _list(line.names))
            for line in report.groups
        ),
    )


def _grants(report: Report) -> Table:
    return _table(
        "grants",
        "Granted and never used",
        "Rules, or parts of them, that let in no call that passed.",
        ("line", "rule", "part", "said"),
        (
            (line.id, line.rule, f"{line.field}: {line.entry}" if line.field else "all of it", line.said)
            for line in report.grants
        ),
    )


def _rules(report: Report) -> Table:
    return _table(
        "rules",
        "Narrower rules",
        "What becomes of each rule in the rules below.",
        ("line", "rule", "becomes", "why", "calls"),
        ((line.id, line.rule, line.what, line.why, str(line.calls)) for line in report.rules),
    )


def _sessions(report: Report) -> Table:
    return _table(
        "sessions",
        "Sessions that stand out",
        f"Against what the principal did before, since {report.compared_since}.",
        ("line", "principal", "target", "started", "session", "why"),
        (
            (line.id, line.subject, line.target, line.started, line.session_id, "; ".join(line.reasons))
            for line in report.sessions
        ),
    )


def _table(section: str, title: str, note: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Table:
    return Table(section, title, note, columns, tuple(tuple(map(visible, row)) for row in rows))


def _counts(counts: Counts) -> tuple[str, ...]:
    numbers = (counts.allowed, counts.denied, counts.asked, counts.approved, counts.masked, counts.rows, counts.bytes)
    return (*map(str, numbers), counts.first, counts.last)


def _things(used: Sequence[Thing]) -> str:
    passed = [one for one in used if one.counts.allowed]
    told = [f"{one.name or one.method} ({one.counts.allowed})" for one in passed[:_MOST_THINGS]]
    if len(passed) > _MOST_THINGS:
        told.append(f"{len(passed) - _MOST_THINGS} more")
    return _list(told)


def _list(texts: Iterable[str]) -> str:
    return ", ".join(texts)
