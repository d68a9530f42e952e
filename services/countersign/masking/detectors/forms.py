"""Identifiers by the ways in which they are written: each way says how much more than its form is needed."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from importlib import import_module
from typing import cast

from countersign.masking.detectors.base import Detector, Hit, Pattern
from countersign.masking.detectors.beside import Words, names_something_else
from countersign.masking.detectors.whole import Whole

Check = Callable[[str], bool]
"""Whether an identifier without its separators, in capital letters, can be one."""

_SEPARATORS = str.maketrans("", "", " -./()\t\n\u00a0")
_CURRENCY = b"$#%@+&^~"
_JOINTS = b"-."
_DASH = 0x2D
_UNDERSCORE = 0x5F
_POINTS = b".,:"


class Evidence(StrEnum):
    """What a form needs to be taken for what it looks like; the values are what an explanation says."""

    ALONE = "its form and what can be checked of it are enough"
    UNNAMED = "its form and check, and no words beside it that name something else"
    BESIDE = "its form and check, and words beside it that announce it"


class Form:
    """One way to write an identifier; a :class:`Detector` of its own, and one part of the identifier's."""

    def __init__(self, label: str, pattern: str, evidence: Evidence, words: Words | None, check: Check) -> None:
        self.label = label
        # An underscore joins words into a name, not the value to them.
        bounded = rf"(?:\b|_)(?:{pattern})(?:\b|_)"
        self._pattern = Pattern(bounded)
        self._evidence = evidence
        self._words = words
        self._check = check
        self.gate: tuple[str, ...] = ()
        self.shape = ""
        if words is not None and evidence is Evidence.BESIDE:
            self.gate = words.gate
        else:
            self.shape = bounded

    def find(self, data: bytes) -> list[Hit]:
        """See :class:`Detector`."""
        if self._words is None or self._evidence is not Evidence.BESIDE:
            return self._find_in(data, 0, len(data))
        # Words are few where most texts hold many numbers.
        return [hit for first, last in self._words.stretches(data) for hit in self._find_in(data, first, last)]

    def _find_in(self, data: bytes, first: int, last: int) -> list[Hit]:
        found: list[Hit] = []
        for start, end in self._pattern.spans(data[first:last]):
            start, end = first + start, first + end
            if (start == first > 0) or (end == last < len(data)):
                # It may go on outside, and is too far from any word.
                continue
            start += data[start] == _UNDERSCORE
            end -= data[end - 1] == _UNDERSCORE
            # The check comes first: it costs least, and fails most. RE2 folds two letters that are not ASCII's.
            if (
                (number := compact(data[start:end])).isascii()
                and self._check(number)
                and not self._is_part_of_more(data, start, end)
                and self._is_evident(data, start, end)
            ):
                found.append(Hit(start, end, str(self._evidence)))
        return found

    def _is_evident(self, data: bytes, start: int, end: int) -> bool:
        if self._evidence is Evidence.ALONE:
            return True
        if self._evidence is Evidence.UNNAMED and not names_something_else(data, start):
            return True
        return self._is_announced(data, start, end)

    def _is_announced(self, data: bytes, start: int, end: int) -> bool:
        return self._words is not None and self._words.near(data, start, end)

    def _is_part_of_more(self, data: bytes, start: int, end: int) -> bool:
        """Whether what stands beside a match belongs to it: a longer code, a fraction, an amount, a row of numbers."""
        before, after = data[max(start - 2, 0) : start], data[end : end + 2]
        joins = bytes.isalnum if self._evidence is Evidence.UNNAMED else bytes.isdigit
        if len(before) == 2 and before[1] in _JOINTS and joins(before[:1]):
            return True
        if before and before[-1] in _CURRENCY and self._evidence is not Evidence.BESIDE:
            return True
        if after[:1] in (b"@", b"%"):
            return True
        if self._evidence is Evidence.UNNAMED and b" " in data[start:end]:
            in_row = before[1:] == b" " and before[:1].isdigit()
            if in_row or (after[:1] == b" " and after[1:].isdigit()):
                return True
        if len(after) < 2:
            return False
        return (after[0] == _DASH and joins(after[1:])) or (after[0] in _POINTS and after[1:].isdigit())


class Identifier:
    """Detects one kind of identifier in all its forms."""

    def __init__(
        self,
        label: str,
        check: Check,
        *,
        words: tuple[str, ...] = (),
        alone: tuple[str, ...] = (),
        unnamed: tuple[str, ...] = (),
        beside: tuple[str, ...] = (),
        bare: tuple[str, ...] = (),
        bare_check: Check | None = None,
        whole: bool = True,
    ) -> None:
        """Take RE2 patterns, which hyperscan must read alike, by the evidence that each needs; see :class:`Words`.

        ``bare`` ones are as ``unnamed`` ones, and need the ``bare_check`` in place of the check. With ``whole``, a
        text that is nothing but an identifier needs no words: not for what a number of no one may well pass for.
        """
        self.label = label
        announced = Words(words) if words else None
        self.parts: tuple[Detector, ...] = tuple(
            Form(label, "|".join(patterns), evidence, announced, needed)
            for evidence, patterns, needed in (
                (Evidence.ALONE, alone, check),
                (Evidence.UNNAMED, unnamed, check),
                (Evidence.UNNAMED, bare, bare_check or check),
                (Evidence.BESIDE, beside, check),
            )
            if patterns
        )
        all_that_is_said = (*unnamed, *beside) if whole and check is not anything else unnamed
        self.parts += tuple(
            Whole(label, "|".join(patterns), needed, compact)
            for patterns, needed in ((alone, check), (all_that_is_said, check), (bare, bare_check or check))
            if patterns
        )

    def find(self, data: bytes) -> list[Hit]:
        """See :class:`Detector`."""
        found: dict[tuple[int, int], Hit] = {}
        for part in self.parts:
            for hit in part.find(data):
                # What is found anywhere is found as a whole text, too.
                found.setdefault((hit.start, hit.end), hit)
        return list(found.values())


def compact(value: bytes) -> str:
    """Write an identifier without separators, in capital letters."""
    return value.decode() if value.isdigit() else value.decode().translate(_SEPARATORS).upper()


def anything(_: str) -> bool:
    """Check nothing, for identifiers that carry no check."""
    return True


def stdnum(module: str) -> Check:
    """Check with a module of python-stdnum, loaded when it is first needed: all of them would slow the start."""
    loaded: list[Check] = []

    def check(number: str) -> bool:
        if not loaded:
            loaded.append(cast(Check, import_module(f"stdnum.{module}").is_valid))
        return loaded[0](number)

    return check
