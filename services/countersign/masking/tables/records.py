"""Records that have one name and its value a line, as tables turned on their side have."""

from __future__ import annotations

import re
from collections.abc import Iterator

from countersign.masking.result import Span
from countersign.masking.tables.aligned import runs
from countersign.masking.tables.cells import (
    Cell,
    is_rule,
    line_above,
    line_end,
    split_pipes,
    split_quoted_within,
    trimmed,
)
from countersign.masking.tables.columns import Column, Columns

_RECORD = "[ RECORD "
_TYPE = re.compile(
    r"(?i)(?:(?:var|n|nvar)?char|text|string|clob|u?(?:tiny|small|big|huge)?int(?:eger)?[0-9]*|serial|float[0-9]*|"
    r"double|real|decimal|numeric|number|bool(?:ean)?|date|time(?:stamp)?(?:tz)?|uuid|blob|bytea|"
    r"json|character varying)(?:\([0-9, ]*\))?(?:\[\])?"
)
_LONGEST_TYPE = 40
# What can be no name: it begins with a number, or holds four digits with little between them.
_VALUE = re.compile(r"[+-]?[0-9]|[^0-9]{0,64}[0-9](?:[^0-9]?[0-9]){3}")
_MORE = re.compile(r"[ \t]{2,}[|:;]?[ \t]*([^ \t\n][^\n]*)")
_LONGEST_VALUE = 65_536


class Record:
    """A covered name, its values, and where the next line begins."""

    def __init__(self, column: Column, values: list[Cell], following: int) -> None:
        self.column = column
        self.values = values
        self.following = following

    def spans(self, text: str) -> Iterator[Span]:
        """Yield what masks the values; a type is none."""
        for start, end in self.values:
            if not is_type(text[start:end]):
                yield from self.column.span(text, start, end)


def is_type(cell: str) -> bool:
    """Whether a cell says of what type a column is."""
    return len(cell) <= _LONGEST_TYPE and _TYPE.fullmatch(cell) is not None


def record_at(text: str, start: int, columns: Columns) -> Record | None:
    """Read the line at ``start`` of a plain text as a name with its value, and the lines that go on with the value."""
    end = line_end(text, start)
    record = (_beside_bar if "|" in text[start:end] else _beside_gap)(text, start, end, columns)
    if record is None:
        return None
    line = text[start:end]
    at = record.following
    while at < len(text):
        end = line_end(text, at)
        more = _going_on(text, at, end, framed=line[:1] == "|", tight="|" in line and " |" not in line)
        if more is None:
            break
        record.values.append(more)
        at = end + 1
    record.following = at
    return record


def _going_on(text: str, at: int, end: int, *, framed: bool, tight: bool) -> Cell | None:
    """What a line adds to the value above it, as its first column is empty; ``None`` if that is not so."""
    line = text[at:end]
    if not line.strip() or is_rule(line) or _RECORD in line:
        return None
    if framed:
        cells = split_pipes(text, at).cells
        return cells[1] if len(cells) == 2 and cells[0][0] == cells[0][1] else None
    if tight:
        return None if "|" in line else trimmed(text, at, end)
    more = _MORE.fullmatch(text, at, end)
    return None if more is None else trimmed(text, *more.span(1))


def _beside_bar(text: str, start: int, end: int, columns: Columns) -> Record | None:
    """``name | value``, below another such line, a rule or psql's mark of a record."""
    row = split_pipes(text, start)
    if len(row.cells) != 2 or is_rule(text[row.following : line_end(text, row.following)]):
        return None
    above = line_above(text, start)
    if not (is_rule(above) or _RECORD in above or len(split_pipes(above, 0).cells) == 2):
        return None
    if is_rule(above) and "|" not in line_above(text, start - len(above) - 1):
        # What stands first in a box is its header.
        return None
    column = columns.named(text[slice(*row.cells[0])])
    return None if column is None else Record(column, [row.cells[1]], row.following)


def _beside_gap(text: str, start: int, end: int, columns: Columns) -> Record | None:
    """A field's name with what cannot be names themselves (``ssn   123-45``)."""
    line = text[start:end].strip()
    for delimiter in ("\t", ";", ",", "  "):
        if delimiter not in line:
            continue
        following = end + 1
        if delimiter == "  ":
            cells = runs(text, start, end)
        else:
            row = split_quoted_within(text, start, end + (_LONGEST_VALUE if '"' in line else 0), delimiter)
            cells, following = row.cells, row.following
        if len(cells) < 2 or not any(_VALUE.match(text[slice(*cell)]) for cell in cells[1:]):
            continue
        column = columns.named(text[slice(*cells[0])], certain=False)
        if column is not None and column.is_field:
            return Record(column, cells[1:], following)
    return None
