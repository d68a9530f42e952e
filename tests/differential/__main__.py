"""Compare what the gateway judged with what the SDKs of Python and TypeScript read of the same bytes.

``python -m tests.differential`` tries 100,000 made-up requests, other ones each time; ``--seed`` and ``--count`` say
which and how many, ``--case`` shows one of them and what everybody reads in it.
"""

from __future__ import annotations

import argparse
import random
import sys

from tests.differential import python_peer, reports
from tests.differential.cases import case
from tests.differential.readings import Reading, judged
from tests.differential.runs import run
from tests.differential.typescript_peer import running_peer


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__.split("\n\n")[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0, help="0 for another one each time")
    parser.add_argument("--case", type=int, help="show this one alone")
    chosen = parser.parse_args()
    seed = chosen.seed or random.SystemRandom().randrange(1, 2**31)
    if chosen.case is not None:
        _show(seed, chosen.case)
        return 0
    done = run(seed, chosen.count)
    print(reports.report(done))
    print(f"written to {reports.write(done)}")
    return int(bool(done.disagreements or done.false_refusals))


def _show(seed: int, number: int) -> None:
    chosen = case(seed, number)
    ours = judged(chosen)
    print(f"{chosen}\njudged: {ours}\nPython: {python_peer.read(chosen)}")
    with running_peer() as peer:
        peer.send([(chosen, ours[0] if ours else Reading("request", "", None, None, "legacy"))])
        (both,) = peer.receive()
    print(f"TypeScript 1: {both.v1}\nTypeScript 2: {both.v2}")


if __name__ == "__main__":
    sys.exit(main())
