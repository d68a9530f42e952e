"""The texts within texts of a body: where a leaf of one stands in the text that holds it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from countersign.jsontext import Document, Edit, Literal, literals, pick_literals, quote
from countersign.masking.offsets import raw_offsets
from countersign.masking.result import Span

_NAME = re.compile(r"[A-Za-z_$@-][A-Za-z0-9_$@-]*")
_LONGEST_KEY_SHOWN = 64


class Layer(Protocol):
    """A text whose leaves are masked. Leaves are numbered in the order of the text."""

    parent: tuple[Layer, int] | None
    """The layer and the leaf whose value this text is; ``None`` for the body itself."""

    edits: list[Edit]
    """What to change in this layer's own text."""

    def expect(self, leaves: set[int]) -> None:
        """Look up where these leaves stand; no others may be written, embedded or placed."""
        ...

    def write(self, leaf: int, spans: Sequence[Span]) -> None:
        """Replace spans of a leaf's value."""
        ...

    def embed(self, leaf: int, edits: Sequence[Edit]) -> None:
        """Take over edits of the text that is this leaf's value."""
        ...

    def place(self, leaf: int) -> str:
        """Name the leaf by its path, in which keys that held a finding are masked."""
        ...


class TextLayer:
    """A text that is one leaf."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.parent: tuple[Layer, int] | None = None
        self.edits: list[Edit] = []

    def expect(self, leaves: set[int]) -> None:
        """See :class:`Layer`."""

    def write(self, leaf: int, spans: Sequence[Span]) -> None:
        """See :class:`Layer`."""
        self.edits += _edits(self._text, spans)

    def embed(self, leaf: int, edits: Sequence[Edit]) -> None:
        """See :class:`Layer`."""
        self.edits += edits

    def place(self, leaf: int) -> str:
        """See :class:`Layer`."""
        return ""


class JsonLayer:
    """A JSON text; its leaves are its strings, keys among them, and its numbers."""

    def __init__(self, document: Document, parent: tuple[Layer, int] | None) -> None:
        self.document = document
        self.parent = parent
        self.edits: list[Edit] = []
        self._place: str | None = None
        self._literals: dict[int, Literal] = {}
        self._renamed: dict[tuple[str | int, ...], str] = {}
        self._taken: dict[tuple[str | int, ...], dict[str, int]] | None = None

    def expect(self, leaves: set[int]) -> None:
        """See :class:`Layer`."""
        self._literals = pick_literals(self.document, leaves)

    def write(self, leaf: int, spans: Sequence[Span]) -> None:
        """See :class:`Layer`. A number stays a number; keys stay distinct within their object."""
        literal = self._literals[leaf]
        if literal.is_number:
            number = spans[0].replacement.number(literal.value)
            self.edits.append(Edit(literal.start, literal.end, number, spans[0]))
            return
        edits = _edits(literal.value, spans)
        if literal.is_key:
            suffix = self._rename(literal, edits)
            if suffix:
                edits.append(Edit(len(literal.value), len(literal.value), suffix))
        self.embed(leaf, edits)

    def embed(self, leaf: int, edits: Sequence[Edit]) -> None:
        """See :class:`Layer`."""
        literal = self._literals[leaf]
        raw = self.document.text[literal.start : literal.end]
        offsets = {edit.start for edit in edits} | {edit.end for edit in edits}
        at = raw_offsets(raw, literal.value, sorted(offsets))
        start = literal.start
        self.edits += (
            Edit(start + at[edit.start], start + at[edit.end], quote(edit.text)[1:-1], edit.origin) for edit in edits
        )

    def place(self, leaf: int) -> str:
        """See :class:`Layer`."""
        path = self._literals[leaf].path
        if self._place is None:
            self._place = "$" if self.parent is None else self.parent[0].place(self.parent[1]) + "$"
        steps = [self._place]
        for depth, step in enumerate(path):
            if isinstance(step, int):
                steps.append(f"[{step}]")
            else:
                steps.append(_key_step(self._renamed.get(path[: depth + 1], step) if self._renamed else step))
        return "".join(steps)

    def _rename(self, literal: Literal, edits: Sequence[Edit]) -> str:
        """Note a key's new name; return what to append so that no other key of its object has the same."""
        if self._taken is None:
            self._taken = {}
            for other in literals(self.document):
                if other.is_key:
                    self._taken.setdefault(other.path[:-1], {})[other.value] = 1
        taken = self._taken[literal.path[:-1]]
        name = literal.value
        for edit in reversed(edits):
            name = name[: edit.start] + edit.text + name[edit.end :]
        suffix = ""
        while name + suffix in taken:
            taken[name] = taken.get(name, 1) + 1
            suffix = f"#{taken[name]}"
        taken[name + suffix] = 1
        self._renamed[literal.path] = name + suffix
        return suffix


def _edits(value: str, spans: Sequence[Span]) -> list[Edit]:
    return [Edit(span.start, span.end, span.replacement.text(value[span.start : span.end]), span) for span in spans]


def _key_step(key: str) -> str:
    if len(key) > _LONGEST_KEY_SHOWN:
        key = key[:_LONGEST_KEY_SHOWN] + "…"
    return f".{key}" if _NAME.fullmatch(key) else f"[{quote(key)}]"
