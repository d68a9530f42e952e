"""Compares what the suite found directly and through the gateway, check by check; pure.

A gateway that answers nothing must not pass: what fails directly counts as little as what was not run at all.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.suite import Check, Required, Results

MISSING = "MISSING"
GOOD = frozenset({"SUCCESS", "INFO", "SKIPPED"})

_WELL_FORMED = "wire-schema-valid"

_KEYS = {"peer", "era", "scenario", "check", "direct", "gateway", "reason"}


@dataclass(frozen=True, slots=True)
class Where:
    """A check: of which peer (a reference server, or a client), under which revision, in which scenario."""

    peer: str
    era: str
    scenario: str
    check: str

    def __str__(self) -> str:
        return f"{self.peer} {self.era} {self.scenario} {self.check}"


@dataclass(frozen=True, slots=True)
class Line:
    """A check whose results may be these; ``reason`` says why they are not good, or not the same."""

    where: Where
    direct: str
    gateway: str
    reason: str


@dataclass(frozen=True, slots=True)
class Row:
    """A check with both results; ``reason`` is that of the reviewed line, when there is one that fits."""

    where: Where
    direct: str
    gateway: str
    message: str
    reason: str = ""

    @property
    def same(self) -> bool:
        """Whether the gateway made no difference."""
        return self.direct == self.gateway


@dataclass(frozen=True, slots=True)
class Comparison:
    """All checks of one peer under one revision, and what is wrong with them; good when nothing is."""

    peer: str
    era: str
    rows: tuple[Row, ...]
    problems: tuple[str, ...]


def read_lines(file: Path) -> tuple[Line, ...]:
    """The reviewed list.

    Raises:
        ValueError: for a line that lacks something, says nothing, or is there twice.
    """
    lines: list[Line] = []
    for entry in tomllib.loads(file.read_text("utf-8")).get("line", []):
        if entry.keys() != _KEYS or not all(isinstance(value, str) and value.strip() for value in entry.values()):
            raise ValueError(f"{file.name}: a line has exactly {sorted(_KEYS)}, all of them text: {entry}")
        where = Where(entry["peer"], entry["era"], entry["scenario"], entry["check"])
        if any(line.where == where for line in lines):
            raise ValueError(f"{file.name}: twice: {where}")
        if entry["direct"] == entry["gateway"] and entry["direct"] in GOOD:
            raise ValueError(f"{file.name}: needs no line: {where}")
        lines.append(Line(where, entry["direct"], entry["gateway"], entry["reason"]))
    return tuple(lines)


def compare(
    peer: str, era: str, required: Required, direct: Results, gateway: Results, lines: Iterable[Line]
) -> Comparison:
    """Compare two runs. Problems are: a check that differs, or that is not good directly, without a line that says so;

    a line that says what is not so; a required scenario that did not run, or without a check that succeeded.
    """
    told = {line.where: line for line in lines if (line.where.peer, line.where.era) == (peer, era)}
    rows, problems = [], []
    for scenario in dict.fromkeys((*required.all, *direct, *gateway)):
        of_scenario = list(_rows(peer, era, scenario, direct.get(scenario, ()), gateway.get(scenario, ()), told))
        rows += of_scenario
        problems += [problem for row in of_scenario if (problem := _problem(row, told.get(row.where)))]
        # A scenario that only skips says nothing either way: such are not among those that count.
        if scenario in required.scored and not any(_succeeds(row) for row in of_scenario):
            problems.append(f"{peer} {era} {scenario}: nothing succeeded directly")
        if scenario in required.all:
            for name, results in (("directly", direct), ("through the gateway", gateway)):
                if not results.get(scenario):
                    problems.append(f"{peer} {era} {scenario}: no checks {name}")
    known = {row.where for row in rows}
    problems += [f"{where}: listed, and not there" for where in told if where not in known]
    return Comparison(peer, era, tuple(rows), tuple(problems))


def _succeeds(row: Row) -> bool:
    """Whether something succeeded directly, besides that nothing that was said had a wrong form."""
    return row.direct == "SUCCESS" and row.where.check != _WELL_FORMED


def _rows(
    peer: str, era: str, scenario: str, direct: Sequence[Check], gateway: Sequence[Check], told: dict[Where, Line]
) -> Iterator[Row]:
    first = {check.key: check for check in direct}
    second = {check.key: check for check in gateway}
    for key in dict.fromkeys((*first, *second)):
        where = Where(peer, era, scenario, key)
        before, after = first.get(key), second.get(key)
        was, is_now = (check.status if check else MISSING for check in (before, after))
        message = (after.message if after else "") or (before.message if before else "")
        line = told.get(where)
        fits = line is not None and (line.direct, line.gateway) == (was, is_now)
        yield Row(where, was, is_now, message, line.reason if line is not None and fits else "")


def _problem(row: Row, line: Line | None) -> str | None:
    if row.reason or (line is None and row.same and row.direct in GOOD):
        return None
    found = f"{row.where}: {row.direct} directly, {row.gateway} through the gateway"
    if line is not None:
        return f"{found}; listed as {line.direct} and {line.gateway}"
    return f"{found}: {row.message[:300]}" if row.message else found
