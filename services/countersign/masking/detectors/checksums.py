"""The sums that identifiers carry to show a slip of the pen. All take ASCII digits, the last of which is the check."""

from __future__ import annotations

from collections.abc import Sequence
from operator import mul

_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_TURNED = (
    *((0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 5, 7, 6, 2, 8, 3, 0, 9, 4), (5, 8, 0, 3, 7, 9, 6, 1, 4, 2)),
    *((8, 9, 1, 6, 0, 4, 3, 5, 2, 7), (9, 4, 5, 3, 1, 2, 6, 8, 7, 0), (4, 2, 8, 6, 5, 7, 3, 9, 0, 1)),
    *((2, 7, 9, 3, 8, 0, 6, 4, 1, 5), (7, 0, 4, 6, 9, 1, 3, 2, 5, 8)),
)
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_FILLER = 0
_TEN = 10


def luhn(number: str) -> bool:
    """Whether the Luhn sum is right (ISO/IEC 7812-1, annex B)."""
    values = [*map(int, reversed(number))]
    return (sum(values[0::2]) + sum(_DOUBLED[value] for value in values[1::2])) % 10 == 0


def weighted(number: str, weights: Sequence[int]) -> int:
    """Add the digits up, each times its weight; the shorter of the two ends the sum."""
    return sum(map(mul, map(int, number), weights))


def verhoeff(number: str) -> bool:
    """Whether Verhoeff's check over the dihedral group of ten is right."""
    value = 0
    for at, digit in enumerate(reversed(number)):
        value = _in_dihedral_group(value, _TURNED[at % 8][int(digit)])
    return value == 0


def _in_dihedral_group(first: int, second: int) -> int:
    """Multiply two elements of D5: below 5 they are turns, from 5 on turns of the mirrored pentagon."""
    if first < 5:
        return (first + second) % 5 + (5 if second >= 5 else 0)
    return (first - second) % 5 + (0 if second >= 5 else 5)


def mod_11_10(number: str) -> bool:
    """Whether the hybrid check of ISO/IEC 7064 MOD 11,10 is right."""
    check = 5
    for digit in number:
        check = ((check or _TEN) * 2 % 11 + int(digit)) % 10
    return check == 1


def ean(number: str) -> bool:
    """Whether the sum of a GS1 number (EAN-13 and its kin) is right."""
    values = [*map(int, reversed(number))]
    return (sum(values[0::2]) + 3 * sum(values[1::2])) % 10 == 0


def icao(document: str) -> int:
    """The check digit of ICAO Doc 9303, part 3, section 4.9, for digits, capital letters and ``<``."""
    total = 0
    for at, character in enumerate(document):
        value = _FILLER if character == "<" else int(character, 36)
        total += value * (7, 3, 1)[at % 3]
    return total % 10


def is_day(month: str, day: str) -> bool:
    """Whether two numbers can be a month and a day of it, in some year."""
    return 1 <= int(month) <= 12 and 1 <= int(day) <= _DAYS[int(month) - 1]
