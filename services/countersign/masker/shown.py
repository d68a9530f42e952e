"""Whether an answer surely shows masked columns under their names: only then is it enough to mask by name. Pure.

Rows are told from what is said about them by their form: objects that have every masked column as a key, tables with
a header, rows of code with names. An answer of any other form shows nothing surely.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from countersign.jsontext import JsonRefused, JsonValue, Number, parse
from countersign.masking.fields import Field
from countersign.masking.key_rules import KeyRules
from countersign.masking.result import Span
from countersign.masking.tables import Columns, find
from countersign.masking.text_fields import TextFields

_HEADERS: Final = frozenset({"columns", "fields", "headers", "header", "column_names", "columnnames"})
"""Keys beside rows, whose texts are names and no values."""

_BLANKS: Final = "\ufeff \t\r\n"
_JSON: Final = ("{", "[", '"')
_TUPLES: Final = ("[(", "(")


class Rows:
    """Looks for rows in one part of an answer: ``visit`` it, then ask ``shown``.

    ``in_text`` says whether names can be relied on in what is no JSON.
    """

    def __init__(self, fields: Sequence[Field], *, max_depth: int, in_text: bool = True) -> None:
        self._fields = fields
        self._max_depth = max_depth
        self._in_text = in_text
        self._rows = self._values = 0
        self._nameless = False

    @property
    def shown(self) -> bool:
        """Whether all rows that were seen have every masked column under its name; so it is where nothing is at all."""
        return not self._nameless and (self._rows > 0 or self._values == 0)

    def visit(self, value: JsonValue) -> None:
        """Look at a value that stands in no row yet."""
        if isinstance(value, dict):
            if all(any(field.ends_with(key) for key in value) for field in self._fields):
                # In a row, everything has a key.
                self._rows += 1
                return
            for key, child in value.items():
                if not (key.casefold() in _HEADERS and _are_names(child)):
                    self.visit(child)
        elif isinstance(value, list):
            for child in value:
                # A row, or a cell, without names.
                self._nameless |= isinstance(child, str) and parsed(child, self._max_depth) is None
                self.visit(child)
        elif isinstance(value, Number):
            self._values += 1
        elif isinstance(value, str):
            self._text(value)

    def _text(self, text: str) -> None:
        inner = parsed(text, self._max_depth)
        if inner is not None:
            self.visit(inner)
        elif text.strip(_BLANKS):
            self._values += 1
            if self._in_text and self._has_names(text):
                self._rows += 1
            else:
                # One line may be a word about rows that stand elsewhere.
                self._nameless |= "\n" in text.strip(_BLANKS) or text.lstrip(_BLANKS).startswith(_TUPLES)

    def _has_names(self, text: str) -> bool:
        """Whether every masked column was found in a table, or in each of the rows of code."""
        numbered = [replace(field, label=str(index)) for index, field in enumerate(self._fields)]
        keys = KeyRules(numbered, None)
        stripped = text.strip(_BLANKS)
        if stripped[:1] + stripped[-1:] in ("{}", "[]"):
            least = max(1, text.count("{") + text.count("("))
            return _each(numbered, TextFields(numbered, keys).find_in(text), least)
        names = re.compile("|".join(re.escape(field.last) for field in numbered), re.IGNORECASE)
        places = [match.start() for match in names.finditer(text)]
        return bool(places) and _each(numbered, find(text, Columns(keys), places), 1)


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


def _are_names(value: JsonValue) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) and not isinstance(each, Number) for each in value)


def _each(numbered: Iterable[Field], spans: Iterable[Span], least: int) -> bool:
    counted = Counter(span.label for span in spans)
    return all(counted[field.label] >= least for field in numbered)
