"""Lay a body out as one text to scan: as it is written, with escapes undone and texts within texts opened."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

from countersign.jsontext import JsonAmbiguous, JsonRefused, JsonText, check, pick_places
from countersign.masking.covered import covered
from countersign.masking.fragments import Doubtful, fragments
from countersign.masking.key_rules import KeyRules
from countersign.masking.layers import JsonLayer, Layer, TextLayer
from countersign.masking.result import NotMaskable, Span
from countersign.masking.special_strings import special_strings
from countersign.masking.tables import Columns, by_position

_WHITESPACE = " \t\n\r"
_CLOSERS = {"{": "}", "[": "]", '"': '"'}
_OPENERS = frozenset(_CLOSERS) | frozenset(_WHITESPACE + "\ufeff")
# The next string that may hold names with values, past all that hold no colon, no equals sign and no row of a table: to
# look at each of those here would take as long as to scan them.
_NEXT_PROSE = re.compile(r'(?:[^"]*+"(?![\[(<])[^":=]*+")*+[^"]*+"([^"]*+)"([ \t\n\r]*+:)?')
# A body is scanned in pieces, so that no copies of all of it are made; a detector sees the margin around each value.
_WINDOW = 512 * 1024
# A value of this length is kept rather than decoded again.
_LONG = 4_096
_MARGIN = 16 * 1024
MOST_VALUES = 250_000
"""How many values of one body may be masked. Each takes about a KiB of memory until the body is written."""
# Each takes some hundred bytes of memory, however short it is.
_MOST_STRETCHES, _MOST_TEXTS = 1_000_000, 100_000
_COLON = re.compile(r"[ \t\n\r]*:")


_T = TypeVar("_T")


class _Doubt(Exception):
    """The body may be nested too deeply, or only seem to be. Carries no text."""


class _Run(NamedTuple):
    """A piece of what is scanned: a stretch of a layer's text as it is written, or the decoded value of one leaf."""

    layer: Layer
    start: int
    """Where the stretch, or the leaf, begins in the layer's text."""
    end: int
    is_leaf: bool


class _Inside(NamedTuple):
    """A string that is not scanned as it is written."""

    start: int
    end: int
    value: str
    json: JsonText | None
    """What the string holds, if that is JSON."""
    fragments: list[tuple[int, JsonText]]
    """What JSON stands in the string, and where, if the string is none as a whole."""

    @property
    def holds_json(self) -> bool:
        """Whether a layer of its own must be made of it."""
        return self.json is not None or bool(self.fragments)


def lay_out_json(body: JsonText, rules: KeyRules, columns: Columns, max_depth: int) -> Layout:
    """Lay out a body that is JSON. Raises :class:`NotMaskable` as :func:`lay_out_text` does."""
    return _surely(rules, columns, max_depth, lambda layout: layout.add_json(body))


def lay_out_text(text: str, rules: KeyRules, columns: Columns, max_depth: int) -> Layout:
    """Lay out a body that is text, or JSON after all.

    Raises :class:`NotMaskable` for JSON within that parsers could read in two ways, or that is nested too deeply.
    """
    return _surely(rules, columns, max_depth, lambda layout: layout.add_text(text))


def _surely(rules: KeyRules, columns: Columns, max_depth: int, add: Callable[[Layout], None]) -> Layout:
    try:
        layout = Layout(rules, columns, max_depth, exact=rules.follows_paths)
        add(layout)
    except _Doubt:
        # Either it is to be refused, or its depth must be known exactly to tell that it is not.
        layout = Layout(rules, columns, max_depth, exact=True)
        add(layout)
    return layout


class Window(NamedTuple):
    """A piece of what is to be scanned, in code points from its beginning.

    What is found from ``own_start`` to ``own_end`` is this window's to tell: there, it shows enough of what stands
    around. What begins elsewhere is told by another window, unless it is too long for one.
    """

    start: int
    own_start: int
    own_end: int
    text: str

    def cuts(self, start: int, end: int) -> bool:
        """Whether what stands there goes on after the window, and no other shows its beginning."""
        window_end = self.start + len(self.text)
        return end >= window_end > self.own_end and start < window_end - 2 * _MARGIN

    def owns(self, start: int, end: int) -> bool:
        """Whether to believe this window that something stands there."""
        return self.own_start <= start < self.own_end or end - start > _MARGIN


