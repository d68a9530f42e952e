"""Real clients of real servers notice nothing of the gateway; docs/compatibility.md says what was tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from tests.matrix import table
from tests.matrix.behind import setup, through
from tests.matrix.cells import CLIENTS, Cell, cells_in_ci, every_cell, run_cells
from tests.matrix.comparing import Compared
from tests.matrix.peers import Peer
from tests.matrix.reasons import REASONS
from tests.support.in_turn import InTurn
from tests.support.issuer import running_issuer

CELLS = cells_in_ci()
# Whichever comes first waits until all pairs were driven.
pytestmark = pytest.mark.timeout(300)


@dataclass(frozen=True, slots=True)
class Found:
    """What a run of the pairs found."""

    peers: Mapping[str, Peer]
    cells: Mapping[Cell, Compared]
    told: table.Marks


@pytest.fixture(scope="module")
def found(in_turn: InTurn, peers: Mapping[str, Peer]) -> Iterator[Found]:
    with running_issuer() as issuer:
        gateway = in_turn.take(setup(issuer.url, peers))
        cells = run_cells(CELLS, peers, through(gateway, issuer), REASONS)
        yield Found(peers, cells, table.read(table.DOCUMENT.read_text("utf-8"), peers))


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_client_sees_through_the_gateway_what_it_sees_without_it(found: Found, cell: Cell) -> None:
    differences = found.cells[cell].unexplained
    assert not differences, "\n".join(map(str, differences))


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_the_documented_table_is_what_the_run_found(found: Found, cell: Cell) -> None:
    assert table.marks(found.cells)[cell] == found.told[cell], "run `make matrix`"


def test_the_documented_table_has_every_pair(found: Found) -> None:
    assert set(found.told) == set(every_cell(found.peers))


def test_every_client_and_server_is_tried_each_time(found: Found) -> None:
    assert {cell.client for cell in CELLS} == {client.name for client in CLIENTS}
    assert {cell.server for cell in CELLS} == set(found.peers)
    assert {(cell.client, cell.mode) for cell in CELLS} >= {(client.name, client.modes[0]) for client in CLIENTS}
