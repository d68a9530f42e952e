"""What a run found, as Markdown for people and JSON for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

from tests.conformance.comparison import Comparison, Row
from tests.conformance.run import Outcome
from tests.conformance.suite import suite_version

_COLUMNS = ("peer", "requirements", "scenarios", "checks", "as without the gateway", "reviewed lines", "problems")


def write(folder: Path, outcomes: Sequence[Outcome]) -> None:
    """Write ``report.md`` and ``report.json`` into the folder."""
    folder.mkdir(exist_ok=True)
    (folder / "report.md").write_text("\n".join(markdown(outcomes)) + "\n", "utf-8")
    (folder / "report.json").write_text(json.dumps(_data(outcomes), indent=1) + "\n", "utf-8")


def markdown(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """The report, line by line."""
    yield from results(outcomes)
    yield from ("", "## Processor time", "", "In seconds, all revisions together:", "")
    yield "| peer | suite, directly | suite, through | server, directly | server, through | gateway |"
    yield "|---|---|---|---|---|---|"
    for each in outcomes:
        costs = each.costs
        spent = (*costs.suite_s, *costs.server_s, costs.gateway_s)
        yield f"| {each.peer} | {' | '.join(f'{seconds:.1f}' for seconds in spent)} |"


def results(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """What was found, line by line: the same for every run that found the same."""
    yield f"# Conformance: directly and through the gateway (suite {suite_version()})"
    yield ""
    yield from summary(outcomes)
    for each in outcomes:
        for comparison in each.comparisons:
            yield from details(comparison)


def summary(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """The table of all comparisons, line by line."""
    yield f"| {' | '.join(_COLUMNS)} |"
    yield f"{'|---' * len(_COLUMNS)}|"
    for told in (comparison for each in outcomes for comparison in each.comparisons):
        rows = told.rows
        scenarios = len({row.where.scenario for row in rows})
        counts = (len(rows), sum(row.same for row in rows), sum(bool(row.reason) for row in rows), len(told.problems))
        yield f"| {told.peer} | {told.era} | {scenarios} | {' | '.join(map(str, counts))} |"


def details(told: Comparison) -> Iterator[str]:
    """What was found of one peer under one revision, line by line."""
    yield from ("", f"## {told.peer}, {told.era}")
    if told.problems:
        yield from ("", "Problems:", *(f"- {problem}" for problem in told.problems))
    yield from ("", "| scenario | directly | through the gateway |", "|---|---|---|")
    for scenario, rows in groupby(told.rows, key=lambda row: row.where.scenario):
        of_it = list(rows)
        before, after = _counts(row.direct for row in of_it), _counts(row.gateway for row in of_it)
        yield f"| {scenario} | {before} | {'the same' if all(row.same for row in of_it) else after} |"
    listed = [row for row in told.rows if row.reason or not row.same]
    if listed:
        yield from ("", "| scenario | check | directly | gateway | reason |", "|---|---|---|---|---|")
        yield from (_line(row) for row in listed)


def _line(row: Row) -> str:
    where = row.where
    reason = row.reason or f"**not reviewed:** {row.message[:300]}"
    return f"| {where.scenario} | {where.check} | {row.direct} | {row.gateway} | {_cell(reason)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _counts(statuses: Iterator[str]) -> str:
    counted = Counter(statuses)
    return ", ".join(f"{count} {status.lower()}" for status, count in sorted(counted.items()))


def _data(outcomes: Sequence[Outcome]) -> dict[str, object]:
    return {"suite": suite_version(), "outcomes": [asdict(each) for each in outcomes]}
