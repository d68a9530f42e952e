"""``python -m tests.conformance``: run the suite both ways, write the report, and end with 1 when anything is wrong."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.conformance.report import results, summary, write
from tests.conformance.run import PEERS, RESULTS, outcomes
from tests.conformance.suite import ERAS


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--peer", action="append", choices=PEERS, help="may be repeated; all, when not given")
    parser.add_argument("--era", action="append", choices=ERAS, help="may be repeated; all, when not given")
    parser.add_argument("--report", type=Path, default=Path("conformance-report"), help="where the report is written")
    parser.add_argument("--docs", action="store_true", help=f"write {RESULTS.name} anew, too: all peers and revisions")
    chosen = parser.parse_args()
    found = []
    for outcome in outcomes(chosen.peer or PEERS, tuple(chosen.era or ERAS)):
        found.append(outcome)
        write(chosen.report, found)
    if chosen.docs:
        RESULTS.write_text("\n".join((*results(found), "")), "utf-8")
    print("\n".join(summary(found)))
    problems = [each for outcome in found for comparison in outcome.comparisons for each in comparison.problems]
    for problem in problems:
        print(problem, file=sys.stderr)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
