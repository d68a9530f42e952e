"""How fast bodies are masked, and in how much memory: ``python -m tests.bench.masking [--corpus FOLDER]``.

All masks there are: ``secrets`` and the standard set of personal data. Times are processor time of one core. Memory is
that of a process of its own, set up as services are, which treats one body as the answer to a call: checked, counted,
masked, ready to be recorded and released. With a folder of labelled texts it is also counted how much of what they
label is covered, and how many of the harmless ones are touched.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final

from rich.console import Console
from rich.table import Table

from countersign.masking import MaskCatalog, Masker
from countersign.model.rule import DETECTOR_SETS, Mask
from tests.bench.labelled import Coverage, coverage_figures
from tests.bench.statements import corpus_of_environment

MASKS: Final = (Mask("pii", detectors=DETECTOR_SETS["pii"]), Mask("secrets", detectors=("secrets",)))
CLEAN, FINDINGS = "clean", "a finding every KB"
_SPEED_BYTES, _MEMORY_BYTES, _SMALL_BYTES = 1_000_000, 8_000_000, 1_000
_ROUNDS: Final = 5
_LONGEST_S: Final = 120.0
_WORDS: Final = (
    *("account", "balance", "customer", "region", "quarterly", "shipped", "pending", "approved", "north", "south"),
    *("invoice", "delivery", "standard", "priority", "weekly", "manager", "office", "street", "garden", "river"),
)
_NOT_ASCII: Final = ("Übergröße", "größer", "Straße", "déjà", "façade", "señor", "東京", "大阪", "Москва")


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast one kind of body is masked. ``findings`` is how many there are in it."""

    kind: str
    size_bytes: int
    findings: int
    seconds: float

    @property
    def mb_per_s(self) -> float:
        """Megabytes (10^6 bytes) of body masked in a second."""
        return self.size_bytes / self.seconds / 1e6


@dataclass(frozen=True, slots=True)
class MaskingFigures:
    """What was measured. ``memory`` is the peak by kind of body, as a multiple of the body, which it includes.

    ``answers`` is how many megabytes (10^6 bytes) of such bodies are treated as answers in a second.
    """

    speeds: tuple[Speed, ...]
    answers: Mapping[str, float]
    small_us: float
    start_s: float
    """From the start of Python to the first masked body, with patterns compiled before."""
    memory: Mapping[str, float]
    coverage: tuple[Coverage, ...]


