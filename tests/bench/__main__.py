"""``python -m tests.bench``: the speed of the governed path beside plain Envoy and no gateway at all.

Ends with 1 when an answer was wrong or a part failed, never because something was slow.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

import psutil
from rich.console import Console

from tests.bench.decisions import decision_figures
from tests.bench.figures import NothingAnswered
from tests.bench.load import LoadFailed, generator
from tests.bench.masking import masking_figures
from tests.bench.measure import Measuring, peaks_mb, running_ways
from tests.bench.noise import Noise
from tests.bench.proofs import proof_figures
from tests.bench.recorder_figure import recorder_figures
from tests.bench.report import Report, machine
from tests.bench.revocation import revocation_figures
from tests.bench.search_figure import search_figures
from tests.bench.statements import corpus_of_environment, statement_figures
from tests.bench.streams import STREAMS, StreamsLost, stream_figures
from tests.bench.tables import tables
from tests.support.gateway import NotReady

FULL = Measuring(rounds=4, seconds=2)
QUICK = Measuring(rounds=1, seconds=1, sizes_kb=(1, 10))
STREAMS_OPEN = {FULL: STREAMS, QUICK: 100}
RECORDER_S = {FULL: 5.0, QUICK: 1.0}


def main(arguments: argparse.Namespace, console: Console) -> Report:
    """Measure everything and write bench.json.

    Raises:
        LoadFailed: when the load generator, or the recorder's own benchmark, did not work.
        NothingAnswered: when a path gave no right answer at all.
        NotReady: when the gateway or plain Envoy did not come up.
        StreamsLost: when streams did not stay open.
        psutil.NoSuchProcess: when a part ended meanwhile.
        OSError, ValueError: when the corpus cannot be read, or is none.
    """
    sends = generator(arguments.generator)
    measuring = QUICK if arguments.quick else FULL
    noise = Noise.begin()

    def tell(doing: str) -> None:
        console.print(doing, style="dim", highlight=False)

    tell("decisions, statements, and masking")
    decisions, statements = decision_figures(), statement_figures(arguments.corpus)
    masking = masking_figures(arguments.corpus)
    tell(f"starting the target, plain Envoy and the gateway; load by {sends.name}")
    with running_ways() as ways:
        figures = measuring.run(sends, ways, tell)
        peaks = peaks_mb(ways)
    tell("the recorder alone")
    recorder = recorder_figures(RECORDER_S[measuring])
    tell("proofs in a log of a million events")
    proofs = asyncio.run(proof_figures())
    tell("what goes on after a revocation")
    revocation = revocation_figures()
    tell("many open and quiet streams")
    streams = stream_figures(STREAMS_OPEN[measuring])
    search = None
    if measuring is FULL:
        tell("lists and searches at a million events: some minutes")
        search = search_figures()
    report = Report(
        machine=machine(),
        generator=sends.name,
        rounds=measuring.rounds,
        slice_s=measuring.seconds,
        figures=figures,
        peak_memory_mb=peaks,
        recorder=recorder,
        decisions=decisions,
        statements=statements,
        masking=masking,
        others_cpu_share=noise.others_share(),
        search=search,
        proofs=proofs,
        revocation=revocation,
        streams=streams,
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "bench.json").write_text(json.dumps(report.document(), indent=1) + "\n")
    return report


def arguments_of(words: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one short round without the largest answers and without searches: some two minutes, and less exact",
    )
    parser.add_argument("--generator", choices=("auto", "wrk", "own"), default="auto", help="auto: wrk if installed")
    parser.add_argument(
        "--corpus",
        type=Path,
        default=corpus_of_environment(),
        help="labelled statements, JSON lines, or a folder with these and labelled texts; default: COUNTERSIGN_CORPUS,"
        " or a small table of our own",
    )
    parser.add_argument("--out", type=Path, default=Path("bench-report"), help="folder of bench.json")
    return parser.parse_args(words)


if __name__ == "__main__":
    terminal = Console(width=None if sys.stdout.isatty() else 120)
    options = arguments_of(sys.argv[1:])
    try:
        found = main(options, terminal)
    except (LoadFailed, NothingAnswered, NotReady, StreamsLost, psutil.Error, OSError, ValueError) as error:
        sys.exit(f"the benchmark could not be carried out: {error}")
    for table in tables(found):
        terminal.print(table)
    terminal.print(f"other processes took {found.others_cpu_share:.0%} of the machine meanwhile")
    for problem in found.problems:
        terminal.print(f"[red]NOT VALID[/]: {problem}")
    sys.exit(1 if found.problems else 0)
