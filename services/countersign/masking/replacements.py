"""What stands in place of a value that was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Replacement(Protocol):
    """What a mask puts in place of values. It holds none, and gives the same for the same value."""

    def text(self, value: str) -> str:
        """Return what stands in place of a string, or of a part of one."""
        ...

    def number(self, literal: str) -> str:
        """Return the JSON number (RFC 8259, section 6) that stands in place of the number written as ``literal``."""
        ...


@dataclass(frozen=True, slots=True)
class Redacted:
    """The same words for every value; a number becomes 0."""

    words: str

    def text(self, value: str) -> str:
        """See :class:`Replacement`."""
        return self.words

    def number(self, literal: str) -> str:
        """See :class:`Replacement`."""
        return "0"
