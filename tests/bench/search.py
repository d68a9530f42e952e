"""``python -m tests.bench.search``: how long lists and searches take at a million events, and what the index takes.

Postgres runs in processes of its own; what asks is in this process, without gRPC and without recording the question.
To make a million events and to index them takes some minutes; ``--dsn`` asks a database that has them already.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil
import psycopg
import uvloop
from rich.console import Console
from rich.table import Table

from countersign.recorder.bodies import BodyKeeper
from countersign.recorder.ports import SessionFilter
from countersign.recorder.reading import PostgresReadStore
from countersign.recorder.search.asked import Place
from countersign.recorder.search.block import BLOCK_EVENTS
from countersign.recorder.search.finder import Finder
from countersign.recorder.search.index_store import PostgresIndexStore
from countersign.recorder.search.ports import Wanted
from countersign.recorder.search.query import query_of
from countersign.recorder.search.store import PostgresSearchStore
from tests.bench.many_events import ManyEvents
from tests.bench.search_figure import EXPECTED_MS
from tests.support.postgres import running_postgres

EVENTS = 1_000_000
ROUNDS = 12
PAGE = 50
INDEX_TABLES = ("marks", "session_marks", "words")


@dataclass(frozen=True)
class Question:
    """One question, asked some times. ``hostile`` is made to be slow; it is given back short, and goes on."""

    name: str
    p50_ms: float
    p95_ms: float
    found: int
    hostile: bool


@dataclass(frozen=True)
class Figures:
    """What was measured: ``p95_ms`` over all lists and searches, hostile ones among them; CPU times a core's."""

    events: int
    p95_ms: float
    list_p95_ms: float
    search_p95_ms: float
    questions: list[Question]
    index_bytes_per_event: float
    stored_bytes_per_event: float
    index_python_us_per_event: float | None
    index_postgres_us_per_event: float | None


def searches(middle_us: int) -> dict[str, Wanted]:
    """Questions of events: plain ones, rare ones, ones of which each half is common, ones of the past."""
    day = Wanted(since_us=middle_us, until_us=middle_us + 86_400_000_000)
    return {
        "all": Wanted(),
        "a target": Wanted(target="orders"),
        "a rare person": Wanted(subject="person-399"),
        "a person at a target": Wanted(subject="person-17", target="wiki"),
        "denied at a target": Wanted(target="crm", outcome=2),
        "a label": Wanted(label="iban"),
        "a rare label": Wanted(label="passport"),
        "a relation, denied": Wanted(relation="public.orders", outcome=2),
        "never in one event": Wanted(target="orders", name="invoice"),
        "never in one event, of the record": Wanted(rule="no exports", outcome=1),
        "a day": replace(day, target="orders"),
        "before": Wanted(until_us=middle_us),
        "a common word": Wanted(text=query_of("shipped")),
        "a phrase": Wanted(text=query_of('"paid twice"')),
        "a word of a person": Wanted(subject="person-3", text=query_of("shipped")),
        "a number": Wanted(text=query_of("86839")),
        "a rare word": Wanted(text=query_of("needle4")),
        "a rare word of a day": replace(day, text=query_of("needle4")),
        "no such word": Wanted(text=query_of("nosuchword")),
        "hostile: words never in one body": Wanted(text=query_of("customer shipped")),
    }


def lists(middle_us: int) -> dict[str, SessionFilter]:
    """Questions of sessions."""
    return {
        "sessions": SessionFilter(),
        "sessions of a person": SessionFilter(subject="person-17"),
        "sessions of a group": SessionFilter(group="analysts"),
        "sessions by method": SessionFilter(method="tools/call"),
        "sessions by rule": SessionFilter(rule="no exports"),
        "sessions by rare label": SessionFilter(label="passport"),
        "sessions by label and rule": SessionFilter(label="iban", rule="night shift", target="crm"),
        "sessions of an hour": SessionFilter(since_us=middle_us, until_us=middle_us + 3_600_000_000),
    }


async def index(dsn: str, tell: Callable[[str], None]) -> tuple[float, float]:
    """Index all there is; return microseconds of CPU an event, of this process and of Postgres."""
    store = PostgresIndexStore(dsn, BodyKeeper())
    began, theirs_s, events = time.process_time(), 0.0, 0
    try:
        left: int | None = 1
        while left:
            left = await store.index(16)
            events += 16 * BLOCK_EVENTS
            if events % (1 << 18) == 0:
                tell(f"{left} blocks to index")
            for process in psutil.process_iter(["cmdline"]):
                if "countersign-search-index" in " ".join(process.info["cmdline"] or ()):
                    used = process.cpu_times()
                    theirs_s = used.user + used.system
    finally:
        await store.close()
    return (time.process_time() - began) / events * 1e6, theirs_s / events * 1e6


