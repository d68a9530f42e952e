"""docs/mcp.md lists what is refused, and each line of it is a row that is sent through the real Envoy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fault.http_rows import HTTP_ROWS, HttpRow
from tests.fault.strict_rows import ROWS, Row

DOCS = (Path(__file__).parents[3] / "docs" / "mcp.md").read_text("utf-8")


def lines(heading: str) -> list[tuple[str, str, str]]:
    section = DOCS.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [
        [cell.strip() for cell in line.strip("| ").split(" | ")] for line in section.splitlines() if line[:1] == "|"
    ]
    # Whoever reads it sees a minus; code has a hyphen.
    plain = str.maketrans({"\N{MINUS SIGN}": "-"})
    return [(kind.translate(plain), status.split()[0], code.translate(plain)) for kind, status, code in rows[2:]]


@pytest.mark.parametrize(
    ("heading", "rows"), [("Requests that are refused", ROWS), ("What is no HTTP, or not for us", HTTP_ROWS)]
)
def test_every_line_of_the_docs_is_tried_and_every_row_that_is_tried_is_told(
    heading: str, rows: tuple[Row | HttpRow, ...]
) -> None:
    assert lines(heading) == [(row.kind, str(row.status or "none"), str(row.code or "none")) for row in rows]


def test_no_row_is_without_a_request() -> None:
    every: tuple[Row | HttpRow, ...] = (*ROWS, *HTTP_ROWS)
    assert [row.kind for row in every if not row.cases] == []