def bodies(size_bytes: int) -> dict[str, bytes]:
    """Make answers to ``tools/call``, of about this size, by what is particular about them."""
    return {
        CLEAN: _body(_rows(size_bytes, _WORDS)),
        FINDINGS: _body(_rows(size_bytes, _WORDS, mail_every_bytes=1_000)),
        "JSON in text": _body([], text=json.dumps({"rows": list(_rows(size_bytes * 7 // 8, _WORDS))})),
        "one long text": _body([], text="".join(f"{_note(Random(n), _WORDS)}.\n" for n in range(size_bytes // 95))),
        "not ASCII": _body(_rows(size_bytes, _NOT_ASCII)),
    }


def masking_figures(corpus: Path | None) -> MaskingFigures:
    """Measure. Raises :class:`ValueError` for a corpus that is none, :class:`OSError` when it cannot be read."""
    with TemporaryDirectory(prefix="cs-masks-") as folder:
        cache_dir = Path(folder)
        masker = _masker(cache_dir)
        speeds = tuple(_speed(masker, kind, body) for kind, body in bodies(_SPEED_BYTES).items())
        answers = {kind: _answers_mb_per_s(cache_dir, body) for kind, body in bodies(_SPEED_BYTES).items()}
        small = _body(_rows(_SMALL_BYTES - 120, _WORDS))
        return MaskingFigures(
            speeds=speeds,
            answers=answers,
            small_us=_least_s(lambda: masker.json(small), times=100) * 1e6,
            start_s=_probe(cache_dir, None),
            memory={kind: _probe(cache_dir, body) for kind, body in bodies(_MEMORY_BYTES).items()},
            coverage=() if corpus is None else coverage_figures(masker, corpus),
        )


def tables(found: MaskingFigures) -> Iterator[Table]:
    """The figures for people."""
    speed = Table(title="Masking with every detector, one core", title_justify="left", title_style="bold")
    for name in ("body", "MB", "findings", "MB/s", "as answers MB/s", "peak memory / body"):
        speed.add_column(name, justify="left" if name == "body" else "right")
    for one in found.speeds:
        size, rate = f"{one.size_bytes / 1e6:.1f}", f"{one.mb_per_s:.1f}"
        as_answers, memory = f"{found.answers[one.kind]:.1f}", f"{found.memory[one.kind]:.1f}"
        speed.add_row(one.kind, size, f"{one.findings:,}", rate, as_answers, memory)
    yield speed
    if found.coverage:
        cover = Table(title="Labelled texts", title_justify="left", title_style="bold")
        for name in ("texts", "labelled", "covered", "%", "harmless", "touched", "%"):
            cover.add_column(name, justify="left" if name == "texts" else "right")
        for each in found.coverage:
            counts = (str(each.labelled), str(each.covered), f"{each.covered_percent:.1f}")
            cover.add_row(each.name, *counts, str(each.harmless), str(each.touched), f"{each.touched_percent:.1f}")
        yield cover


def _masker(cache_dir: Path) -> Masker:
    return _catalog(cache_dir).select(mask.name for mask in MASKS)


def _catalog(cache_dir: Path) -> MaskCatalog:
    return MaskCatalog(MASKS, cache_dir=cache_dir)


def _answers_mb_per_s(cache_dir: Path, body: bytes) -> float:
    # Not above: how long masking takes to start is measured of this module, without the services around it.
    from tests.bench.content import content_masker

    answers, text = content_masker(_catalog(cache_dir), MASKS), body.decode()
    return len(body) / _least_s(lambda: answers.answer(text), times=1) / 1e6


def _speed(masker: Masker, kind: str, body: bytes) -> Speed:
    findings = sum(finding.count for finding in masker.json(body).findings)
    return Speed(kind, len(body), findings, _least_s(lambda: masker.json(body), times=1))


def _least_s(work: Callable[[], object], times: int) -> float:
    spent: list[float] = []
    for _ in range(_ROUNDS):
        began = time.process_time()
        for _ in range(times):
            work()
        spent.append((time.process_time() - began) / times)
    return min(spent)


def _body(rows: Iterator[dict[str, object]] | list[dict[str, object]], text: str = "done") -> bytes:
    result = {"content": [{"type": "text", "text": text}], "structuredContent": {"rows": list(rows)}}
    message = {"jsonrpc": "2.0", "id": 1, "result": result}
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()


def _rows(size_bytes: int, words: Sequence[str], mail_every_bytes: int = 0) -> Iterator[dict[str, object]]:
    random = Random(size_bytes)
    size = mails = number = 0
    while size < size_bytes:
        row: dict[str, object] = {
            "id": number,
            "name": " ".join(random.choices(words, k=2)),
            "amount": round(random.random() * 1000, 2),
            "created_at": f"2026-0{number % 9 + 1}-1{number % 9}T10:{number % 60:02d}:00Z",
            "note": _note(random, words),
            "active": number % 2 == 0,
            "parent": None,
        }
        if mail_every_bytes and size // mail_every_bytes >= mails:
            row["note"] = f"write to jane.roe{number}@example.org"
            mails += 1
        size += len(json.dumps(row, separators=(",", ":"), ensure_ascii=False).encode()) + 1
        number += 1
        yield row


def _note(random: Random, words: Sequence[str]) -> str:
    return " ".join(random.choices(words, k=12))


def _probe(cache_dir: Path, body: bytes | None) -> float:
    """Measure in a process of its own, in which nothing else was done: the memory for a body, or else the start."""
    command = [sys.executable, "-m", "tests.bench.masking", "--probe", str(cache_dir)]
    if body is not None:
        file = cache_dir / "body"
        file.write_bytes(body)
        command += ["--body", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_S, check=True)
    return float(done.stdout)


def _probed(cache_dir: Path, body_file: Path | None) -> float:
    small = _body(_rows(_SMALL_BYTES, _WORDS))
    if body_file is None:
        _masker(cache_dir).json(small)
        return time.process_time()
    from tests.bench.content import Body, content_masker, give_back_large_blocks

    give_back_large_blocks()
    answers = content_masker(_catalog(cache_dir), MASKS)
    answers.answer(small.decode())
    before_kb = _memory_kb("VmRSS")
    # Linux: begin anew with the peak (proc(5)).
    Path("/proc/self/clear_refs").write_text("5")
    body = Body([body_file.read_bytes()])
    answers.answer(body.text())
    return (_memory_kb("VmHWM") - before_kb) * 1024 / body.size_bytes


def _memory_kb(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(name)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bench.masking", description=__doc__)
    parser.add_argument("--corpus", type=Path, default=corpus_of_environment(), help="default: COUNTERSIGN_CORPUS")
    parser.add_argument("--probe", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--body", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.probe:
        sys.stdout.write(str(_probed(options.probe, options.body)))
    else:
        console = Console(width=120)
        measured = masking_figures(options.corpus)
        for table in tables(measured):
            console.print(table)
        console.print(f"1 KB: {measured.small_us:,.0f} µs; start: {measured.start_s:.2f} s")
