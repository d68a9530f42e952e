"""The report states what was measured beside what is expected, and a wrong answer makes it invalid."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from tests.bench.__main__ import FULL, QUICK, arguments_of
from tests.bench.decisions import DecisionFigure
from tests.bench.figures import Figures
from tests.bench.labelled import Coverage
from tests.bench.masking import CLEAN, FINDINGS, MaskingFigures, Speed
from tests.bench.measure import DIRECT, GOVERNED, PLAIN, Measuring, Way
from tests.bench.proofs import ProofFigures
from tests.bench.recorder_figure import RecorderFigures
from tests.bench.report import Report, machine
from tests.bench.revocation import RevocationFigures
from tests.bench.search_figure import SearchFigures
from tests.bench.statements import DialectFigures
from tests.bench.streams import StreamFigures
from tests.bench.tables import tables

ZERO = Figures(DIRECT, 1, 1, 10, 0, "", 1000.0, 900.0, 1100.0, 1.0, 2.0, {"target": 0.1})
CPU = {"envoy": 1.0, "authz": 0.5, "masker": 0.75, "recorder": 0.25, "postgres": 0.5, "target": 0.1}
SQLITE = DialectFigures("sqlite", 10, 9, 6, 0, 4, 1, 150.0, 200.0)
MASKING = MaskingFigures(
    speeds=(Speed(CLEAN, 20_000_000, 0, 1.0), Speed(FINDINGS, 4_900_000, 4_900, 1.0)),
    answers={CLEAN: 10.0, FINDINGS: 4.0},
    small_us=250.5,
    start_s=0.9,
    memory={CLEAN: 2.5, FINDINGS: 3.5},
    coverage=(Coverage("secrets", 100, 90, 200, 3), Coverage("personal data", 100, 84, 20, 1)),
)


def report(*figures: Figures) -> Report:
    return Report(
        machine=machine(),
        generator="wrk",
        rounds=1,
        slice_s=1,
        figures=figures
        or (
            ZERO,
            replace(ZERO, path=GOVERNED, p50_ms=5.5, cpu_ms=CPU),
            replace(ZERO, path=PLAIN, clients=16, calls_per_s=10_000),
            replace(ZERO, path=GOVERNED, clients=16, calls_per_s=599, cpu_ms=CPU),
        ),
        peak_memory_mb={"authz": 121.0, "masker": 100.0, "recorder": 80.0},
        recorder=RecorderFigures(7_999, 250, 5_000, 8, 1_601, 1_900),
        search=SearchFigures(200, 200.1, 80),
        proofs=ProofFigures(1_000_000, 3, 20, 25, 13, 1_000),
        decisions=(DecisionFigure("many rules", 10, 300.0, 400.0),),
        statements=(SQLITE, replace(SQLITE, dialect="all", missed=1)),
        masking=MASKING,
        others_cpu_share=0.1,
        revocation=RevocationFigures(50, 200, 1_000, 18, 1_000.1, 60, 5),
        streams=StreamFigures(1_000, 800, 300.1, {}, 2),
    )


def test_each_expected_figure_is_judged_at_its_bound() -> None:
    verdicts = {one.what: (one.measured, one.met) for one in report().expectations()}
    assert verdicts == {
        "governed, 1 KB, 16 clients": (599, False),
        "added to p50, 1 KB, 1 client": (4.5, True),
        "CPU of our Python processes, 1 KB, 16 clients": (1.5, True),
        "recorder alone": (7_999, False),
        "recorder alone, acknowledged, p99": (250, True),
        "two recorders": (5_000, True),
        "a lone event, p50": (8, True),
        "stored for an event": (1_601, False),
        "lists of sessions at 1,000,000 events, p95": (200, True),
        "searches at 1,000,000 events, p95": (200.1, False),
        "a stream is cut after its caller was revoked, p99": (1_000, True),
        "a held call ends after its caller was revoked, p99": (1_000.1, False),
        "asking whether a caller is revoked": (5, True),
        "memory of 1,000 open streams: Envoy, authz, masker and recorder beyond before": (300.1, False),
        "inclusion proof in a log of 1,000,000, p95": (20, True),
        "peak memory of authz": (121, False),
        "peak memory of masker": (100, True),
        "peak memory of recorder": (80, True),
        "decision: many rules": (300, True),
        "statements: dangerous ones said to be reading": (1, False),
        "statements: exactly understood": (90, False),
        "statements: reading ones over-blocked": (25, False),
        "statements: median of sqlite": (150, True),
        "masking: clean JSON": (20, True),
        "masking: JSON with a finding every KB": (4.9, False),
        "masking: 1 KB": (250.5, False),
        "masking: peak memory, clean": (2.5, True),
        "masking: peak memory, a finding every KB": (3.5, False),
        "masking: start, with compiled patterns": (0.9, True),
        "masking: secrets covered": (90, True),
        "masking: secrets, harmless touched": (1.5, False),
        "masking: personal data covered": (84, False),
        "masking: personal data, harmless touched": (5, True),
    }


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    found = replace(
        report(ZERO),
        peak_memory_mb={},
        recorder=None,
        search=None,
        proofs=None,
        revocation=None,
        streams=None,
        decisions=(),
        statements=(),
        masking=None,
    ).expectations()
    assert {one.met for one in found} == {None}


def test_a_wrong_answer_makes_the_run_invalid_and_slowness_does_not() -> None:
    assert report().document()["valid"] is True
    wrong = report(replace(ZERO, wrong=3, problem="status 503"))
    assert wrong.document()["valid"] is False
    assert wrong.problems == ["direct, 1 KB, 1 clients: 3 wrong answers (status 503)"]


def test_the_document_is_json_and_names_neither_machine_nor_place() -> None:
    text = json.dumps(report().document())
    assert socket.gethostname() not in text.split('"')
    assert os.getcwd() not in text
    first, *_, last = json.loads(text)["figures"]
    assert first["ratio_to_plain_envoy"] is None
    assert last["ratio_to_plain_envoy"] == pytest.approx(0.0599)


def test_the_tables_show_every_way_and_verdict() -> None:
    console = Console(file=StringIO(), width=140)
    for table in tables(report(replace(ZERO, path=GOVERNED, cpu_ms=CPU), ZERO)):
        console.print(table)
    assert isinstance(console.file, StringIO)
    shown = console.file.getvalue()
    for word in (DIRECT, GOVERNED, "not measured", "not met", "met", "1.50"):
        assert word in shown


def test_a_round_visits_the_ways_of_one_size_and_concurrency_side_by_side() -> None:
    ways = [Way(name, 1, "/", {}, {}) for name in (DIRECT, PLAIN, GOVERNED)]
    visited = [(size, clients, way.name) for size, clients, way in Measuring(1, 1).slices(ways)]
    assert visited[:3] == [(1, 1, DIRECT), (1, 1, PLAIN), (1, 1, GOVERNED)]
    assert len(visited) == len(set(visited)) == 18


def test_only_the_governed_way_is_expected_to_be_masked() -> None:
    plans = {name: Way(name, 1, "/", {"x": "y"}, {}).plan(1, 16, 2) for name in (DIRECT, PLAIN, GOVERNED)}
    assert plans[DIRECT].expected == plans[PLAIN].expected != plans[GOVERNED].expected
    assert plans[GOVERNED].headers["x"] == "y"


def test_quick_is_less_of_the_same() -> None:
    assert arguments_of(["--quick"]).quick
    assert QUICK.rounds * QUICK.seconds < FULL.rounds * FULL.seconds
    assert set(QUICK.sizes_kb) < set(FULL.sizes_kb)
    assert QUICK.clients == FULL.clients
