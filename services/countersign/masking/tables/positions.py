"""Columns in JSON whose values stand in arrays: names in one place, rows of values in another (RFC 8259 texts)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from countersign.jsontext import JsonText, Number, decoded, tokens
from countersign.masking.key_rules import Cover
from countersign.masking.tables.columns import Column, Columns

Covered = tuple[int, str, Cover]
"""Where a string or number begins, what it says, and what masks it."""

_HEADERS = frozenset(
    (
        *("columns", "column_names", "columnnames", "columninfo", "columnmetadata", "cols", "fields", "field_names"),
        *("fieldnames", "headers", "header", "head", "names", "schema", "description", "keys", "labels", "attributes"),
    )
)
_NAMES = frozenset(
    (
        *("name", "key", "field", "column", "attribute", "property", "label", "variable", "title"),
        *("columnname", "column_name", "fieldname", "field_name"),
    )
)
_VALUES = frozenset(("value", "values", "val", "vals", "data", "v"))
_ROWS = frozenset(("f", "data", "values", "row", "cells", "c"))
_ARRAYS = re.compile(r'\[[ \t\r\n]*\[[ \t\r\n]*"')
_MOST_NAMES = 4_096
_FARTHEST = 3


@dataclass(frozen=True, slots=True)
class _Header:
    """The names that a stretch of the text has for the values in its rows, and where they stand themselves."""

    start: int
    columns: dict[int, Column]
    width: int

    def and_also(self, other: _Header) -> _Header:
        """Both; if they are not as wide, no row has a width that is right."""
        width = self.width if self.width == other.width else -1
        return _Header(self.start, self.columns | other.columns, width)

    @property
    def whole(self) -> Cover:
        return self.columns[min(self.columns)].whole


@dataclass(slots=True)
class _Open:
    """A container that is not closed yet."""

    start: int
    is_object: bool
    parent: _Open | None
    key: str = ""
    index: int = 0
    names: list[str] | None = field(default_factory=list)
    name: str | None = None
    holds_rows: bool = False
    headers: list[tuple[_Header, int]] = field(default_factory=list)


def by_position(body: JsonText, columns: Columns) -> Iterator[Covered]:
    """Yield the values that are covered because of a name that is no key above them.

    Known are rows below or beside a list of names (``{"columns": ["ssn"], "rows": [["..."]]}``, ``[["ssn"], ["..."]]``,
    names as objects, rows as objects of cells) and names with values (``{"name": "ssn", "value": "..."}``). A row with
    more or fewer values than there are names is covered whole. A value may be yielded twice.
    """
    keys = {key.casefold() for key in body.keys}
    has_pairs = not keys.isdisjoint(_NAMES) and not keys.isdisjoint(_VALUES)
    has_rows = not keys.isdisjoint(_HEADERS) or _ARRAYS.search(body.text) is not None
    if not (has_pairs or has_rows) or not columns.may_head(body.text):
        return
    scopes = _scopes(body.text, columns) if has_rows else {}
    if scopes or has_pairs:
        yield from _Cells(body.text, columns, scopes).covered()


def _scopes(text: str, columns: Columns) -> dict[int, _Header]:
    """The headers of a text by where the container begins that holds their rows."""
    found: dict[int, _Header] = {}
    current: _Open | None = None
    key_next = False
    for match in tokens(text):
        token = match[0]
        kind = token[0]
        if kind in "{[":
            if current is not None and not current.is_object and kind == "[":
                current.holds_rows = True
            current = _Open(match.start(), kind == "{", current)
            key_next = current.is_object
        elif current is None:
            continue
        elif kind in "}]":
            parent = current.parent
            _close(current, columns, found)
            if parent is not None and not parent.is_object and parent.names is not None:
                _add_name(parent, current.name)
            current, key_next = parent, False
        elif kind == ",":
            current.index += 1
            key_next = current.is_object
        elif key_next:
            current.key, key_next = decoded(token).casefold(), False
        elif current.is_object:
            if kind == '"' and current.key in _NAMES and current.name is None:
                current.name = decoded(token)
        else:
            if kind == '"' and current.index == 0:
                # What describes a column as an array has its name first.
                current.name = decoded(token)
            if current.names is not None:
                _add_name(current, decoded(token) if kind == '"' else None)
    return found


def _add_name(array: _Open, name: str | None) -> None:
    if name is None or array.names is None or len(array.names) >= _MOST_NAMES:
        array.names = None
    else:
        array.names.append(name)


def _close(container: _Open, columns: Columns, found: dict[int, _Header]) -> None:
    """Settle which headers have their rows in the container, and hand on those that have not."""
    above = container.parent
    if above is not None and not container.is_object:
        heads = above.key in _HEADERS if above.is_object else above.index == 0
        selected = columns.selected(container.names) if heads and container.names else {}
        if selected:
            container.holds_rows = False
            above.headers.append((_Header(container.start, selected, len(container.names or ())), 0))
        elif above.is_object and above.key in _ROWS and above.parent is not None and not above.parent.is_object:
            above.holds_rows = True
    for header, distance in container.headers:
        if container.holds_rows:
            known = found.get(container.start)
            found[container.start] = header if known is None else known.and_also(header)
        elif above is not None and distance < _FARTHEST:
            above.headers.append((header, distance + 1))
    if above is not None and container.holds_rows:
        above.holds_rows = True


_Leaf = tuple[int, str]
_Tree: TypeAlias = "list[_Tree] | _Object | _Leaf"


_NOTHING: _Leaf = (-1, "")


class _Object(list[_Leaf]):
    """The leaves of an object, its keys aside."""


class _Cells:
    """The second look at a text: which values its headers, and the names beside them, cover."""

    def __init__(self, text: str, columns: Columns, scopes: dict[int, _Header]) -> None:
        self._columns = columns
        self._scopes = scopes
        self._heads = {header.start for header in scopes.values()}
        self._tokens = tokens(text)

    def covered(self) -> Iterator[Covered]:
        """Yield what is covered in all values of the text."""
        for match in self._tokens:
            yield from self._value(match, None, None, in_array=False)

    def _value(
        self, match: re.Match[str], header: _Header | None, column: Column | None, *, in_array: bool
    ) -> Iterator[Covered]:
        kind = match[0][0]
        if kind == "{":
            yield from self._object(match.start(), header, column, in_array=in_array)
        elif kind == "[":
            yield from self._array(match.start(), header, column)
        elif column is not None:
            yield from _cover(column, _leaf(match))

    def _object(
        self, start: int, header: _Header | None, column: Column | None, *, in_array: bool
    ) -> Iterator[Covered]:
        header = self._scopes.get(start, header)
        name: Column | None = None
        waiting: list[_Leaf] = []
        key: str | None = None
        for match in self._tokens:
            kind = match[0][0]
            if kind == "}":
                break
            if kind == ",":
                key = None
            elif key is None:
                key = decoded(match[0]).casefold()
            elif kind == "[" and header is not None and in_array and key in _ROWS:
                yield from _row(self._tree(), header)
            else:
                if kind == '"' and name is None and key in _NAMES:
                    name = self._columns.named(decoded(match[0]), certain=False)
                elif kind not in "{[" and key in _VALUES:
                    waiting.append(_leaf(match))
                beside = name if key in _VALUES else None
                yield from self._value(match, header, column or beside, in_array=False)
        if name is not None:
            for leaf in waiting:
                yield from _cover(name, leaf)

    def _array(self, start: int, header: _Header | None, column: Column | None) -> Iterator[Covered]:
        header = self._scopes.get(start, header)
        for match in self._tokens:
            kind = match[0][0]
            if kind == "]":
                return
            if kind == "[" and match.start() in self._heads:
                self._tree()
            elif kind == "[" and header is not None and start not in self._heads:
                yield from _row(self._tree(), header)
            elif kind != ",":
                yield from self._value(match, header, column, in_array=True)

    def _tree(self) -> list[_Tree]:
        """Read the array whose bracket was the last token."""
        found: list[_Tree] = []
        commas = 0
        for match in self._tokens:
            kind = match[0][0]
            if kind in ",]":
                if len(found) == commas and (kind == "," or commas):
                    # ``null``, ``true`` and ``false`` are no tokens.
                    found.append(_NOTHING)
                commas += 1
                if kind == "]":
                    break
            elif kind == "[":
                found.append(self._tree())
            elif kind == "{":
                found.append(_Object(self._leaves()))
            else:
                found.append(_leaf(match))
        return found

    def _leaves(self) -> Iterator[_Leaf]:
        """Read the object whose brace was the last token."""
        key_next = True
        for match in self._tokens:
            kind = match[0][0]
            if kind == "}":
                return
            if kind == ",":
                key_next = True
            elif key_next:
                key_next = False
            elif kind == "{":
                yield from self._leaves()
            elif kind == "[":
                yield from _all_leaves(self._tree())
            else:
                yield _leaf(match)


def _row(row: Sequence[_Tree], header: _Header) -> Iterator[Covered]:
    arrays = [cell for cell in row if isinstance(cell, list) and not isinstance(cell, _Object)]
    fits = len(row) == header.width
    # What holds nothing but arrays is no row: they are. If it may be either, both are covered.
    holds_rows = bool(row) and len(arrays) == len(row) and not (fits and any(len(cell) != len(row) for cell in arrays))
    if holds_rows:
        for cell in arrays:
            yield from _row(cell, header)
    if fits:
        for index, column in header.columns.items():
            for leaf in _all_leaves(row[index]):
                yield from _cover(column, leaf)
    elif not holds_rows:
        for part in row:
            for start, said in _all_leaves(part):
                if said:
                    yield start, said, header.whole


def _all_leaves(tree: _Tree) -> Iterator[_Leaf]:
    if isinstance(tree, tuple):
        yield tree
    else:
        for part in tree:
            yield from _all_leaves(part)


def _leaf(match: re.Match[str]) -> _Leaf:
    token = match[0]
    return match.start(), decoded(token) if token[0] == '"' else Number(token)


def _cover(column: Column, leaf: _Leaf) -> Iterator[Covered]:
    start, said = leaf
    cover = column.cover(said) if said else None
    if cover is not None:
        yield start, said, cover
