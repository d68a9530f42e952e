"""Rows in code: names, then values, as in ``[['ssn', 'n'], ['1', 2]]`` and ``(ssn, n) VALUES ('1', 2)``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from countersign.masking.result import Span
from countersign.masking.tables.columns import Column, Columns

_TOKEN = re.compile(r"""'(?:[^'\\\n]|\\.|'')*'?|"(?:[^"\\\n]|\\.|"")*"?|[\[\](){},]|[^\s\[\](){},'"]+""")
# In SQL, a string may have lines.
_SQL_TOKEN = re.compile(r"""'(?:[^'\\]|\\.|'')*'?|"(?:[^"\\\n]|\\.|"")*"?|[\[\](){},]|[^\s\[\](){},'"]+""", re.DOTALL)
_INSERT = re.compile(r"(?i)\binsert\s+into\b")
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_SAID_OF_ROWS = r"(?:rows|data|values|records|results?)"
_BETWEEN = re.compile(
    rf"""(?i)[\s,;\[\](){{}}]*(?:["']?{_SAID_OF_ROWS}["']?\s*[:=]?|\n[^\n"'\[\]()]{{0,64}}[:=\n])?[\s\[({{]*"""
)
_NEXT = re.compile(r"[\s,;\[\](){}]*")
_NEAR = re.compile(r"[\s,;\[\](){}]*[^\"'\[\](){}]{0,64}[\s\[({]*")
_VALUES = re.compile(r"(?i)\s*values\s*\(?")
_DESCRIBED_BY = 7
_LONGEST_BETWEEN = 256


@dataclass(slots=True)
class _Group:
    """What stands between two brackets: items that are scalars, and groups within."""

    start: int
    parent: _Group | None
    rows: bool
    end: int = -1
    items: list[tuple[int, int]] = field(default_factory=list)
    inner: list[_Group] = field(default_factory=list)
    scalars: int = 0
    quoted: int = 0
    open_item: bool = False
    is_prose: bool = False
    within_row: bool = False

    def add(self, start: int, end: int, *, quoted: bool = False, scalar: bool = True, is_word: bool = False) -> None:
        """Note a token; tokens without a comma between them are one item."""
        if self.open_item:
            self.is_prose = self.is_prose or (is_word and start > self.items[-1][1])
            self.items[-1] = (self.items[-1][0], end)
        else:
            self.items.append((start, end))
            self.scalars += scalar
            self.quoted += quoted
        self.open_item = True

    @property
    def is_row(self) -> bool:
        """Whether these may be the values of one row: rows hold scalars, what holds rows does not."""
        return self.rows and self.scalars > 0 and not self.within_row and not self.is_prose


def find(text: str, columns: Columns) -> Iterator[Span]:
    """Yield the values of covered columns; a row that has more or fewer values than there are names goes whole."""
    header: dict[int, Column] = {}
    width = last = 0
    begun = False
    for group in _groups(text):
        if not (group.is_row or _is_description(group)):
            continue
        named = _header(text, group, columns)
        if named is not None:
            header, width, last, begun = *named, group.end, False
            continue
        if not header or group.start < last:
            continue
        between = text[last : group.start] if group.start - last <= _LONGEST_BETWEEN else None
        fits = len(group.items) == width and group.end <= len(text)
        if between is None or not (_NEAR if begun and fits else _NEXT if begun else _BETWEEN).fullmatch(between):
            header = {}
        elif fits:
            for index, column in header.items():
                yield from column.span(text, *_unquoted(text, *group.items[index]))
        else:
            yield header[min(header)].whole.span(group.start, min(group.end, len(text)))
        last, begun = group.end, True


def _groups(text: str) -> list[_Group]:
    """All groups in the order in which they begin; one that nothing closes ends beyond the text."""
    found: list[_Group] = []
    group: _Group | None = None
    calls: list[int] = []
    opened: list[str] = []
    pattern = _SQL_TOKEN if _INSERT.search(text) else _TOKEN
    for match in pattern.finditer(text):
        mark, start, end = match[0], match.start(), match.end()
        if mark in _CLOSING:
            is_call = mark == "(" and group is not None and group.open_item and group.items[-1][1] == start
            opened.append(_CLOSING[mark])
            if calls or is_call:
                calls.append(start)
            else:
                group = _Group(start, group, rows=mark != "{")
                found.append(group)
        elif mark in (")", "]", "}"):
            if not opened or opened[-1] != mark:
                continue
            opened.pop()
            if calls:
                calls.pop()
                if group is not None:
                    group.add(start, end)
            elif group is not None:
                group.end = end
                if group.parent is not None:
                    group.parent.inner.append(group)
                    group.parent.add(group.start, end, scalar=False)
                group = group.parent
        elif group is not None and not calls:
            if mark == ",":
                group.open_item = False
            else:
                group.add(start, end, quoted=mark[0] in "'\"", is_word=mark.isalpha())
    for each in found:
        if each.end < 0:
            each.end = len(text) + 1
        above = each.parent
        each.within_row = above is not None and (above.within_row or (above.rows and above.scalars > 0))
    return found


def _header(text: str, group: _Group, columns: Columns) -> tuple[dict[int, Column], int] | None:
    if _is_description(group):
        cells = [inner.items[0] for inner in group.inner]
    elif group.scalars == len(group.items) and (
        group.quoted == len(group.items) or _VALUES.match(text, group.end) is not None
    ):
        cells = group.items
    else:
        return None
    selected = columns.selected([text[slice(*_unquoted(text, *cell))] for cell in cells], certain=False)
    return (selected, len(cells)) if selected else None


def _is_description(group: _Group) -> bool:
    """Whether this is what Python's DB-API (PEP 249) calls a description: seven facts of each column."""
    return (
        bool(group.inner)
        and not group.scalars
        and all(len(inner.items) == _DESCRIBED_BY and inner.quoted == 1 for inner in group.inner)
    )


def _unquoted(text: str, start: int, end: int) -> tuple[int, int]:
    if text[start] in "'\"":
        closed = end - start > 1 and text[end - 1] == text[start]
        return start + 1, end - 1 if closed else end
    return start, end
