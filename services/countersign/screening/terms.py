"""What is done with what is found, as gateway.yaml says it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Act(StrEnum):
    """What becomes of characters of one kind."""

    IGNORE = "ignore"
    """Nobody looks for them."""
    FLAG = "flag"
    """They pass, and the record says that they were there."""
    STRIP = "strip"
    """They are taken out, and the record says so."""
    REFUSE = "refuse"
    """The answer is withheld, and the record says why."""


class Oversized(StrEnum):
    """What becomes of a result with more text than it may have."""

    CUT = "cut"
    """Its texts are cut, with a mark that says so."""
    REFUSE = "refuse"
    """It is withheld."""


@dataclass(frozen=True, slots=True)
class Screening:
    """How the answers of a target are screened. Why these are the defaults: docs/adr/0031.

    ``text_bytes`` bounds a result without its pictures and sound, as JSON in UTF-8; ``None`` is no bound of its own.
    """

    hidden: Act = Act.FLAG
    tags: Act = Act.STRIP
    ansi: Act = Act.STRIP
    text_bytes: int | None = None
    oversized: Oversized = Oversized.CUT
