"""Names with values in text that is not JSON: beside them, below them, in tables, in markup and in rows of code."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate

from countersign.masking.detectors.base import Pattern
from countersign.masking.fields import Field, named
from countersign.masking.key_rules import Cover, KeyRules
from countersign.masking.pairs import Mark, values
from countersign.masking.pairs.paragraphs import Paragraphs
from countersign.masking.result import Span
from countersign.masking.tables import Columns, find

_AFTER_NAME = r"""(?:\\{0,8}["'`\]]|\*{1,3}|__?)*[ \t]*(?:=>|:=|==?|(:))(?:\*{1,3}|__)?[ \t]*"""


class TextFields:
    """Finds the values of named fields. Paths say nothing here, so the last key of a field is what counts."""

    def __init__(self, fields: Iterable[Field], keys: KeyRules) -> None:
        """``keys`` must be made of the same fields; what it says of names beyond them holds for columns, too."""
        self._named = named(fields)
        self.columns = Columns(keys, self._named)

    def __bool__(self) -> bool:
        return bool(self.columns)

    def find(self, texts: Sequence[str]) -> Iterator[tuple[int, Span]]:
        """Yield the values' places in code points, each with the number of its text, in the order of the texts."""
        if self.columns:
            for index in self._named_in(texts):
                for span in self.find_in(texts[index]):
                    yield index, span

    def find_in(self, text: str) -> Iterator[Span]:
        """Yield the values' places in one text; they may overlap."""
        data = text.encode()
        if self._named:
            yield from self._beside(text, data)
        yield from find(text, self.columns, self._places(data))

    def _named_in(self, texts: Sequence[str]) -> list[int]:
        """Which texts hold a name: one look at all of them, since most hold none."""
        joined = "\n".join(texts).encode()
        ends: list[int] = []
        found: dict[int, None] = {}
        for at in self.columns.places(joined):
            if not ends:
                ends = list(accumulate(len(text.encode()) + 1 for text in texts))
            found[bisect_right(ends, at)] = None
        return list(found)

    def _beside(self, text: str, data: bytes) -> Iterator[Span]:
        marks = list(self._marks(data))
        paragraphs = Paragraphs()
        done = since = 0
        for index, (mark, field) in enumerate(marks):
            if mark.start >= done:
                limit = marks[index + 1][0].start - 1 if index + 1 < len(marks) else len(text)
                cells, done = values(text, mark, since, max(limit, mark.end), paragraphs)
                since = mark.end
                cover = Cover(field.label, field.replacement)
                yield from (cover.span(*cell) for cell in cells if not _is_masked(text[slice(*cell)], field.label))

    def _marks(self, data: bytes) -> Iterator[tuple[Mark, Field]]:
        counter = _Counter(data)
        for (_, end), (name, name_end), colon in self._mark.groups(data):
            written = data[name:name_end].decode().casefold()
            field = self._named.get(written) or self._named.get(written.replace(" ", "_"))
            # ``ssn::text`` is SQL for a type.
            typed = (
                colon[0] >= 0 and data[colon[1] : colon[1] + 1] == b":" and data[colon[1] + 1 : colon[1] + 2].isalpha()
            )
            if field is not None and not typed:
                yield Mark(counter.code_points(name), counter.code_points(end), colon[0] >= 0), field

    def _places(self, data: bytes) -> list[int]:
        counter = _Counter(data)
        return [counter.code_points(at) for at in self.columns.places(data)]

    @cached_property
    def _mark(self) -> Pattern:
        return Pattern(rf"(?i)(?:^|[^\pL\pN_])({self.columns.spelled}){_AFTER_NAME}")


class _Counter:
    """Turns byte offsets into code points, given in ascending order."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._is_ascii = data.isascii()
        self._bytes = self._code_points = 0

    def code_points(self, offset: int) -> int:
        if self._is_ascii:
            return offset
        self._code_points += len(self._data[self._bytes : offset].decode())
        self._bytes = offset
        return self._code_points


def _is_masked(value: str, label: str) -> bool:
    return value == f"[{label}]"
