"""Names with values in text that is not JSON: beside them, below them, in tables, in markup and in rows of code."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Container, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate

from countersign.masking import personal_keys
from countersign.masking.detectors.base import Pattern
from countersign.masking.fields import Field, named
from countersign.masking.key_rules import KeyRules
from countersign.masking.pairs import Mark, values
from countersign.masking.pairs.paragraphs import Paragraphs
from countersign.masking.patterns import compiled
from countersign.masking.result import Span
from countersign.masking.tables import Column, Columns, find

_CHUNK = 262_144

_AFTER_NAME = r"""(?:\\{0,8}["'`\]]|\*{1,3}|__?)*[ \t]*(?:=>|:=|==?|(:))(?:\*{1,3}|__)?[ \t]*"""

_LONGEST_NAME = 48
# The name is all that stands before its value: "home address", but not "their home address" or "IP address".
_PERSONAL_NAME = (
    rf"""(?im)(?:^|[,;(){{\[|&?"'`*])[ \t>*-]*((?:[\pL][\pL\pN_ .-]*?)?(?:{personal_keys.ENDS})[0-9]?){_AFTER_NAME}"""
)
_PERSONAL = compiled(_PERSONAL_NAME)

# In a string of JSON: between a key and its colon stands a quotation mark.
_SAID = Pattern(rf"(?i)(?:{personal_keys.ENDS})[0-9]?[*_]{{0,3}} ?[:=]")
_SAID_IN_STRINGS = rf"(?:{personal_keys.ENDS})[0-9]?['`\]*_]*[ \t]*[:=]"


class TextFields:
    """Finds the values of named fields. Paths say nothing here, so the last key of a field is what counts."""

    def __init__(self, fields: Iterable[Field], keys: KeyRules) -> None:
        """``keys`` must be made of the same fields; what it says of names beyond them holds for columns, too."""
        self._named = named(fields)
        self._reads_persons = keys.reads_persons
        self.columns = Columns(keys, self._named)

    def __bool__(self) -> bool:
        return bool(self.columns)

    def in_single_lines(self, texts: Iterable[str]) -> bool:
        """Whether strings of these JSON texts must be looked at although they have neither escapes nor lines."""
        if not self._named and not self._reads_persons:
            return False
        pattern = self._in_strings if self._named else _SAID
        overlap = 2 * _LONGEST_NAME + max(map(len, self._named), default=0)
        return any(pattern.matches(piece.encode()) for piece in _pieces(texts, overlap))

    def find(self, texts: Sequence[str], *, no_tables: Container[int] = ()) -> Iterator[tuple[int, Span]]:
        """Yield the values' places in code points, each with the number of its text, in the order of the texts.

        ``no_tables`` are the numbers of texts that hold none.
        """
        if self.columns:
            for index in self._named_in(texts):
                for span in self.find_in(texts[index], tables=index not in no_tables):
                    yield index, span

    def find_in(self, text: str, *, tables: bool = True) -> Iterator[Span]:
        """Yield the values' places in one text; they may overlap."""
        data = text.encode()
        marks = [*self._marks(data)] if self._named else []
        if self._reads_persons:
            marks = sorted([*marks, *self._personal_marks(data)], key=lambda mark: mark[0].start)
        yield from self._beside(text, marks)
        if tables:
            yield from find(text, self.columns, self._places(data))

    def _named_in(self, texts: Sequence[str]) -> list[int]:
        """Which texts hold a name: one look at all of them, since most hold none."""
        if not texts:
            return []
        short = [index for index, text in enumerate(texts) if len(text) <= _CHUNK]
        joined = "\n".join(texts[index] for index in short).encode()
        ends: list[int] = []
        found: set[int] = set()
        for at in self._names_in(joined):
            if not ends:
                ends = list(accumulate(len(texts[index].encode()) + 1 for index in short))
            found.add(short[bisect_right(ends, at)])
        found.update(index for index, text in enumerate(texts) if len(text) > _CHUNK and self._has_name(text))
        return sorted(found)

    def _has_name(self, text: str) -> bool:
        """Look at a long text a few lines at a time, so that no copy of all of it is made."""
        start = 0
        while start < len(text):
            end = text.rfind("\n", start, start + _CHUNK) + 1 or text.find("\n", start) + 1 or len(text)
            if self._names_in(text[start:end].encode()):
                return True
            start = end
        return False

    def _names_in(self, data: bytes) -> list[int]:
        """Where names stand that may have values, or where they end."""
        if not any(pattern.matches(data) for pattern in self._any_name):
            return []
        found = self.columns.places(data)
        if self._reads_persons:
            found = sorted({*found, *(start for start, end in _PERSONAL.spans(data, 1) if _is_short(start, end))})
        return found

    def _beside(self, text: str, marks: Sequence[tuple[Mark, Column]]) -> Iterator[Span]:
        paragraphs = Paragraphs()
        done = since = 0
        for index, (mark, column) in enumerate(marks):
            if mark.start >= done:
                limit = marks[index + 1][0].start - 1 if index + 1 < len(marks) else len(text)
                cells, done = values(text, mark, since, max(limit, mark.end), paragraphs)
                since = mark.end
                if cells and not column.is_field and ":" in text[mark.end : cells[0][0]]:
                    # A mapping: the names within must tell.
                    cells, done = [], mark.end
                for cell in cells:
                    if not _is_masked(text[slice(*cell)], column.whole.label):
                        yield from column.span(text, *cell)

    def _marks(self, data: bytes) -> Iterator[tuple[Mark, Column]]:
        counter = _Counter(data)
        for (_, end), (name, name_end), colon in self._mark.groups(data):
            column = self.columns.named(data[name:name_end].decode(), certain=False)
            # ``ssn::text`` is SQL for a type.
            typed = (
                colon[0] >= 0 and data[colon[1] : colon[1] + 1] == b":" and data[colon[1] + 1 : colon[1] + 2].isalpha()
            )
            if column is not None and not typed:
                yield Mark(counter.code_points(name), counter.code_points(end), colon[0] >= 0), column

    def _personal_marks(self, data: bytes) -> Iterator[tuple[Mark, Column]]:
        counter = _Counter(data)
        for (_, end), (name, name_end), colon in _PERSONAL.groups(data):
            short = _is_short(name, name_end)
            column = self.columns.named(data[name:name_end].decode(), certain=False) if short else None
            if column is not None and not column.is_field:
                yield Mark(counter.code_points(name), counter.code_points(end), colon[0] >= 0), column

    def _places(self, data: bytes) -> list[int]:
        counter = _Counter(data)
        return [counter.code_points(at) for at in self.columns.places(data)]

    @cached_property
    def _any_name(self) -> list[Pattern]:
        """What every text with a name matches one of: few texts do."""
        headings = [*self.columns.headings, *([_PERSONAL_NAME] if self._reads_persons else [])]
        own = [rf"(?i){self.columns.spelled}"] if self._named else []
        return [compiled(pattern) for pattern in (*own, "|".join(f"(?:{heading})" for heading in headings)) if pattern]

    @cached_property
    def _in_strings(self) -> Pattern:
        """Strings of a JSON text that :meth:`find` may find something in, if ``Layout.prose`` yields them.

        The text may begin, or end, within a string.
        """
        names = [self.columns.spelled]
        last = list(names)
        if self.columns.ends:
            cell = rf"(?:{self.columns.ends})[0-9]?['`\]*]* ?"
            names.append(rf"{cell}(?:[,;|\t│┃║)\]]|  |</)")
            last += [*names, rf'{cell}"']
        before = rf"""(?:\A|"[\[(<]|"[^"]*[:=])[^"]*(?:{"|".join(last)})"""
        after = rf"""(?:{"|".join(names)})[^"]*(?:[:=]|\z)"""
        said = [_SAID_IN_STRINGS] if self._reads_persons else []
        return compiled("(?i)" + "|".join([before, after, *said]))

    @cached_property
    def _mark(self) -> Pattern:
        return compiled(rf"(?i)(?:^|[^\pL\pN_])({self.columns.spelled}){_AFTER_NAME}")


def _pieces(texts: Iterable[str], overlap: int) -> Iterator[str]:
    """Cut texts into pieces that overlap, or join them: each is a line of a piece, or a part of one from its start."""
    waiting: list[str] = []
    size = 0
    for text in texts:
        for start in range(0, len(text), _CHUNK):
            waiting.append(text[start : start + _CHUNK + overlap])
            size += len(waiting[-1])
            if size >= _CHUNK:
                yield "\n".join(waiting)
                waiting, size = [], 0
    if waiting:
        yield "\n".join(waiting)


def _is_short(start: int, end: int) -> bool:
    """Whether a name is no longer than people's names for their data are."""
    return end - start <= _LONGEST_NAME


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
