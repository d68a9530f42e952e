"""Texts and numbers of the shape of a value, made of a stream of bytes that nobody can foretell.

What looks like a number that somebody assigns gets a form that is never assigned, as far as such a form is known:

- like a social security number: area 900 to 999 with group 01 to 49, which the SSA assigns to nobody and the IRS to no
  ITIN (its groups are 50 to 65, 70 to 88, 90 to 92 and 94 to 99);
- with 10 digits or more and no letters, such as phone and card numbers: begins with 0, and its Luhn sum is wrong;
- like an IBAN: check digits 00, which ISO 7064 yields for none;
- a mail address: at ``token.invalid``, which RFC 2606 reserves;
- an IPv4 address: of 240.0.0.0/4, which RFC 1112 reserves.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from math import log2

ROOM_BITS = 25.0
"""A shape with fewer possibilities than 2 to this power is given up for an opaque text."""

LONGEST = 256
"""A longer value, in code points, is given up for an opaque text, too."""

MAIL_DOMAIN = "token.invalid"
OPAQUE_PREFIX = "tok_"
OPAQUE = re.compile(r"tok_[a-z2-7]{20}")
MAIL = re.compile(r"[a-z2-7]{16}@token\.invalid")

Draw = Callable[[int], int]
"""Gives the next number from 0 to below its argument."""

_DIGITS, _LOWER, _UPPER = "0123456789", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_OPAQUE_LETTERS = _LOWER + "234567"
_SSN = re.compile(r"[0-9]{3}([- ]?)[0-9]{2}\1[0-9]{4}")
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}")
_IPV4 = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_HEX = re.compile(r"[0-9a-fA-F:-]{12,}")
_HEX_PREFIX = "0x"
_UNASSIGNED_FROM_DIGITS = 10
_CARD_DIGITS = range(13, 20)
_LEAST_NUMBER_DIGITS = 8


def is_separator(char: str) -> bool:
    """Whether a character says how a value is written and nothing of the value: punctuation and blanks."""
    return not char.isalnum() if char.isascii() else unicodedata.category(char)[0] in "PZ"


def like_text(value: str, draw: Draw) -> str:
    """Return a text of the shape of ``value``."""
    if _is_mail(value):
        return "".join(_OPAQUE_LETTERS[draw(32)] for _ in range(16)) + "@" + MAIL_DOMAIN
    if len(value) > LONGEST or not value.isprintable():
        return _opaque(draw)
    if _SSN.fullmatch(value):
        return _like_ssn(value, draw)
    if _IPV4.fullmatch(value):
        return ".".join((str(240 + draw(16)), *(str(draw(256)) for _ in range(3))))
    alphabets = _alphabets(value)
    if sum(log2(len(alphabet)) for alphabet in alphabets if alphabet) < ROOM_BITS:
        return _opaque(draw)
    made = [
        alphabet[draw(len(alphabet))] if alphabet else char for alphabet, char in zip(alphabets, value, strict=True)
    ]
    if _IBAN.fullmatch(value):
        made[2:4] = "00"
    elif all(alphabet in ("", _DIGITS) for alphabet in alphabets):
        _unassign(made, "0")
    return "".join(made)


def like_number(literal: str, draw: Draw) -> str | None:
    """Return a JSON number with as many digits, sign and point where they are; ``None`` if there is too little room."""
    digits = sum(map(str.isdigit, literal))
    if digits < _LEAST_NUMBER_DIGITS or digits > LONGEST or "e" in literal.lower():
        return None
    made = [_DIGITS[draw(10)] if char.isdigit() else char for char in literal]
    first = 1 if literal.startswith("-") else 0
    if not literal[first:].startswith("0."):
        made[first] = _DIGITS[1 + draw(9)]
        _unassign(made, "9")
    else:
        made[first] = "0"
    return "".join(made)


def _is_mail(value: str) -> bool:
    name, at, domain = value.rpartition("@")
    return bool(name and at and "." in domain) and not any(map(str.isspace, value))


def _opaque(draw: Draw) -> str:
    return OPAQUE_PREFIX + "".join(_OPAQUE_LETTERS[draw(32)] for _ in range(20))


def _like_ssn(value: str, draw: Draw) -> str:
    digits = iter(f"{900 + draw(100)}{1 + draw(49):02}{1 + draw(9_999):04}")
    return "".join(next(digits) if char.isdigit() else char for char in value)


def _alphabets(value: str) -> list[str]:
    """What each character may become; an empty one for those that stay."""
    prefix = _HEX_PREFIX if value.startswith(_HEX_PREFIX) and _HEX.fullmatch(value[2:]) else ""
    letters = 6 if prefix or _HEX.fullmatch(value) else 26
    return [""] * len(prefix) + [_alphabet(char, letters) for char in value.removeprefix(prefix)]


def _alphabet(char: str, letters: int) -> str:
    if is_separator(char):
        return ""
    if char.isdecimal():
        return _DIGITS
    return _UPPER[:letters] if char.isupper() else _LOWER[:letters]


def _unassign(made: list[str], first: str) -> None:
    """Make of digits what is no phone number, and no card's."""
    places = [index for index, char in enumerate(made) if char.isdigit()]
    if len(places) < _UNASSIGNED_FROM_DIGITS:
        return
    made[places[0]] = first
    if len(places) in _CARD_DIGITS and _luhn([int(made[place]) for place in places]) == 0:
        made[places[-1]] = str((int(made[places[-1]]) + 1) % 10)


def _luhn(digits: list[int]) -> int:
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10
