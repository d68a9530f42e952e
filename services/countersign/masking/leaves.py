"""Gather the leaves of a body, through every text within a text, into one text to scan."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

from countersign.jsontext import Document, JsonAmbiguous, JsonRefused, JsonValue, Number, parse
from countersign.masking.key_rules import Cover, KeyRules
from countersign.masking.layers import JsonLayer, Layer, TextLayer
from countersign.masking.result import NotMaskable

_OPENERS = frozenset('{["')
_ROWS = frozenset("[(<")
_WHITESPACE = " \t\n\r"
_BLANKS = frozenset(_WHITESPACE + "\ufeff")
_CLOSERS = {"{": "}", "[": "]", '"': '"'}
# Quoted as in JSON, for the detectors that look at the name beside a value.
_AFTER_NAME = '": "'
_AFTER_LEAF = '"\n"'


class _Run(NamedTuple):
    """Leaves that follow one another both in what is scanned and in their layer."""

    first: int
    layer: Layer
    first_in_layer: int


class Leaves:
    """The leaves of a body, numbered from 0 over all layers, and what their names say of them."""

    def __init__(self, rules: KeyRules, max_depth: int) -> None:
        self.layers: list[Layer] = []
        self.covered: list[tuple[int, Cover]] = []
        """Leaves that are masked whole."""
        self.prose: list[int] = []
        """Leaves that are no keys and may hold names with values: ``name=value``, tables, rows of code, markup."""
        self._rules = rules
        self._max_depth = max_depth
        # Leaf, what stands between, leaf, ...: begins with what stands before the first.
        self._parts: list[str] = ['"']
        self._runs: list[_Run] = []
        self._keys: list[str] = []

    def add_document(self, document: Document) -> None:
        """Gather a body that is JSON. Raises :class:`NotMaskable` as :meth:`add_text` does."""
        self._walk_layer(JsonLayer(document, None), 0)

    def add_text(self, text: str) -> None:
        """Gather a body that is text, or JSON after all.

        Raises :class:`NotMaskable` for JSON within that parsers could read in two ways, or that is nested too deeply.
        """
        layer = TextLayer(text)
        self.layers.append(layer)
        if not self._nested(text, layer, 0, 0):
            self._start_run(layer, 0)
            self._add(text)

    def joined(self) -> str:
        """All leaves as one text."""
        return "".join(self._parts)

    def value(self, leaf: int) -> str:
        """The decoded value of a leaf."""
        return self._parts[2 * leaf + 1]

    def place(self, leaf: int) -> tuple[Layer, int]:
        """The layer in which a leaf stands, and its number there."""
        run = self._runs[bisect_right(self._runs, leaf, key=lambda run: run.first) - 1]
        return run.layer, run.first_in_layer + leaf - run.first

    def locate(self, spans: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int, int, int]]:
        """Yield leaf, start and end in its value, and which span it is, for each part of spans of the joined text."""
        ends = list(accumulate(map(len, self._parts)))
        starts = ends[0::2]
        for which, (start, end) in enumerate(spans):
            leaf = max(bisect_right(starts, start) - 1, 0)
            while leaf < len(starts) - 1 and starts[leaf] < end:
                first, last = max(start, starts[leaf]), min(end, ends[2 * leaf + 1])
                if first < last:
                    yield leaf, first - starts[leaf], last - starts[leaf], which
                leaf += 1

    def _start_run(self, layer: Layer, first_in_layer: int) -> None:
        self._runs.append(_Run(len(self._parts) // 2, layer, first_in_layer))

    def _add(self, value: str) -> None:
        self.prose.append(len(self._parts) // 2)
        self._parts += (value, _AFTER_LEAF)

    def _walk_layer(self, layer: JsonLayer, depth: int) -> None:
        self.layers.append(layer)
        self._start_run(layer, 0)
        self._walk(layer, 0, layer.document.root, None, depth)

    def _walk(self, layer: JsonLayer, leaf: int, value: JsonValue, cover: Cover | None, depth: int) -> int:
        """Gather a value; ``leaf`` is the number of its first leaf in the layer, the result that of the next."""
        if isinstance(value, str):
            return self._string(layer, leaf, value, cover, depth)
        if isinstance(value, dict):
            return self._object(layer, leaf, value, cover, depth + 1)
        if isinstance(value, list):
            for child in value:
                if isinstance(child, str):
                    leaf = self._string(layer, leaf, child, cover, depth + 1)
                elif child is not None:
                    leaf = self._walk(layer, leaf, child, cover, depth + 1)
        return leaf

    def _object(self, layer: JsonLayer, leaf: int, value: dict[str, JsonValue], outer: Cover | None, depth: int) -> int:
        rules, parts, keys = self._rules, self._parts, self._keys
        for key, child in value.items():
            leaf += 1
            rule = rules[key]
            cover = outer if rule is None or outer is not None else rules.cover(rule, keys, key, child)
            if isinstance(child, str):
                parts += (key, _AFTER_NAME)
                keys.append(key)
                leaf = self._string(layer, leaf, child, cover, depth)
                keys.pop()
            else:
                parts += (key, _AFTER_LEAF)
                if child is not None:
                    keys.append(key)
                    leaf = self._walk(layer, leaf, child, cover, depth)
                    keys.pop()
        return leaf

    def _string(self, layer: JsonLayer, leaf: int, value: str, cover: Cover | None, depth: int) -> int:
        parts = self._parts
        if cover is not None:
            if value:
                self.covered.append((len(parts) // 2, cover))
        elif type(value) is not Number:
            if (value[:1] in _OPENERS or value[:1] in _BLANKS) and self._nested(value, layer, leaf, depth):
                self._start_run(layer, leaf + 1)
                return leaf + 1
            if ":" in value or "=" in value or "\n" in value or value[:1] in _ROWS:
                self.prose.append(len(parts) // 2)
        parts += (value, _AFTER_LEAF)
        return leaf + 1

    def _nested(self, text: str, layer: Layer, leaf: int, depth: int) -> bool:
        """Gather a text that is JSON itself, and say whether it was."""
        stripped = text.strip(_WHITESPACE + "\ufeff")
        if len(stripped) < 2 or _CLOSERS.get(stripped[0]) != stripped[-1]:
            return False
        if "\ufeff" in (text.lstrip(_WHITESPACE)[:1], text.rstrip(_WHITESPACE)[-1:]):
            raise NotMaskable("a text within the body hides JSON behind a byte order mark")
        try:
            # Depth counts on through the texts within texts; a text within a text is a step of its own.
            document = parse(text, max_depth=max(self._max_depth - depth - 1, 0), permit_nan=True)
        except JsonAmbiguous:
            refused = NotMaskable("a text within the body is JSON that two parsers could read in two ways")
        except JsonRefused:
            return False
        else:
            if depth >= self._max_depth:
                raise NotMaskable("texts within texts are nested too deeply")
            self._walk_layer(JsonLayer(document, (layer, leaf)), depth + 1)
            return True
        raise refused
