"""The report as tables for people."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from tests.bench.masking import tables as masking_tables
from tests.bench.measure import PARTS
from tests.bench.report import PYTHON_PARTS, Report
from tests.bench.statements import table as statements_table

_VERDICTS = {True: "[green]met[/]", False: "[red]not met[/]", None: "not measured"}


def tables(report: Report) -> Iterator[Table]:
    """Speed, CPU time, memory, decisions, statements, masking, and what was expected."""
    yield _speed(report)
    yield _cpu(report)
    yield _memory(report)
    yield _decisions(report)
    yield statements_table(report.statements, "Statements: how well and how fast they are understood")
    if report.masking is not None:
        yield from masking_tables(report.masking)
    yield _expected(report)


def _speed(report: Report) -> Table:
    table = _table("Calls (median of the rounds; least and most)", "KB", "clients", "path")
    for name in ("calls/s", "least", "most", "of plain", "p50 ms", "p99 ms", "wrong"):
        table.add_column(name, justify="right")
    for one in report.figures:
        share = report.ratio_to_plain(one)
        table.add_row(
            str(one.size_kb),
            str(one.clients),
            one.path,
            f"{one.calls_per_s:,.0f}",
            f"{one.calls_per_s_least:,.0f}",
            f"{one.calls_per_s_most:,.0f}",
            "" if share is None else f"{share:.1%}",
            f"{one.p50_ms:.2f}",
            f"{one.p99_ms:.2f}",
            str(one.wrong or ""),
            end_section=one.path == report.figures[-1].path,
        )
    return table


def _cpu(report: Report) -> Table:
    table = _table("CPU time, ms a call", "KB", "clients", "path")
    for name in (*PARTS, "our Python", "target"):
        table.add_column(name, justify="right")
    for one in report.figures:
        if not any(part in one.cpu_ms for part in PARTS):
            continue
        ours = [one.cpu_ms[part] for part in PYTHON_PARTS if part in one.cpu_ms]
        cells = [f"{one.cpu_ms[part]:.2f}" if part in one.cpu_ms else "" for part in PARTS]
        total = f"{sum(ours):.2f}" if ours else ""
        table.add_row(str(one.size_kb), str(one.clients), one.path, *cells, total, f"{one.cpu_ms['target']:.2f}")
    return table


def _memory(report: Report) -> Table:
    table = _table("Peak memory of one process", "process")
    table.add_column("MB", justify="right")
    for name, peak in report.peak_memory_mb.items():
        table.add_row(name, f"{peak:.0f}")
    return table


def _decisions(report: Report) -> Table:
    table = _table("Decisions, µs of CPU time", "policy")
    for name in ("p50", "p99"):
        table.add_column(name, justify="right")
    for one in report.decisions:
        table.add_row(one.name, f"{one.p50_us:,.0f}", f"{one.p99_us:,.0f}")
    return table


def _expected(report: Report) -> Table:
    table = _table("Expected of this version, on 2 cores with everything on them", "figure")
    for name in ("measured", "expected", ""):
        table.add_column(name, justify="right")
    for one in report.expectations():
        measured = "" if one.measured is None else f"{one.measured:,.4g}"
        bound = f"{'≥' if one.at_least else '≤'} {one.limit:,g} {one.unit}"
        table.add_row(one.what, measured, bound, _VERDICTS[one.met])
    return table


def _table(title: str, *left: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for name in left:
        table.add_column(name, justify="right" if name in ("KB", "clients") else "left")
    return table