class Layout:
    """A body ready to be scanned, and the way back from what is found to where it stands."""

    def __init__(self, rules: KeyRules, columns: Columns, max_depth: int, *, exact: bool) -> None:
        """Unless it must be ``exact``, texts within texts are taken to stand as deep as any value around them."""
        self.layers: list[Layer] = []
        """All texts; each after the one that holds it."""
        self._rules = rules
        self._columns = columns
        self._max_depth = max_depth
        self._exact = exact
        self._runs: list[_Run] = []
        self._starts: list[int] = []
        # For each run, the text that holds what is scanned, and from where on.
        self._parts: list[tuple[str, int]] = []
        self._size = 0
        self._values = 0

    def add_json(self, body: JsonText) -> None:
        """Add a body that is JSON."""
        self._add_layer(JsonLayer(body.text, None), body, 0, ())

    def add_text(self, text: str) -> None:
        """Add a body that is text, or JSON after all."""
        inner = self._opened(text, 0)
        if inner is None:
            self._add_prose(text, None, self._fragments(text, 0), 1, ())
        else:
            layer = TextLayer(text)
            self.layers.append(layer)
            self._check_depth(1 + inner.depth)
            self._add_layer(JsonLayer(text, (layer, 0)), inner, 1, ())

    @property
    def body(self) -> Layer:
        """The text that holds all others."""
        return self.layers[0]

    def windows(self) -> Iterator[Window]:
        """Cut what is to be scanned into pieces that overlap, none of them empty.

        Leaves stand in quotation marks, names before their values, as JSON has them.
        """
        start = 0
        while start < self._size:
            end = min(start + _WINDOW, self._size)
            own_start = start + _MARGIN if start else 0
            own_end = end - _MARGIN if end < self._size else end
            yield Window(start, own_start, own_end, self._text(start, end))
            start = end - 2 * _MARGIN if end < self._size else end

    def counted(self, values: Iterable[_T]) -> Iterator[_T]:
        """Yield values that are to be masked. Raises :class:`NotMaskable` for more than may be held in memory."""
        for value in values:
            self._count()
            yield value

    def _count(self) -> None:
        self._values += 1
        if self._values > MOST_VALUES:
            raise NotMaskable(f"there are more than {MOST_VALUES:,} values to mask: ask for less at once")

    def _text(self, start: int, end: int) -> str:
        index = bisect_right(self._starts, start) - 1
        pieces: list[str] = []
        while start < end:
            source, offset = self._parts[index]
            begin = self._starts[index]
            index += 1
            stop = min(end, self._starts[index] if index < len(self._starts) else self._size)
            pieces.append(source[offset + start - begin : offset + stop - begin])
            start = stop
        return "".join(pieces)

    def mark(self, start: int, end: int, span: Span) -> None:
        """Have a stretch of the scanned text masked as ``span`` says, in all leaves that it touches.

        Raises :class:`NotMaskable` when there is too much to mask.
        """
        self._count()
        index = bisect_right(self._starts, start) - 1
        while index < len(self._runs) and self._starts[index] < end:
            run, begin = self._runs[index], self._starts[index]
            first = max(start - begin, 0)
            following = self._starts[index + 1] if index + 1 < len(self._starts) else self._size
            last = min(end, following) - begin
            if run.is_leaf:
                run.layer.found.setdefault(run.start, []).append(span._replace(start=first, end=last))
            else:
                run.layer.mark(run.start + first, run.start + last, span)
            index += 1

    def end_of_leaf(self, at: int) -> int:
        """Where the leaf of which ``at`` is the end so far ends in what is scanned; a text that is no JSON is one."""
        index = bisect_right(self._starts, at - 1) - 1
        end = self._starts[index + 1] if index + 1 < len(self._starts) else self._size
        run, (source, offset) = self._runs[index], self._parts[index]
        if run.is_leaf or isinstance(run.layer, TextLayer):
            return end
        closing = source.find('"', offset + at - self._starts[index])
        return end if closing < 0 else min(end, closing - offset + self._starts[index])

    def prose(self, *, single_lines: bool) -> Iterator[tuple[Layer, int, str]]:
        """Yield the leaves, with their values, that may hold names with values: to be asked before anything is marked.

        They are no keys, not JSON, and not covered. ``single_lines`` asks for those without any escape, too.
        """
        for run, (source, _) in zip(self._runs, self._parts, strict=True):
            if run.is_leaf:
                if run.start not in run.layer.found and not _COLON.match(run.layer.text, run.end):
                    yield run.layer, run.start, source
            elif isinstance(run.layer, TextLayer):
                yield run.layer, run.start, source[run.start : run.end]
            elif single_lines:
                # A run that does not begin the text begins with the mark that closes a string.
                at = run.start + (run.start > 0)
                while (match := _NEXT_PROSE.match(run.layer.text, at, run.end)) is not None:
                    at, start = match.end(), match.start(1) - 1
                    if match[2] is None and start not in run.layer.found:
                        yield run.layer, start, match[1]

    def _add_stretch(self, layer: Layer, start: int, end: int) -> None:
        """Have a stretch of a layer's text scanned as it is written."""
        if start < end:
            self._add(_Run(layer, start, end, is_leaf=False), layer.text, start, end - start)

    def _add(self, run: _Run, source: str, offset: int, length: int) -> None:
        if len(self._runs) >= _MOST_STRETCHES:
            raise NotMaskable(f"more than {_MOST_STRETCHES // 2:,} strings have escapes: ask for less at once")
        self._runs.append(run)
        self._starts.append(self._size)
        self._parts.append((source, offset))
        self._size += length

    def _add_layer(self, layer: JsonLayer, body: JsonText, depth: int, above: tuple[str, ...]) -> None:
        """Lay out JSON whose root stands ``depth`` deep below the keys ``above``."""
        if len(self.layers) >= _MOST_TEXTS:
            raise NotMaskable(f"there are more than {_MOST_TEXTS:,} texts within texts: ask for less at once")
        self.layers.append(layer)
        text = body.text
        if any(self._rules[key] is not None for key in body.keys):
            for start, value, cover in self.counted(covered(text, self._rules, above)):
                layer.found[start] = [cover.span(0, len(value))]
        for start, value, cover in self.counted(by_position(body, self._columns)):
            layer.found.setdefault(start, [cover.span(0, len(value))])
        insides: Iterable[_Inside] = (self._inside(layer, *string, depth) for string in special_strings(text))
        paths: dict[int, tuple[str | int, ...]] = {}
        if self._exact:
            insides = list(insides)
            paths = _paths(text, insides)
        done = 0
        for inside in insides:
            self._add_stretch(layer, done, inside.start + 1)
            if len(inside.value) > _LONG:
                layer.values[inside.start] = inside.value
            if not inside.holds_json:
                run = _Run(layer, inside.start, inside.end, is_leaf=True)
                self._add(run, inside.value, 0, len(inside.value))
            else:
                path = paths.get(inside.start, ())
                inner_depth = depth + (len(path) if self._exact else body.depth) + 1
                keys = (*above, *(step for step in path if isinstance(step, str)))
                if inside.json is None:
                    self._add_prose(inside.value, (layer, inside.start), inside.fragments, inner_depth, keys)
                else:
                    self._check_depth(inner_depth + inside.json.depth)
                    self._add_layer(JsonLayer(inside.value, (layer, inside.start)), inside.json, inner_depth, keys)
            done = inside.end - 1
        self._add_stretch(layer, done, len(text))

    def _add_prose(
        self,
        text: str,
        parent: tuple[Layer, int] | None,
        pieces: list[tuple[int, JsonText]],
        depth: int,
        above: tuple[str, ...],
    ) -> None:
        """Lay out a text that is no JSON as a whole; the roots of the ``pieces`` that are stand ``depth`` deep."""
        ends = [start + len(json.text) for start, json in pieces]
        starts = sorted({0, *(start for start, _ in pieces), *(end for end in ends if end < len(text))})
        layer = TextLayer(text, parent, starts)
        self.layers.append(layer)
        done = 0
        for (start, json), end in zip(pieces, ends, strict=True):
            self._add_stretch(layer, done, start)
            self._check_depth(depth + json.depth)
            self._add_layer(JsonLayer(json.text, (layer, start)), json, depth, above)
            done = end
        self._add_stretch(layer, done, len(text))

    def _inside(self, layer: JsonLayer, start: int, end: int, value: str, depth: int) -> _Inside:
        is_key = _COLON.match(layer.text, end) is not None
        opens = not is_key and start not in layer.found and value[:1] in _OPENERS
        json = self._opened(value, depth) if opens else None
        has_lines = json is None and not is_key and "\n" in value and start not in layer.found
        return _Inside(start, end, value, json, self._fragments(value, depth) if has_lines else [])

    def _fragments(self, text: str, depth: int) -> list[tuple[int, JsonText]]:
        """Read what JSON stands in a text."""
        try:
            return fragments(text, max_depth=max(self._max_depth - depth - 1, 0))
        except Doubtful:
            if not self._exact:
                raise _Doubt from None
            refused = NotMaskable("a text within the body is JSON that two parsers could read in two ways")
        raise refused

    def _opened(self, text: str, depth: int) -> JsonText | None:
        """Read a text that is JSON itself; ``None`` when it is not."""
        stripped = text.strip(_WHITESPACE + "\ufeff")
        if len(stripped) <= 2 or _CLOSERS.get(stripped[0]) != stripped[-1]:
            # Too little to hold anything, as an empty list does.
            return None
        if "\ufeff" in (text.lstrip(_WHITESPACE)[:1], text.rstrip(_WHITESPACE)[-1:]):
            raise NotMaskable("a text within the body hides JSON behind a byte order mark")
        try:
            # Depth counts on through the texts within texts; a text within a text is a step of its own.
            return check(text, max_depth=max(self._max_depth - depth - 1, 0), permit_nan=True)
        except JsonAmbiguous:
            if not self._exact:
                raise _Doubt from None
            refused = NotMaskable("a text within the body is JSON that two parsers could read in two ways")
        except JsonRefused:
            return None
        raise refused

    def _check_depth(self, depth: int) -> None:
        if depth > self._max_depth:
            if not self._exact:
                raise _Doubt
            raise NotMaskable("texts within texts are nested too deeply")


def _paths(text: str, insides: Iterable[_Inside]) -> dict[int, tuple[str | int, ...]]:
    """The paths of the strings that hold JSON."""
    stretches = [(inside.start, inside.end) for inside in insides if inside.holds_json]
    return {place.start: place.path for place in pick_places(text, stretches)}
