"""The matrix as docs/compatibility.md shows it: written by a run, and read again by the test that checks it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.matrix.cells import CLIENTS, Cell
from tests.matrix.comparing import Compared, Reason, Verdict
from tests.matrix.peers import Peer
from tests.matrix.steps import FEATURES

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "compatibility.md"
BEGIN, END = "<!-- written by `make matrix` -->\n", "<!-- end of what `make matrix` writes -->\n"

MARKS: Mapping[Verdict, str] = {
    Verdict.SAME: "✓",
    Verdict.EXPLAINED: "≈",
    Verdict.DIFFERS: "✗",
    Verdict.NOT_OFFERED: "",
}
_TITLES = {client.name: client.title for client in CLIENTS}
Marks = Mapping[Cell, Mapping[str, str]]


def marks(found: Mapping[Cell, Compared]) -> Marks:
    """What stands in the table of each cell, by feature."""
    return {
        cell: {feature: MARKS[verdict] for feature, verdict in each.verdicts.items()} for cell, each in found.items()
    }


def write(found: Mapping[Cell, Compared], peers: Mapping[str, Peer]) -> str:
    """The part of the document that a run writes."""
    parts = [BEGIN, *(section(peer, found) for peer in peers.values())]
    reasons = sorted({reason for each in found.values() for reason in each.reasons}, key=lambda reason: reason.step)
    parts.append("\n### What differs, and why\n")
    parts.append(_reasons(reasons, peers))
    return "".join([*parts, "\n", END])


def section(peer: Peer, found: Mapping[Cell, Compared]) -> str:
    """The part of one server."""
    cells = [cell for cell in found if cell.server == peer.name]
    return f"\n### {_heading(peer)}\n{_table(cells, found)}"


def _heading(peer: Peer) -> str:
    return f"{peer.title}{' over standard input and output' if peer.stdio else ''}"


def with_section(document: str, peer: Peer, found: Mapping[Cell, Compared]) -> str:
    """The document with the part of one server in place of its last one, which it must have."""
    before, heading, rest = document.partition(f"\n### {_heading(peer)}\n")
    assert heading, f"{peer.title} is not there yet: run all of it"
    return before + section(peer, found) + "\n### " + rest.partition("\n### ")[2]


def _table(cells: list[Cell], found: Mapping[Cell, Compared]) -> str:
    shown = marks({cell: found[cell] for cell in cells})
    heads = [f"{_TITLES[cell.client]}, `{cell.mode}`" for cell in cells]
    lines = [["", *heads], ["---"] * (len(cells) + 1), ["speaks", *(found[cell].version for cell in cells)]]
    for feature in FEATURES:
        row = [shown[cell][feature] for cell in cells]
        if any(row):
            lines.append([feature, *row])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _reasons(reasons: list[Reason], peers: Mapping[str, Peer]) -> str:
    by_why: dict[str, list[Reason]] = {}
    for reason in reasons:
        by_why.setdefault(reason.why, []).append(reason)
    lines = []
    for why, of in by_why.items():
        steps = ", ".join(f"`{reason.step}`" for reason in of)
        where = {peers[reason.server].title for reason in of if reason.server is not None}
        lines.append(f"- {steps}{' of ' + ', '.join(sorted(where)) if where else ''}: {why}\n")
    return "".join(lines) or "Nothing.\n"


def replaced(document: str, part: str) -> str:
    """The document with the part that a run writes put in place of the last one."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + part + after


def read(document: str, peers: Mapping[str, Peer]) -> Marks:
    """What the document says of each cell: the opposite of ``write``."""
    by_title = {peer.title: name for name, peer in peers.items()}
    by_head = {f"{client.title}, `{mode}`": (client.name, mode) for client in CLIENTS for mode in client.modes}
    part = document.partition(BEGIN)[2].partition(END)[0]
    told: dict[Cell, dict[str, str]] = {}
    cells: list[Cell] = []
    server = ""
    for line in part.splitlines():
        if line.startswith("### "):
            server = by_title.get(line.removeprefix("### ").removesuffix(" over standard input and output"), "")
            cells = []
        elif line.startswith("| ") and server:
            first, *rest = (each.strip() for each in line[1:-1].split("|"))
            if not cells:
                cells = [Cell(server, *by_head[head]) for head in rest]
                told.update({cell: dict.fromkeys(FEATURES, "") for cell in cells})
            elif first in FEATURES:
                for cell, mark in zip(cells, rest, strict=True):
                    told[cell][first] = mark
    return told