async def asked(name: str, ask: Callable[[], Awaitable[int]], took: list[float], *, rounds: int = ROUNDS) -> Question:
    """Ask some times, once before it counts."""
    found = await ask()
    mine = []
    for _ in range(rounds):
        began = time.perf_counter()
        await ask()
        mine.append((time.perf_counter() - began) * 1000)
    took += mine
    return Question(name, _percentile(mine, 50), _percentile(mine, 95), found, name.startswith("hostile"))


def _percentile(took: list[float], percent: int) -> float:
    return round(sorted(took)[min(len(took) - 1, len(took) * percent // 100)], 1)


async def measure(dsn: str, index_us: tuple[float, float] | None) -> Figures:
    """Ask everything."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        events, middle_us = _row(
            connection,
            "SELECT h.next_index, e.time_us FROM countersign.head AS h"
            " JOIN countersign.events AS e ON e.index = h.next_index / 2",
        )
        sizes: dict[str, int] = dict(
            connection.execute(
                "SELECT regexp_replace(relname, '_[0-9]+$', ''), sum(pg_total_relation_size(c.oid))::bigint"
                " FROM pg_class AS c WHERE relnamespace = 'countersign'::regnamespace AND relkind = 'r' GROUP BY 1"
            ).fetchall()
        )
    store, reader = PostgresSearchStore(dsn, BodyKeeper()), PostgresReadStore(dsn)
    finder = Finder(store)
    listing: list[float] = []
    searching: list[float] = []
    questions: list[Question] = []

    async def page(wanted: Wanted, place: Place | None) -> int:
        return len((await finder.page(wanted, place, PAGE)).events)

    async def sessions(wanted: SessionFilter, before: int | None) -> int:
        return len(await reader.sessions(wanted, before=before, limit=PAGE + 1))

    try:
        for name, wanted in searches(middle_us).items():
            questions.append(await asked(name, lambda wanted=wanted: page(wanted, None), searching))  # type: ignore[misc]
        for name in ("a target", "a common word"):
            deep = searches(middle_us)[name]
            place = Place(events // 3, complete=True)
            questions.append(await asked(f"{name}, a deep page", lambda: page(deep, place), searching))  # noqa: B023
        for name, listed in lists(middle_us).items():
            questions.append(await asked(name, lambda listed=listed: sessions(listed, None), listing))  # type: ignore[misc]
        ask_deep = SessionFilter(rule="no exports")
        questions.append(await asked("sessions by rule, a deep page", lambda: sessions(ask_deep, events // 3), listing))
    finally:
        await store.close()
        await reader.close()
    return Figures(
        events=events,
        p95_ms=_percentile(listing + searching, 95),
        list_p95_ms=_percentile(listing, 95),
        search_p95_ms=_percentile(searching, 95),
        questions=questions,
        index_bytes_per_event=round(sum(sizes.get(table, 0) for table in INDEX_TABLES) / events, 1),
        stored_bytes_per_event=round(sum(sizes.values()) / events, 1),
        index_python_us_per_event=None if index_us is None else round(index_us[0], 1),
        index_postgres_us_per_event=None if index_us is None else round(index_us[1], 1),
    )


def _row(connection: psycopg.Connection, query: str) -> tuple[int, int]:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0], row[1]


def show(figures: Figures, console: Console) -> None:
    """Print the table."""
    table = Table(title=f"lists and searches, {figures.events:,} events", box=None)
    for title in ("", "p50 ms", "p95 ms", "found"):
        table.add_column(title, justify="right" if title else "left")
    for one in figures.questions:
        table.add_row(one.name, f"{one.p50_ms}", f"{one.p95_ms}", f"{one.found}")
    console.print(table)
    console.print(
        f"p95: lists {figures.list_p95_ms} ms, searches {figures.search_p95_ms} ms; "
        f"index {figures.index_bytes_per_event} of {figures.stored_bytes_per_event} bytes an event"
    )


def main() -> int:
    """Measure, print, write JSON; 1 when slower than expected."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.search", description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--dsn", default="", help="a database that is filled and indexed already")
    parser.add_argument("--json", type=Path, default=Path("bench-report/search.json"))
    given = parser.parse_args()
    console = Console()

    def tell(doing: str) -> None:
        console.print(doing, style="dim", highlight=False)

    async def made(dsn: str) -> Figures:
        tell(f"making {given.events:,} events")
        await ManyEvents(given.events).fill(dsn)
        index_us = await index(dsn, tell)
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
        return await measure(dsn, index_us)

    if given.dsn:
        figures = uvloop.run(measure(given.dsn, None))
    else:
        with running_postgres() as postgres:
            figures = uvloop.run(made(postgres.database()))
    show(figures, console)
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(asdict(figures), indent=2) + "\n")
    return int(figures.p95_ms > EXPECTED_MS)


if __name__ == "__main__":
    sys.exit(main())
