"""Telephone numbers: in the form of E.164, and as people of many countries write them at home."""

from __future__ import annotations

from functools import cache

import re2

from countersign.masking.detectors.base import Detector, Hit, Pattern
from countersign.masking.detectors.beside import Words, names_something_else
from countersign.masking.detectors.forms import Evidence, Form, compact

_LABEL = "PHONE"
_WORDS = (
    *("phone", "telephone", "tel", "mobile", "cell", "cellular", "cellphone", "fax", "msisdn", "whatsapp", "sms"),
    *("telefon", "handy", "portable", "celular", "movil", "telemovel", "cellulare", "landline", "gsm"),
    *("call me", "text me", "reach me", "contact me", "dial", "number is"),
)
# At most two separators in a row, as in "(0) 30".
_INTERNATIONAL = r"[0-9](?:[ .()/-]{0,2}[0-9]){6,15}"
_DATE = re2.compile(
    rb"(?:^|[^0-9])(?:(?:19|20)[0-9]{2}[-./ ][01]?[0-9][-./ ][0-3]?[0-9]"
    rb"|[0-3]?[0-9][-./ ][0-3]?[0-9][-./ ](?:19|20)[0-9]{2})(?:[^0-9]|$)"
)
_EXTENSION = r"(?: ?(?:x|ext\.?) ?[0-9]{1,5})?"
_NATIONAL = (
    # North America; the brackets may be a little off, as in "(415)555-0132".
    rf"(?:1[-. ]?)?\(?[2-9][0-9]{{2}}(?:\) ?|[-. ])[0-9]{{3}}[-. ][0-9]{{4}}{_EXTENSION}",
    r"1?[0-9]{3}-[0-9]{3}-[0-9]{4}",
    # A trunk prefix, then nothing but digits.
    r"0[1-9][0-9]{8,9}",
    # A trunk prefix and an area in brackets or before a separator, then groups.
    r"0 ?\(?[1-9][0-9]{0,4}(?:\) ?|[ ./-])[0-9]{2,8}(?:[ .-][0-9]{2,5}){0,4}",
    # Brazil, and others that write an area in brackets and halve the rest.
    r"[0-9]{2,3}\) ?9?[0-9]{3,4}[ -][0-9]{4}",
    # Turkey and Russia, with and without their trunk prefixes.
    r"(?:[078][ -]?)?\(?[1-9][0-9]{2}(?:\) ?|[ -])[0-9]{3}[ -][0-9]{2}[ -][0-9]{2}",
)
_ANNOUNCED = r"[0-9](?:[ .()/-]{0,2}[0-9]){6,14}"


class Phone:
    """Detects telephone numbers. Bare digits without a trunk prefix need words that announce them."""

    label = _LABEL

    def __init__(self) -> None:
        words = Words(_WORDS)
        self.parts: tuple[Detector, ...] = (
            _International(r"\+ ?\(?" + _INTERNATIONAL, has_plus=True),
            _International(r"\b00 ?" + _INTERNATIONAL.replace("[0-9]", "[1-9]", 1), has_plus=False),
            *(_National(_LABEL, pattern, Evidence.UNNAMED, words, _has_national_length) for pattern in _NATIONAL),
            _National(_LABEL, _ANNOUNCED, Evidence.BESIDE, words, _has_length),
        )

    def find(self, data: bytes) -> list[Hit]:
        """See :class:`Detector`."""
        return [hit for part in self.parts for hit in part.find(data)]


class _International:
    """Numbers with a calling code."""

    label = _LABEL

    def __init__(self, pattern: str, *, has_plus: bool) -> None:
        self._pattern = Pattern(pattern)
        self.gate = (pattern,) if has_plus else ()
        self.shape = "" if has_plus else pattern

    def find(self, data: bytes) -> list[Hit]:
        """See :class:`Detector`."""
        found: list[Hit] = []
        for start, end in self._pattern.spans(data):
            before = data[max(start - 2, 0) : start]
            is_fraction = before[1:] == b"." and before[:1].isdigit()
            is_sum = before[1:] == b" " and before[:1].isdigit() and data[start : start + 2] == b"+ "
            if is_fraction or is_sum or before[-1:].isalnum() or data[end : end + 1].isalnum():
                continue
            end = _end_of_number(data, start, end)
            if start < end and not names_something_else(data, start):
                start -= before[-1:] == b"(" and b")" in data[start:end]
                found.append(Hit(start, end, "a calling code and as many digits as numbers there have"))
        return found


class _National(Form):
    """Numbers without a calling code; what opens the brackets belongs to them."""

    def find(self, data: bytes) -> list[Hit]:
        """See :class:`Detector`."""
        found: list[Hit] = []
        for start, end, why in super().find(data):
            if _DATE.search(data[start:end]) is None and not names_something_else(data, start):
                begins = start - (data[max(start - 1, 0) : start] in (b"(", b"+"))
                found.append(Hit(begins, end, why))
        return found


def _end_of_number(data: bytes, start: int, end: int) -> int:
    """Where a possible number ends that begins at ``start``; ``start`` if none does. What follows may be others."""
    while end > start:
        if _is_possible(compact(data[start:end]).lstrip("+")):
            return end
        while end > start and data[end - 1 : end].isdigit():
            end -= 1
        while end > start and not data[end - 1 : end].isdigit():
            end -= 1
    return start


def _is_possible(digits: str) -> bool:
    digits = digits.removeprefix("00")
    return len(set(digits)) > 2 and any(len(digits) - size in _lengths(int(digits[:size])) for size in (1, 2, 3))


@cache
def _lengths(calling_code: int) -> frozenset[int]:
    """How many digits may follow a calling code, by phonenumbers' metadata, which is loaded when first needed."""
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

    found: set[int] = set()
    for region in COUNTRY_CODE_TO_REGION_CODE.get(calling_code, ()):
        metadata = PhoneMetadata.metadata_for_region_or_calling_code(calling_code, region)
        if metadata is not None and metadata.general_desc is not None:
            found.update(metadata.general_desc.possible_length)
    # One more, as in "+44 (0) 20".
    return frozenset(found | {length + 1 for length in found}) - {*range(6), *range(14, 17)}


def _has_length(number: str) -> bool:
    return len(set(number)) > 1


def _has_national_length(number: str) -> bool:
    digits = number.partition("X")[0].partition("E")[0]
    return 9 <= len(digits) <= 12 and len(set(digits)) > 2
