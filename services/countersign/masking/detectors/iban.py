"""International bank account numbers (ISO 13616), printed in groups or not."""

from __future__ import annotations

from countersign.masking.detectors.base import Hit, Pattern

# Country, length, country, length, ... (SWIFT's registry).
_COUNTRIES = (
    "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24FI18FK18"
    "FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21"
    "LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24"
    "SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30"
)
_LENGTHS = {_COUNTRIES[at : at + 2].encode(): int(_COUNTRIES[at + 2 : at + 4]) for at in range(0, len(_COUNTRIES), 4)}
_CODES = "|".join(code.decode() for code in sorted(_LENGTHS))
_BEGINNING = rf"(?:\b|_)(?i:{_CODES})[0-9]{{2}}"
_SEPARATORS = b" -\xa0"
_WHY = "a country's length, and the remainder modulo 97 is right"
# A separator, of up to two bytes, after each character.
_LONGEST_BYTES = 34 * 3


class Iban:
    """Detects account numbers; the check alone lets one in 97 of what looks like one pass, so no words are needed."""

    label = "IBAN"

    def __init__(self) -> None:
        self._beginning = Pattern(_BEGINNING)
        self.shape = _BEGINNING + "[ \u00a0-]?[A-Za-z0-9]{2}"

    def find(self, data: bytes) -> list[Hit]:
        """See :class:`Detector`."""
        found: list[Hit] = []
        for start, end in self._beginning.spans(data):
            start = end - 4
            length = _LENGTHS.get(data[start : start + 2].upper())
            if length is not None:
                end = _end(data, start, length)
                if end > start:
                    found.append(Hit(start, end, _WHY))
        return found


def _end(data: bytes, start: int, length: int) -> int:
    """Where the number of so many letters and digits ends whose check is right; ``start`` if it is not one."""
    number = bytearray()
    after_separator = False
    window = data[start : start + _LONGEST_BYTES].replace(b"\xc2\xa0", b"\xa0\xa0")
    for at, byte in enumerate(window):
        if byte in _SEPARATORS:
            if after_separator and byte != 0xA0:
                return start
            after_separator = True
            continue
        if not (48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122):
            return start
        after_separator = False
        number.append(byte)
        if len(number) == length:
            goes_on = window[at + 1 : at + 2].isalnum()
            return start if goes_on or not _is_right(bytes(number)) else start + at + 1
    return start


def _is_right(number: bytes) -> bool:
    rearranged = (number[4:] + number[:4]).decode()
    return int("".join(str(int(character, 36)) for character in rearranged)) % 97 == 1
