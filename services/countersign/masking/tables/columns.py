"""Which columns are covered, as the names in a header tell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

import re2

from countersign.masking import personal_keys
from countersign.masking.detectors.base import Pattern
from countersign.masking.key_rules import Cover, KeyRule, KeyRules
from countersign.masking.patterns import compiled
from countersign.masking.result import Span

_AROUND_NAMES = " \t\"'`*[]:"
_WORD = re.compile(r"\w+")
_LONGEST_HEADER = 256


# The ends of the names of which ``telling.classify`` might think something.
_TELLING_ENDS = r"pass(?:word|wd|phrase|code)?|pwd|secrets?|token|key"


def _alone(ends: str) -> str:
    """A pattern of names with such an end that have a cell for themselves: few other words of a text do."""
    return (
        rf"""(?im)(?:^|[,;|\t│┃║>(\[]|  )["'`*\[ ]*[\pL\pN_. -]*?({ends})[0-9]?["'`\]*]* ?"""
        r"""(?:[,;|\t\r│┃║)\]]|$|  |</)"""
    )


_TELLING = _alone(_TELLING_ENDS)
_PERSONAL = _alone(personal_keys.ENDS)


class Column:
    """What is known of one covered column: its values are covered as those beside a key of that name are."""

    __slots__ = ("_keys", "_name", "_rule", "is_field", "whole")

    def __init__(self, keys: KeyRules, rule: KeyRule, name: str, whole: Cover) -> None:
        self._keys = keys
        self._rule = rule
        self._name = name
        self.whole = whole
        """What masks a row in which the column's cell cannot be told."""
        self.is_field = rule.names_field
        """Whether the mask names this column, rather than that its name tells what stands in it."""

    def cover(self, value: str) -> Cover | None:
        """What masks a value of this column; ``None`` for placeholders below a telling name."""
        return self.whole if self.is_field else self._keys.cover(self._rule, (), self._name, value)

    def span(self, text: str, start: int, end: int) -> Iterator[Span]:
        """Yield the span that masks a value of this column, if it is to be masked."""
        if start < end:
            cover = self.cover(text[start:end])
            if cover is not None:
                yield cover.span(start, end)


class Columns:
    """Finds the covered ones among the columns of a header.

    Headers are compared as keys are, without regard to case. Quotes, brackets and what stands before the last dot do
    not count, blanks are as good as underscores, and for a mask's ``fields`` any word of the header suffices
    (``max(ssn)``, ``ssn::text``). A header has no path: the last key of a field is what counts.
    """

    def __init__(self, keys: KeyRules, names: Iterable[str]) -> None:
        """``names`` are those of the mask's fields; what ``keys`` knows beyond them counts, too."""
        self._keys = keys
        self._names = sorted(names, key=lambda name: (-len(name), name))

    def __bool__(self) -> bool:
        return bool(self._names) or self._keys.reads_names

    @cached_property
    def spelled(self) -> str:
        """A pattern of the names; RE2, without regard to case."""
        return "|".join(re2.escape(name).replace("_", "[_ ]") for name in self._names)

    @property
    def ends(self) -> str:
        """A pattern of the ends of names beyond them that may head a column; RE2, without regard to case."""
        telling = [_TELLING_ENDS] if self._keys.reads_names else []
        return "|".join([*telling, personal_keys.ENDS] if self._keys.reads_persons else telling)

    @property
    def headings(self) -> list[str]:
        """Patterns (RE2) of what may head a column in a text although no field names it; the first group is its end."""
        patterns = [_TELLING] if self._keys.reads_names else []
        return [*patterns, _PERSONAL] if self._keys.reads_persons else patterns

    @cached_property
    def _heading(self) -> list[Pattern]:
        named = [rf"(?i)(?:^|[^\pL\pN_])({self.spelled})"] if self._names else []
        return [compiled(pattern) for pattern in (*named, *self.headings)]

    @cached_property
    def _said(self) -> Pattern:
        own = [self.spelled] if self._names else []
        telling = [_TELLING_ENDS] if self._keys.reads_names else []
        personal = [personal_keys.ENDS] if self._keys.reads_persons else []
        return compiled(rf"""(?i)(?:{"|".join([*own, *telling, *personal])})[^"\\]{{0,64}}"[ \t\r\n]*[,}}\]]""")

    def places(self, data: bytes) -> list[int]:
        """Where a text (UTF-8) holds names that may head a column, or their ends: offsets in ascending order."""
        return sorted({start for pattern in self._heading for start, _ in pattern.spans(data, 1)})

    def may_head(self, text: str) -> bool:
        """Whether a JSON text has a string that may be the name of a covered column."""
        return "\\u" in text or next(self._said.spans(text.encode()), None) is not None

    def named(self, header: str, *, certain: bool = True) -> Column | None:
        """The covered column with this header.

        Unless it is ``certain`` that this is a header, one of several words must be the name itself.
        """
        if len(header) > _LONGEST_HEADER:
            return None
        name = header.strip(_AROUND_NAMES)
        last = name.rpartition(".")[2].strip(_AROUND_NAMES)
        for candidate in dict.fromkeys((name, last, last.replace(" ", "_"))):
            if candidate and (column := self._column(candidate)) is not None:
                return column
        words = _WORD.findall(name) if certain or " " not in name else []
        if len(words) > 1:
            for word in words:
                column = self._column(word)
                if column is not None and column.is_field:
                    return column
        return None

    def selected(self, header: Sequence[str], *, certain: bool = True) -> dict[int, Column]:
        """The covered columns of a header, by their position; see :meth:`named`."""
        found: dict[int, Column] = {}
        for index, cell in enumerate(header):
            column = self.named(cell, certain=certain)
            if column is not None:
                found[index] = column
        return found

    def _column(self, name: str) -> Column | None:
        rule = self._keys[name]
        whole = None if rule is None else self._keys.whole(rule)
        return None if rule is None or whole is None else Column(self._keys, rule, name, whole)
