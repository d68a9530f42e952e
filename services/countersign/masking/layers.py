"""The texts within texts of a body: what is found in one, and how the text that holds it takes over the change."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Protocol

from countersign.jsontext import Edit, Place, decoded, literals, pick_places, quote
from countersign.masking.offsets import raw_offsets
from countersign.masking.result import Span

_NAME = re.compile(r"[A-Za-z_$@-][A-Za-z0-9_$@-]*")
_LONGEST_KEY_SHOWN = 64


class Layer(Protocol):
    """A text whose leaves are masked. A leaf is named by where it begins in the text."""

    text: str
    parent: tuple[Layer, int] | None
    """The layer and the leaf whose value this text is; ``None`` for the body itself."""

    order: tuple[int, ...]
    """Where this text begins in those that hold it, from the outermost."""

    found: dict[int, list[Span]]
    """What is to be masked in the decoded values of leaves."""

    edits: list[Edit]
    """What to change in this layer's own text."""

    def mark(self, start: int, end: int, span: Span) -> None:
        """Have a stretch of the text, as it is written, masked as ``span`` says: what of it belongs to leaves."""
        ...

    def settle(self, leaves: Iterable[int]) -> None:
        """Find the leaves of all that is marked, and these; only then may any be written, embedded or placed."""
        ...

    def value(self, leaf: int) -> str:
        """The decoded value of a leaf."""
        ...

    def write(self, leaf: int, spans: Sequence[Span]) -> None:
        """Replace spans of a leaf's value."""
        ...

    def embed(self, leaf: int, value: str, edits: Sequence[Edit]) -> None:
        """Take over edits of the text that is this leaf's value."""
        ...

    def place(self, leaf: int) -> str:
        """Name the leaf by its path, in which keys that held a finding are masked."""
        ...

    def forget(self) -> None:
        """Keep nothing but the text and its edits."""
        ...


class TextLayer:
    """A text that is no JSON as a whole; its leaves are the pieces around what JSON it holds, and that JSON."""

    __slots__ = ("_starts", "edits", "found", "order", "parent", "text")

    def __init__(self, text: str, parent: tuple[Layer, int] | None = None, starts: Sequence[int] = (0,)) -> None:
        """``starts`` are where the leaves begin; the first does so at 0."""
        self.text = text
        self.parent = parent
        self.order: tuple[int, ...] = () if parent is None else (*parent[0].order, parent[1])
        self._starts = (*starts, len(text))
        self.found: dict[int, list[Span]] = {}
        self.edits: list[Edit] = []

    def mark(self, start: int, end: int, span: Span) -> None:
        """See :class:`Layer`."""
        index = bisect_right(self._starts, start) - 1
        while index < len(self._starts) - 1 and self._starts[index] < end:
            leaf = self._starts[index]
            part = span._replace(start=max(start, leaf) - leaf, end=min(end, self._starts[index + 1]) - leaf)
            self.found.setdefault(leaf, []).append(part)
            index += 1

    def settle(self, leaves: Iterable[int]) -> None:
        """See :class:`Layer`."""

    def value(self, leaf: int) -> str:
        """See :class:`Layer`."""
        return self.text[leaf : self._starts[bisect_right(self._starts, leaf)]]

    def write(self, leaf: int, spans: Sequence[Span]) -> None:
        """See :class:`Layer`."""
        value = self.value(leaf)
        self.embed(leaf, value, _edits(value, spans))

    def embed(self, leaf: int, value: str, edits: Sequence[Edit]) -> None:
        """See :class:`Layer`."""
        self.edits += (Edit(leaf + edit.start, leaf + edit.end, edit.text, edit.origin) for edit in edits)

    def place(self, leaf: int) -> str:
        """See :class:`Layer`. Its parts are not told apart."""
        return "" if self.parent is None else self.parent[0].place(self.parent[1])

    def forget(self) -> None:
        """See :class:`Layer`."""
        self.found.clear()


