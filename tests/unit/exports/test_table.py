"""CSV that a spreadsheet may open."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from countersign.exports import table
from tests.support.events import ALICE, approval, new_id, request, response
from tests.support.exporting import fact


def _read(*lines: bytes) -> list[dict[str, str]]:
    text = (table.header() + b"".join(lines)).decode()
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_each_cell_stands_below_its_name() -> None:
    event = request(relations=("a", "b"))
    (row,) = _read(table.line(fact(event, 12)))
    assert None not in row
    assert (row["index"], row["event_id"], row["subject"], row["outcome"]) == ("12", event.event_id, "alice", "allow")
    assert row["relations"] == "a; b"


def test_a_machine_is_shown_by_its_name_and_by_what_its_token_calls_it() -> None:
    machine = replace(ALICE, subject="ci", token_subject="repo:acme/payments:ref:refs/heads/main", signed_in="sid-1")
    (row,) = _read(table.line(fact(request(principal=machine))))
    assert (row["subject"], row["token_subject"], row["signed_in"]) == ("ci", machine.token_subject, "sid-1")
    assert table.header().decode().rstrip().endswith(",token_subject,signed_in,other_lines")


def test_all_kinds_of_lines_have_as_many_cells() -> None:
    events = [response(new_id()), approval(new_id(), principal=None), request(principal=None, decision=None)]
    rows = _read(*[table.line(fact(event, owner=None)) for event in events])
    assert len(rows) == 3
    assert all(None not in row and None not in row.values() for row in rows)


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        " =1",
        "'=1",
        '"=1',
        "\uff1d1",
        "\uff0b1",
        "\uff0d1",
        "\uff201",
    ],
    ids=ascii,
)
def test_no_cell_begins_like_a_formula(text: str) -> None:
    (row,) = _read(table.line(fact(request(name=text, principal=replace(ALICE, subject=text)))))
    for name in ("name", "subject"):
        assert row[name].lstrip(' "')[:1] not in set("=+-@\t\r\uff1d\uff0b\uff0d\uff20")


@pytest.mark.parametrize("text", ["a;=1+1", 'a";"=1', "a; @SUM(A1)", ";-1"], ids=ascii)
def test_no_cell_begins_like_a_formula_where_semicolons_separate_them(text: str) -> None:
    event = request(name=text, principal=replace(ALICE, subject=text, groups=("x", "=1")))
    line = table.line(fact(event)).decode().rstrip("\r\n")
    assert not [cell for cell in line.split(";") if cell.lstrip(' "')[:1] in set("=+-@")]


def test_quotes_commas_and_line_breaks_of_callers_stay_in_their_cell_and_on_their_line() -> None:
    line = table.line(fact(request(name='a,"b"\r\nc\x00')))
    assert line.endswith(b"\r\n")
    assert line.count(b"\n") == 1
    (row,) = _read(line)
    assert row["name"] == 'a,"b"\\r\\nc\\x00'
