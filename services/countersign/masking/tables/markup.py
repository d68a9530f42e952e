"""Tables and elements in HTML and XML, as far as their tags tell; no tree is built."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from countersign.masking.result import Span
from countersign.masking.tables.cells import Cell, trimmed
from countersign.masking.tables.columns import Column, Columns

_TAG = re.compile(r"<(/?)(?:[\w-]{1,64}:)?([A-Za-z_][\w.-]{0,127})(?:\s[^<>]{0,4096})?>")
_PIECE = re.compile(r"<[^<>]*>|(?P<text>[^<]+)")
_TABLE = frozenset({"table", "tr", "td", "th", "thead", "tbody", "tfoot"})


def find(text: str, columns: Columns) -> Iterator[Span]:
    """Yield the values of covered columns of tables, and of elements with a covered name.

    A row that has more or fewer cells than the header is masked whole.
    """
    header: dict[int, Column] = {}
    width = 0
    row: list[Cell] = []
    kinds: list[str] = []
    cell = element = -1
    covering: Column | None = None
    name = ""
    for tag in _TAG.finditer(text):
        closes, kind = bool(tag[1]), tag[2].lower()
        if covering is not None and closes and kind == name:
            yield from _masked(text, covering, element, tag.start())
            covering = None
        elif kind in _TABLE:
            if cell >= 0 and (kind in ("td", "th", "tr", "table")):
                row.append((cell, tag.start()))
                cell = -1
            if kind in ("td", "th") and not closes:
                cell = tag.end()
                kinds.append(kind)
            elif kind in ("tr", "table", "thead", "tbody") and row:
                found = columns.selected([_content(text, *part) for part in row])
                if found and kinds[0] == "th" and "td" in kinds:
                    # The name heads the row.
                    yield from _row(text, row[1:], dict.fromkeys(range(len(row) - 1), found[min(found)]), len(row) - 1)
                elif found and (not header or len(row) != width):
                    header, width = found, len(row)
                elif header:
                    yield from _row(text, row, header, width)
                row, kinds = [], []
            if kind == "table":
                header = {}
        elif covering is None and not closes and (column := columns.named(tag[2])) is not None:
            covering, name, element = column, kind, tag.end()
    if cell >= 0:
        row.append((cell, len(text)))
    if row and header:
        yield from _row(text, row, header, width)
    if covering is not None:
        yield from _masked(text, covering, element, len(text))


def _row(text: str, row: Sequence[Cell], header: dict[int, Column], width: int) -> Iterator[Span]:
    if len(row) != width:
        first = header[min(header)]
        for start, end in row:
            yield from (first.whole.span(*piece) for piece in _pieces(text, start, end))
    else:
        for index, column in header.items():
            yield from _masked(text, column, *row[index])


def _masked(text: str, column: Column, start: int, end: int) -> Iterator[Span]:
    """Mask what stands between the tags within a cell or element."""
    for piece in _pieces(text, start, end):
        yield from column.span(text, *piece)


def _pieces(text: str, start: int, end: int) -> list[Cell]:
    pieces = [trimmed(text, *match.span("text")) for match in _PIECE.finditer(text, start, end) if match["text"]]
    return [piece for piece in pieces if piece[0] < piece[1]]


def _content(text: str, start: int, end: int) -> str:
    return " ".join(text[slice(*piece)] for piece in _pieces(text, start, end))