class JsonLayer:
    """A JSON text; its leaves are its strings, keys among them, and its numbers."""

    # A body may hold very many of them.
    __slots__ = (
        *("_marked", "_place", "_places", "_renamed", "_taken"),
        *("edits", "found", "order", "parent", "text", "values"),
    )

    def __init__(self, text: str, parent: tuple[Layer, int] | None) -> None:
        self.text = text
        self.parent = parent
        self.values: dict[int, str] = {}
        """The values of leaves that are known: what would be long to decode again."""
        self.order: tuple[int, ...] = () if parent is None else (*parent[0].order, parent[1])
        self.found: dict[int, list[Span]] = {}
        self.edits: list[Edit] = []
        self._marked: list[tuple[int, int, Span]] = []
        self._places: dict[int, Place] = {}
        self._place: str | None = None
        self._renamed: dict[tuple[str | int, ...], str] = {}
        self._taken: dict[tuple[str | int, ...], dict[str, int]] | None = None

    def mark(self, start: int, end: int, span: Span) -> None:
        """See :class:`Layer`. No escape may stand in the stretch."""
        self._marked.append((start, end, span))

    def settle(self, leaves: Iterable[int]) -> None:
        """See :class:`Layer`."""
        wanted = [(start, end) for start, end, _ in self._marked]
        wanted += ((leaf, leaf + 1) for leaf in (*self.found, *leaves))
        if not wanted:
            return
        self._places = {place.start: place for place in pick_places(self.text, _united(wanted))}
        starts = list(self._places)
        for start, end, span in self._marked:
            index = max(bisect_right(starts, start) - 1, 0)
            while index < len(starts) and starts[index] < end:
                self._mark_leaf(self._places[starts[index]], start, end, span)
                index += 1
        self._marked.clear()

    def _mark_leaf(self, leaf: Place, start: int, end: int, span: Span) -> None:
        quotes = 0 if leaf.is_number else 1
        opened = leaf.start + quotes
        first, last = max(start, opened), min(end, leaf.end - quotes)
        if first < last:
            part = span._replace(start=first - opened, end=last - opened)
            self.found.setdefault(leaf.start, []).append(part)

    def value(self, leaf: int) -> str:
        """See :class:`Layer`."""
        value = self.values.get(leaf)
        return decoded(self.text[leaf : self._places[leaf].end]) if value is None else value

    def write(self, leaf: int, spans: Sequence[Span]) -> None:
        """See :class:`Layer`. A number stays a number; keys stay distinct within their object."""
        place, value = self._places[leaf], self.value(leaf)
        if place.is_number:
            number = spans[0].replacement.number(value)
            self.edits.append(Edit(leaf, place.end, number, spans[0]))
            return
        edits = _edits(value, spans)
        if place.is_key:
            suffix = self._rename(place.path, value, edits)
            if suffix:
                edits.append(Edit(len(value), len(value), suffix))
        self.embed(leaf, value, edits)

    def embed(self, leaf: int, value: str, edits: Sequence[Edit]) -> None:
        """See :class:`Layer`."""
        offsets = {edit.start for edit in edits} | {edit.end for edit in edits}
        at = raw_offsets(self.text, leaf, self._places[leaf].end, value, sorted(offsets))
        self.edits += (Edit(at[edit.start], at[edit.end], quote(edit.text)[1:-1], edit.origin) for edit in edits)

    def place(self, leaf: int) -> str:
        """See :class:`Layer`."""
        path = self._places[leaf].path
        if self._place is None:
            self._place = "$" if self.parent is None else self.parent[0].place(self.parent[1]) + "$"
        steps = [self._place]
        for depth, step in enumerate(path):
            if isinstance(step, int):
                steps.append(f"[{step}]")
            else:
                steps.append(_key_step(self._renamed.get(path[: depth + 1], step) if self._renamed else step))
        return "".join(steps)

    def forget(self) -> None:
        """See :class:`Layer`."""
        self.found.clear()
        self._places.clear()
        self.values.clear()
        self._taken = None

    def _rename(self, path: tuple[str | int, ...], key: str, edits: Sequence[Edit]) -> str:
        """Note a key's new name; return what to append so that no other key of its object has the same."""
        if self._taken is None:
            self._taken = {}
            for other in literals(self.text):
                if other.is_key:
                    self._taken.setdefault(other.path[:-1], {})[other.value] = 1
        taken = self._taken[path[:-1]]
        name = key
        for edit in reversed(edits):
            name = name[: edit.start] + edit.text + name[edit.end :]
        suffix = ""
        while name + suffix in taken:
            taken[name] = taken.get(name, 1) + 1
            suffix = f"#{taken[name]}"
        taken[name + suffix] = 1
        self._renamed[path] = name + suffix
        return suffix


def _united(stretches: list[tuple[int, int]]) -> list[tuple[int, int]]:
    united: list[tuple[int, int]] = []
    for start, end in sorted(stretches):
        if united and start <= united[-1][1]:
            united[-1] = (united[-1][0], max(united[-1][1], end))
        else:
            united.append((start, end))
    return united


def _edits(value: str, spans: Sequence[Span]) -> list[Edit]:
    return [Edit(span.start, span.end, span.replacement.text(value[span.start : span.end]), span) for span in spans]


def _key_step(key: str) -> str:
    if len(key) > _LONGEST_KEY_SHOWN:
        key = key[:_LONGEST_KEY_SHOWN] + "…"
    return f".{key}" if _NAME.fullmatch(key) else f"[{quote(key)}]"
