"""Whether an answer surely shows masked columns under their names: only then is it enough to mask by name. Pure.

Rows are told from what is said about them by their form: objects that have every masked column as a key, tables with
a header, rows of code with names. An answer of any other form shows nothing surely.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Final

from countersign.jsontext import JsonRefused, JsonValue, Number, check, parse
from countersign.masking.fields import Field
from countersign.masking.key_rules import KeyRules
from countersign.masking.tables import by_position, find
from countersign.masking.text_fields import TextFields

_HEADERS: Final = frozenset({"columns", "fields", "headers", "header", "column_names", "columnnames"})
"""Keys beside rows, whose texts are names and no values."""

_EMPTY: Final = frozenset(
    (
        *("no results", "no results found", "no rows", "no rows found", "no rows returned", "no data", "no data found"),
        *("0 rows", "(0 rows)", "0 rows returned", "empty set", "empty result", "empty result set"),
    )
)
"""What is said of an answer without rows."""

_BLANKS: Final = "\ufeff \t\r\n"
_JSON: Final = ("{", "[", '"')
_CODE: Final = re.compile(r"(?:\A|\n)[ \t\ufeff]{0,64}[\[{]")
"""Where rows begin as code writes them; words may stand before and after them."""

_TUPLES: Final = ("[(", "(")


class Rows:
    """Looks for rows in one part of an answer: ``visit`` it, then ask ``shown``.

    ``in_text`` says whether names can be relied on in what is no JSON.
    """

    def __init__(self, fields: Sequence[Field], *, max_depth: int, in_text: bool = True) -> None:
        # Labels by number tell which column was found.
        self._fields = [replace(field, label=str(index)) for index, field in enumerate(fields)]
        self._max_depth = max_depth
        self._in_text = in_text
        self._rows = self._lists = self._values = 0
        self._nameless = False

    @cached_property
    def _text_fields(self) -> TextFields:
        return TextFields(self._fields, KeyRules(self._fields, None))

    @property
    def shown(self) -> bool:
        """Whether all rows that were seen have every masked column under its name; so it is where nothing is at all."""
        return not self._nameless and (self._rows > 0 or self._values == 0)

    def visit(self, value: JsonValue) -> None:
        """Look at a part of an answer, or at the JSON that a text in it is."""
        outer, self._lists = self._lists, 0
        self._walk(value)
        if self._lists:
            # Rows as lists, whose names stand elsewhere if anywhere.
            body = check(json.dumps(value), max_depth=self._max_depth)
            found = by_position(body, self._text_fields.columns)
            self._nameless |= not self._take((cover.label for _, _, cover in found), least=self._lists)
        self._lists = outer

    def _walk(self, value: JsonValue, *, listed: bool = False) -> None:
        if isinstance(value, dict):
            self._object(value, listed=listed)
        elif isinstance(value, list):
            self._lists += any(isinstance(child, str) and parsed(child, self._max_depth) is None for child in value)
            for child in value:
                self._walk(child, listed=True)
        elif isinstance(value, Number):
            self._values += 1
        elif isinstance(value, str):
            self._text(value)

    def _object(self, value: Mapping[str, JsonValue], *, listed: bool) -> None:
        """Look at an object, which is one of several where it is ``listed``."""
        masked = {key for key in value for field in self._fields if field.ends_with(key)}
        row = all(any(field.ends_with(key) for key in masked) for field in self._fields)
        self._rows += row
        for key, child in value.items():
            if key in masked:
                self._values += 1
            elif not (row and listed and _are_scalars(child)) and not (
                key.casefold() in _HEADERS and _are_names(child)
            ):
                # In rows, too: where a column is called as a part of the answer is, other parts hold the rows.
                self._walk(child)

    def _text(self, text: str) -> None:
        inner = parsed(text, self._max_depth)
        if inner is not None:
            self.visit(inner)
        elif text.strip(_BLANKS) and text.strip(_BLANKS).rstrip(".!").casefold() not in _EMPTY:
            self._values += 1
            if not (self._in_text and self._has_names(text)):
                # One line may be a word about rows that stand elsewhere.
                self._nameless |= "\n" in text.strip(_BLANKS) or text.lstrip(_BLANKS).startswith(_TUPLES)

    def _has_names(self, text: str) -> bool:
        """Whether every masked column is found in a table, or in each of the rows of code."""
        code = _CODE.search(text)
        if code is not None:
            end = max(text.rfind("]"), text.rfind("}"))
            rows = text.count("{", code.start(), end) + text.count("(", code.start(), end)
            return self._take((span.label for span in self._text_fields.find_in(text)), least=max(1, rows))
        names = re.compile("|".join(re.escape(field.last) for field in self._fields), re.IGNORECASE)
        places = [match.start() for match in names.finditer(text)]
        return self._take((span.label for span in find(text, self._text_fields.columns, places)), least=1)

    def _take(self, labels: Iterable[str], *, least: int) -> bool:
        counted = Counter(labels)
        found = all(counted[field.label] >= least for field in self._fields)
        self._rows += found
        return found


def has_nameless_rows(value: JsonValue, max_depth: int) -> bool:
    """Whether a part of an answer holds rows of which nobody knows which column is which."""
    if isinstance(value, dict):
        headed = any(key.casefold() in _HEADERS and isinstance(child, list) for key, child in value.items())
        return not headed and any(has_nameless_rows(child, max_depth) for child in value.values())
    if isinstance(value, list):
        rows = [child for child in value if isinstance(child, list)]
        return any(isinstance(cell, str) for row in rows for cell in row) or any(
            has_nameless_rows(child, max_depth) for child in value
        )
    if not isinstance(value, str) or isinstance(value, Number):
        return False
    inner = parsed(value, max_depth)
    return value.lstrip(_BLANKS).startswith(_TUPLES) if inner is None else has_nameless_rows(inner, max_depth)


def parsed(text: str, max_depth: int) -> JsonValue:
    """Return the JSON that a text within an answer is; ``None`` when it is none."""
    if isinstance(text, Number) or not text.lstrip(_BLANKS).startswith(_JSON):
        return None
    try:
        return parse(text.strip(_BLANKS), max_depth=max_depth, permit_nan=True).root
    except JsonRefused:
        return None


def _are_scalars(value: JsonValue) -> bool:
    """Whether a cell is an array of values."""
    return isinstance(value, list) and not any(isinstance(each, (list, dict)) for each in value)


def _are_names(value: JsonValue) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) and not isinstance(each, Number) for each in value)
