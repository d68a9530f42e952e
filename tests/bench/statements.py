"""How well and how fast statements are understood: ``python -m tests.bench.statements [--corpus FILE]``.

The corpus is JSON lines ``{"sql", "dialect", "class"}``; without one, a small table of our own is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import timeit
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from rich.console import Console
from rich.table import Table

from countersign.statements import READING, classify

_ROUNDS: Final = 5
_TIMES: Final = 20

OWN: Final = (
    ("postgres", "read", "SELECT name FROM accounts WHERE account_no = 17"),
    (
        "postgres",
        "read",
        "SELECT a.name, count(c.card_no) FROM accounts a JOIN cards c USING (account_no) GROUP BY 1 ORDER BY 2 LIMIT 9",
    ),
    ("postgres", "write", "UPDATE accounts SET name = 'x', changed_at = now() WHERE account_no = 17"),
    ("postgres", "mass_write", "DELETE FROM accounts WHERE account_no = account_no"),
    ("mysql", "read", "SELECT name FROM accounts ORDER BY account_no LIMIT 5"),
    ("mysql", "write", "INSERT INTO accounts (name) VALUES ('x')"),
    ("tsql", "read", "SELECT TOP 5 name FROM dbo.accounts"),
    ("tsql", "mass_write", "DELETE FROM dbo.accounts"),
    ("sqlite", "bulk_read", "SELECT name FROM accounts"),
    ("bigquery", "read", "SELECT name FROM bank.accounts WHERE account_no = 17"),
    ("snowflake", "destructive_ddl", "DROP TABLE accounts"),
    ("shell", "read", "ls -l docs"),
    ("mongodb", "bulk_read", "db.accounts.find({})"),
    ("redis", "read", "GET account:17"),
)


@dataclass(frozen=True, slots=True)
class Labelled:
    """One text and the classes that it should have."""

    dialect: str
    text: str
    classes: frozenset[str]


@dataclass(frozen=True, slots=True)
class DialectFigures:
    """What was found of the texts of one dialect, or of all; counts of texts, and microseconds for one."""

    dialect: str
    texts: int
    exact: int
    dangerous: int
    missed: int
    """Dangerous texts that came out as only reading: there must be none."""
    reading: int
    over_blocked: int
    """Texts that only read and got a dangerous class, or were not understood."""
    median_us: float
    slowest_us: float


def corpus_figures(path: Path) -> list[DialectFigures]:
    """Classify the corpus; the figures of each dialect, then of all together.

    Raises:
        OSError: when it cannot be read.
        ValueError: when it is no corpus; names the line.
    """
    lines = enumerate(path.read_text().splitlines(), 1)
    return figures([_labelled(line, f"{path}:{number}") for number, line in lines if line.strip()])


def own_figures() -> list[DialectFigures]:
    """Classify our own table."""
    return figures([Labelled(dialect, text, frozenset(classes.split())) for dialect, classes, text in OWN])


def figures(entries: Sequence[Labelled]) -> list[DialectFigures]:
    """Classify and time each text; the figures of each dialect, then of all together."""
    dialects = dict.fromkeys(each.dialect for each in entries)
    found = [_of(dialect, [each for each in entries if each.dialect == dialect]) for dialect in dialects]
    return [*found, _of("all", entries)]


def table(found: Iterable[DialectFigures], title: str) -> Table:
    """The figures for people."""
    shown = Table(title=title)
    for name in ("dialect", "texts", "exact", "missed", "of dangerous", "over-blocked", "of reading", "µs", "slowest"):
        shown.add_column(name, justify="left" if name == "dialect" else "right")
    for each in found:
        counts = (each.missed, each.dangerous, each.over_blocked, each.reading)
        shown.add_row(
            each.dialect,
            str(each.texts),
            f"{each.exact / each.texts:.1%}",
            *map(str, counts),
            f"{each.median_us:,.0f}",
            f"{each.slowest_us:,.0f}",
        )
    return shown


def corpus_of_environment() -> Path | None:
    """The corpus that COUNTERSIGN_CORPUS names, if it does."""
    named = os.environ.get("COUNTERSIGN_CORPUS")
    return Path(named) if named else None


def statement_figures(corpus: Path | None) -> list[DialectFigures]:
    """Measure the corpus, a file or a folder with it, or our own table when there is none.

    Raises as :func:`corpus_figures`.
    """
    if corpus is None:
        return own_figures()
    return corpus_figures(corpus / "sql.jsonl" if corpus.is_dir() else corpus)


def _labelled(line: str, place: str) -> Labelled:
    try:
        found = json.loads(line)
        return Labelled(found["dialect"], found["sql"], frozenset(found["class"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{place}: expected {{"sql", "dialect", "class": [..]}}') from error


def _of(dialect: str, entries: Sequence[Labelled]) -> DialectFigures:
    exact = missed = over_blocked = dangerous = 0
    for each in entries:
        verdict = classify(each.text, each.dialect)
        exact += verdict.classes == each.classes
        if each.classes <= READING:
            over_blocked += not verdict.only_reads
        else:
            dangerous += 1
            missed += verdict.only_reads
    times = [_us(each) for each in entries]
    return DialectFigures(
        dialect=dialect,
        texts=len(entries),
        exact=exact,
        dangerous=dangerous,
        missed=missed,
        reading=len(entries) - dangerous,
        over_blocked=over_blocked,
        median_us=median(times),
        slowest_us=max(times),
    )


def _us(entry: Labelled) -> float:
    rounds = timeit.repeat(lambda: classify(entry.text, entry.dialect), number=_TIMES, repeat=_ROUNDS)
    return min(rounds) / _TIMES * 1e6


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bench.statements", description=__doc__)
    parser.add_argument("--corpus", type=Path, default=corpus_of_environment(), help="default: COUNTERSIGN_CORPUS")
    named = parser.parse_args().corpus
    Console(width=120).print(table(statement_figures(named), named.name if named else "our own table"))
