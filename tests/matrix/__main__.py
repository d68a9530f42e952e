"""``make matrix``: all cells, and docs/compatibility.md anew. Ends with 1 when something differs unexplained."""

from __future__ import annotations

import argparse
import sys

from tests.matrix import table
from tests.matrix.behind import setup, through
from tests.matrix.cells import every_cell, run_cells
from tests.matrix.peers import running_peers
from tests.matrix.reasons import REASONS
from tests.support.gateway import running_gateway
from tests.support.issuer import running_issuer


def main() -> int:
    """Run it."""
    options = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    options.add_argument("--server", action="append", help="this server alone")
    options.add_argument("--client", action="append", help="this client alone; nothing is written then")
    chosen = options.parse_args()
    with running_issuer() as issuer, running_peers() as peers, running_gateway(setup(issuer.url, peers)) as gateway:
        cells = [
            cell
            for cell in every_cell(peers)
            if cell.server in (chosen.server or peers) and cell.client in (chosen.client or (cell.client,))
        ]
        found = run_cells(cells, peers, through(gateway, issuer), REASONS)
    unexplained = [difference for each in found.values() for difference in each.unexplained]
    for difference in unexplained:
        print(difference)
    problems = len(unexplained)
    document = table.DOCUMENT.read_text("utf-8")
    if chosen.server and not chosen.client:
        for server in chosen.server:
            document = table.with_section(document, peers[server], found)
    elif not chosen.client:
        used = {reason for each in found.values() for reason in each.reasons}
        idle = [reason for reason in REASONS if reason not in used]
        print(*(f"explains nothing any more: {reason}" for reason in idle), sep="\n")
        document = table.replaced(document, table.write(found, peers))
        problems += len(idle)
    table.DOCUMENT.write_text(document, "utf-8")
    print(f"{len(found)} pairs, {len(unexplained)} differences without an explanation")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
