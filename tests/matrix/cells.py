"""Which client meets which server in which era, and how all of it is run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import md5
from typing import Any

from tests.matrix.comparing import Compared, Reason, compare
from tests.matrix.peers import Peer
from tests.matrix.plans import PLANS
from tests.matrix.steps import Door, Run, Saw, Step
from tests.support.node import FOLDER, NODE

LEGACY, AUTO, MODERN = "legacy", "auto", "2026-07-28"
RUN_S = 900.0


@dataclass(frozen=True, slots=True)
class Client:
    """A client: what people call it, the command of its driver, and the modes that it has."""

    name: str
    title: str
    command: tuple[str, ...]
    modes: tuple[str, ...]


def _python(kind: str) -> tuple[str, ...]:
    return (sys.executable, "-W", "ignore", "-m", "tests.matrix.python_driver", kind)


def _node(script: str) -> tuple[str, ...]:
    return (str(NODE), str(FOLDER / "drivers" / script))


CLIENTS = (
    Client("python", "Python SDK 2.3", _python("official"), (AUTO, LEGACY, MODERN)),
    Client("fastmcp", "fastmcp 4", _python("fastmcp"), (AUTO, LEGACY)),
    Client("sdk1", "TypeScript SDK 1.x", _node("sdk1.mjs"), (LEGACY,)),
    Client("sdk2", "TypeScript SDK 2.x", _node("sdk2.mjs"), (LEGACY, AUTO, MODERN)),
    Client("inspector", "Inspector's command line", _node("inspector.mjs"), (LEGACY,)),
)


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """One client in one mode with one server."""

    server: str
    client: str
    mode: str

    def __str__(self) -> str:
        return f"{self.client}/{self.mode} with {self.server}"


def every_cell(peers: Mapping[str, Peer]) -> list[Cell]:
    """All that can meet: a client that is told to speak the modern era alone meets those who do."""
    return [
        Cell(peer.name, client.name, mode)
        for peer in peers.values()
        for client in CLIENTS
        for mode in client.modes
        if peer.modern or mode != MODERN
    ]


IN_CI: Mapping[str, Mapping[str, Sequence[str]]] = {
    "official": {
        "python": (AUTO, LEGACY),
        "fastmcp": (AUTO,),
        "sdk1": (LEGACY,),
        "sdk2": (LEGACY, AUTO),
        "inspector": (LEGACY,),
    },
    "fast": {"python": (AUTO,), "fastmcp": (LEGACY,), "sdk2": (MODERN,)},
    "everything": {"python": (LEGACY,), "sdk1": (LEGACY,), "sdk2": (AUTO,)},
    "everything-stdio": {"sdk2": (LEGACY,)},
    "filesystem": {"python": (AUTO,)},
    "memory": {"sdk1": (LEGACY,)},
    "git": {"fastmcp": (AUTO,)},
    "time": {"sdk2": (AUTO,)},
}
"""The pairs that run with every change: each client, each server, each mode; the others take a minute of both cores."""


def cells_in_ci() -> list[Cell]:
    """The pairs of ``IN_CI``."""
    return [
        Cell(server, client, mode) for server, of in IN_CI.items() for client, modes in of.items() for mode in modes
    ]


def run_cells(
    cells: Sequence[Cell], peers: Mapping[str, Peer], through: Callable[[str], Door], known: Sequence[Reason]
) -> dict[Cell, Compared]:
    """Run each cell directly and ``through`` the gateway, each client's in a process of its own, side by side.

    Raises:
        AssertionError: when a driver ends badly, or a cell was seen by nobody.
    """

    def part_of(client: Client) -> list[Saw]:
        return _drive(client, [cell for cell in cells if cell.client == client.name], peers, through)

    with ThreadPoolExecutor(len(CLIENTS)) as pool:
        seen = [saw for part in pool.map(part_of, CLIENTS) for saw in part]
    found = {}
    for cell in cells:
        sides = [[saw for saw in seen if saw.run == _name(cell, side)] for side in ("direct", "gateway")]
        steps = PLANS[peers[cell.server].plan]
        found[cell] = compare(f"{cell.client}/{cell.mode}", cell.server, steps, sides[0], sides[1], known)
    return found


def _name(cell: Cell, side: str) -> str:
    return f"{cell.client} {cell.mode} {cell.server} {side}"


def _tag(name: str) -> str:
    """What a run calls its own things: no other has them, and it says nothing of which side it is."""
    return f"T{md5(name.encode(), usedforsecurity=False).hexdigest()}"


def _drive(
    client: Client, cells: Sequence[Cell], peers: Mapping[str, Peer], through: Callable[[str], Door]
) -> list[Saw]:
    if not cells:
        return []
    runs = []
    for cell in cells:
        peer = peers[cell.server]
        for side, door in (("direct", peer.door), ("gateway", through(cell.server))):
            name = _name(cell, side)
            runs.append(Run(name, cell.mode, door, [_filled(step, name, peer) for step in PLANS[peer.plan]]).written())
    return drive(client, runs)


def drive(client: Client, runs: Sequence[Mapping[str, Any]]) -> list[Saw]:
    """Have a client's driver do runs, as they are written, in one process.

    Raises:
        AssertionError: when it ends badly.
    """
    told = subprocess.run(
        client.command,
        input=json.dumps(runs).encode(),
        capture_output=True,
        timeout=RUN_S,
        check=False,
        env={**os.environ, "NODE_NO_WARNINGS": "1"},
    )
    assert told.returncode == 0, f"{client.name} ended with {told.returncode}: {told.stderr.decode()[-3000:]}"
    # Programs that a driver started may have said something of their own.
    lines = [json.loads(line) for line in told.stdout.splitlines() if line.startswith(b'{"run"')]
    return [Saw(each["run"], each["step"], each["what"]) for each in lines]


def _filled(step: Step, name: str, peer: Peer) -> Step:
    def fill(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: fill(each) for key, each in value.items()}
        if isinstance(value, list):
            return [fill(each) for each in value]
        return value.replace("{folder}", peer.folder).replace("TAG", _tag(name)) if isinstance(value, str) else value

    return replace(step, settings=fill(step.settings))
