"""Payment card numbers: 13 to 19 digits of a known scheme whose Luhn sum is right (ISO/IEC 7812)."""

from __future__ import annotations

import re

from countersign.masking.detectors.base import ByteSpan, Hit, Pattern
from countersign.masking.detectors.beside import names_something_else

# A run begins where a scheme's first digit does, so that what holds none costs nothing.
_RUN = Pattern(r"[2-6](?:[ -]?[0-9]){12,}|1[0-9]{14}")
_GROUP = re.compile(rb"[0-9]+")
_WHY = "a card scheme's prefix and length, and the Luhn sum is right"
_SHORTEST, _LONGEST = 13, 19
_SHORTEST_GROUP = 3

_SCHEMES: tuple[tuple[int, int, frozenset[int]], ...] = (
    # first six digits from, to (inclusive), lengths
    (100000, 199999, frozenset({15})),  # UATP
    (220000, 220499, frozenset(range(16, 20))),  # Mir
    (222100, 272099, frozenset({16})),  # Mastercard
    (300000, 305999, frozenset(range(14, 20))),  # Diners Club
    (309500, 309599, frozenset(range(14, 20))),
    (340000, 349999, frozenset({15})),  # American Express
    (352800, 358999, frozenset(range(16, 20))),  # JCB
    (360000, 369999, frozenset(range(14, 20))),  # Diners Club
    (370000, 379999, frozenset({15})),  # American Express
    (380000, 399999, frozenset(range(14, 20))),  # Diners Club
    (400000, 499999, frozenset({13, 16, 19})),  # Visa
    (500000, 509999, frozenset(range(13, 20))),  # Maestro
    (510000, 559999, frozenset({16})),  # Mastercard
    (560000, 589999, frozenset(range(13, 20))),  # Maestro
    (601100, 601199, frozenset(range(16, 20))),  # Discover
    (606282, 606282, frozenset({16})),  # Hipercard
    (606985, 607984, frozenset({16})),  # RuPay
    (608001, 608500, frozenset({16})),
    (620000, 629999, frozenset(range(16, 20))),  # UnionPay
    (630000, 639999, frozenset(range(13, 20))),  # Maestro
    (644000, 659999, frozenset(range(16, 20))),  # Discover
    (670000, 679999, frozenset(range(13, 20))),  # Maestro
)
_DOUBLED = bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9))


class CreditCard:
    """Detects card numbers, bare or in groups with blanks or dashes between them."""

    label = "CREDIT_CARD"
    gate = (r"[2-6](?:[ -]?[0-9]){12}", r"\b1[0-9]{14}\b")

    def find(self, data: bytes) -> list[Hit]:
        """See :class:`Detector`."""
        return [
            Hit(*card, _WHY)
            for start, end in _RUN.spans(data)
            for card in _cards(data, start, end)
            # So few digits are an article's number more often than a card's.
            if card[1] - card[0] > _SHORTEST or not names_something_else(data, card[0])
        ]


def _cards(data: bytes, start: int, end: int) -> list[ByteSpan]:
    """Look for cards in one run of digits: it may hold more than the card, such as the date that it expires."""
    groups = [match.span() for match in _GROUP.finditer(data, start, end)]
    found: list[ByteSpan] = []
    for first, (group_start, _) in enumerate(groups):
        if _continues_before(data, group_start):
            continue
        digits = b""
        for group_start_next, group_end in groups[first : first + _LONGEST]:
            digits += data[group_start_next:group_end]
            if len(digits) > _LONGEST:
                break
            if len(digits) >= _SHORTEST and not data[group_end : group_end + 1].isalnum() and _is_card(digits):
                found.append((group_start, group_end))
            if group_end - group_start_next < _SHORTEST_GROUP:
                break
    return found


def _continues_before(data: bytes, start: int) -> bool:
    """Whether letters or more digits stand before (a digest), or the digits are a fraction."""
    before = data[max(start - 2, 0) : start]
    return before[-1:].isalnum() or (before[-1:] == b"." and before[:1].isdigit())


def _is_card(digits: bytes) -> bool:
    prefix = int(digits[:6])
    if not any(low <= prefix <= high and len(digits) in lengths for low, high, lengths in _SCHEMES):
        return False
    values = [digit - 48 for digit in reversed(digits)]
    return (sum(values[0::2]) + sum(_DOUBLED[value] for value in values[1::2])) % 10 == 0
