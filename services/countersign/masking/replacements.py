"""What stands in place of a value that was found."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from countersign.masking.detectors.telling import classify
from countersign.masking.shapes import is_separator
from countersign.model.rule import Mask, ReplacementKind

KEPT = 4
"""How many letters and digits ``partial`` leaves, of values that have at least twice as many."""

_HASH_HEX_DIGITS = 16
# All are safe integers: what is read as a double keeps every digit.
_HASH_NUMBERS = (10**14, 9 * 10**14)


class Minter(Protocol):
    """Makes the tokens of one session."""

    def text(self, value: str) -> str | None:
        """Return the token of a string; ``None`` when it can have none."""
        ...

    def number(self, literal: str) -> str | None:
        """Return the token of a number, a number itself; ``None`` when it can have none."""
        ...

    def knows(self, text: str) -> bool:
        """Whether this text is a token already, and no value."""
        ...


class Replacement(Protocol):
    """What a mask puts in place of values. It holds none, and gives the same for the same value."""

    def text(self, value: str) -> str:
        """Return what stands in place of a string, or of a part of one."""
        ...

    def number(self, literal: str) -> str:
        """Return the JSON number (RFC 8259, section 6) that stands in place of the number written as ``literal``.

        An integer stays one.
        """
        ...

    def within(self, minter: Minter) -> Replacement:
        """Return the same for values of the session whose tokens ``minter`` makes."""
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

    def within(self, minter: Minter) -> Replacement:
        """See :class:`Replacement`."""
        return self


@dataclass(frozen=True, slots=True)
class Partial:
    """Stars, with the separators and the last four letters or digits left: ``****-****-****-1234``.

    Of a value with fewer than eight letters and digits none is left. In a number, zeros stand for the stars, behind a 1
    that keeps its length; one with an exponent, or with fewer than eight digits, becomes 0.
    """

    def text(self, value: str) -> str:
        """See :class:`Replacement`."""
        hidden = _hidden(sum(map(str.isalnum, value)))
        pieces: list[str] = []
        for char in value:
            if is_separator(char):
                pieces.append(char)
            elif hidden > 0 or not char.isalnum():
                pieces.append("*")
                hidden -= char.isalnum()
            else:
                pieces.append(char)
        return "".join(pieces)

    def number(self, literal: str) -> str:
        """See :class:`Replacement`."""
        digits = sum(map(str.isdigit, literal))
        hidden = _hidden(digits)
        if hidden == digits or "e" in literal.lower():
            return "0"
        pieces: list[str] = []
        for char in literal:
            if char.isdigit() and hidden > 0:
                pieces.append("1" if hidden == _hidden(digits) else "0")
                hidden -= 1
            else:
                pieces.append(char)
        return "".join(pieces)

    def within(self, minter: Minter) -> Replacement:
        """See :class:`Replacement`."""
        return self


def _hidden(count: int) -> int:
    return count - KEPT if count >= 2 * KEPT else count


@dataclass(frozen=True, slots=True, repr=False)
class Hashed:
    """A keyed hash, HMAC-SHA-256 (RFC 2104) cut to 64 bits: ``[EMAIL:9f86d081884c7d65]``.

    It is made of the value as it stands, and of nothing else: the same value has the same hash wherever it is found.
    That of a number is a number of 15 digits.
    """

    label: str
    key: bytes

    def text(self, value: str) -> str:
        """See :class:`Replacement`."""
        return f"[{self.label}:{self._digest(value).hex()[:_HASH_HEX_DIGITS]}]"

    def number(self, literal: str) -> str:
        """See :class:`Replacement`."""
        least, many = _HASH_NUMBERS
        return str(least + int.from_bytes(self._digest(literal)) % many)

    def within(self, minter: Minter) -> Replacement:
        """See :class:`Replacement`."""
        return self

    def _digest(self, value: str) -> bytes:
        return hmac.digest(self.key, value.encode("utf-8", "surrogatepass"), "sha256")


@dataclass(frozen=True, slots=True)
class Tokenized:
    """A token of the session; the words of ``redacted`` where there is no session, or the value can have no token."""

    redacted: Redacted
    minter: Minter | None = None

    def text(self, value: str) -> str:
        """See :class:`Replacement`."""
        token = None if self.minter is None else self.minter.text(value)
        return self.redacted.text(value) if token is None else token

    def number(self, literal: str) -> str:
        """See :class:`Replacement`."""
        token = None if self.minter is None else self.minter.number(literal)
        return self.redacted.number(literal) if token is None else token

    def within(self, minter: Minter) -> Replacement:
        """See :class:`Replacement`."""
        return Tokenized(self.redacted, minter)


def replacements_of(mask: Mask, hash_key: bytes | None, *, secret: bool = False) -> Callable[[str], Replacement]:
    """Return what makes a mask's replacement for each label.

    ``hash_key`` is the deployment's own; without one nothing is hashed, but redacted. Of a ``secret``, and of a field
    whose name announces one, no part is left: ``partial`` redacts it.
    """

    def make(label: str) -> Replacement:
        redacted = Redacted(mask.replace.replace("{label}", label))
        match mask.how:
            case ReplacementKind.PARTIAL if not secret and classify(label) is None:
                return Partial()
            case ReplacementKind.HASH if hash_key is not None:
                return Hashed(label, hash_key)
            case ReplacementKind.TOKENIZE:
                return Tokenized(redacted)
            case _:
                return redacted

    return make
