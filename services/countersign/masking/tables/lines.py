"""Tables whose rows are lines: separated, framed or aligned."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Generator, Iterator, Sequence

from countersign.masking.result import Span
from countersign.masking.tables.cells import Row, is_rule, line_end, plain
from countersign.masking.tables.columns import Column, Columns
from countersign.masking.tables.headers import Table, table_at
from countersign.masking.tables.records import is_type, record_at

_COUNT = re.compile(r"\([0-9,]+ [a-z ]+\)")
_REMARK_WORDS = 3


def find(text: str, columns: Columns, places: Sequence[int]) -> Iterator[Span]:
    """Yield what to mask; see :func:`countersign.masking.tables.find`.

    Only lines that hold a place are looked at as headers. A row that cannot be cut into cells surely is masked whole.
    """
    flat = plain(text)
    done = 0
    for at in places:
        if at < done:
            continue
        start = flat.rfind("\n", done, at) + 1 or done
        done = line_end(flat, at) + 1
        record = record_at(flat, start, columns)
        if record is not None:
            done = max(done, record.following)
            yield from record.spans(flat)
            continue
        table = table_at(flat, start, columns)
        if table is not None:
            done = max(done, (yield from _body(flat, table, columns, places)))


def _body(text: str, table: Table, columns: Columns, places: Sequence[int]) -> Generator[Span, None, int]:
    """Mask the rows of a table; returns where it ends."""
    at = table.body
    apart = False
    selected = dict(table.columns)
    while at < len(text):
        row = table.read(at)
        content = text[row.start : row.end].strip()
        fits = row.sure and len(row.cells) == table.width
        if table.boxed:
            # A line end within a cell leaves rows that lack their frame on one side.
            fits = fits and content[:1] == content[-1:] == "|"
        if not content or _COUNT.fullmatch(content):
            apart = apart or not table.boxed
        elif is_rule(content):
            if table.boxed and text[row.following : row.following + 1] != "|":
                return row.following
        elif apart and (not table.joins(row) or _heads_another(text, row, columns, places)):
            return at
        elif fits:
            if _names_within(row, places):
                selected.update(_fields_named(text, row, columns))
            if not (at == table.body and table.boxed and all(is_type(text[a:b]) for a, b in row.cells)):
                for index, column in selected.items():
                    yield from column.span(text, *row.cells[index])
            apart = False
        elif table.remarks and _is_remark(row, content) and not _goes_on(text, table, row.following):
            apart = True
        else:
            yield from _whole(text, row, table)
            apart = False
        at = row.following
    return at


def _whole(text: str, row: Row, table: Table) -> Iterator[Span]:
    cover = table.columns[min(table.columns)].whole
    at = row.start
    while at < row.end:
        end = min(line_end(text, at), row.end)
        content = text[at:end].strip()
        if any(map(str.isalnum, content)):
            start = text.index(content, at)
            yield cover.span(start, start + len(content))
        at = end + 1


def _goes_on(text: str, table: Table, at: int) -> bool:
    return at < len(text) and table.joins(table.read(at))


def _heads_another(text: str, row: Row, columns: Columns, places: Sequence[int]) -> bool:
    below = text[row.following : line_end(text, row.following)]
    return is_rule(below) or (_names_within(row, places) and bool(_fields_named(text, row, columns)))


def _fields_named(text: str, row: Row, columns: Columns) -> dict[int, Column]:
    cells = [text[start:end] for start, end in row.cells]
    return {index: column for index, column in columns.selected(cells).items() if column.is_field}


def _names_within(row: Row, places: Sequence[int]) -> bool:
    index = bisect_left(places, row.start)
    return index < len(places) and places[index] < row.end


def _is_remark(row: Row, content: str) -> bool:
    """Whether a line without cells is said about the table (``2 rows in set``) rather than cut off from it."""
    if len(row.cells) != 1 or "  " in content:
        return False
    return content.startswith(("```", "#")) or content.endswith(":") or len(content.split()) >= _REMARK_WORDS
