"""Passports, driving licences and what banks call an account: mostly bare numbers, so words must announce them."""

from __future__ import annotations

from countersign.masking.detectors.base import Detector, Hit, Pattern
from countersign.masking.detectors.checksums import icao, is_day
from countersign.masking.detectors.forms import Identifier, anything
from countersign.masking.detectors.national_ids.other_checks import us_aba

_PASSPORT_WORDS = (
    *("passport", "passeport", "pasaporte", "passaporto", "passaporte", "paspoort", "reisepass", "pass no"),
    *(
        "passi",
        "paszport",
        "pasaport",
        "\u65c5\u5238",
        "\u62a4\u7167",
        "\uc5ec\uad8c",
        "\u043f\u0430\u0441\u043f\u043e\u0440\u0442",
    ),
)
_LICENCE_WORDS = (
    *("driver", "driving", "drivers license", "license number", "licence number", "licence no", "license no", "dl no"),
    *("dl number", "hrerschein", "permis", "patente", "rijbewijs", "fahrerlaubnis", "prawo jazdy", "carta de conducao"),
)
_ACCOUNT_WORDS = (
    *("account number", "account no", "acct", "bank account", "bank number", "checking", "savings account"),
    *("kontonummer", "numero de cuenta", "numero de compte", "conto corrente", "iban"),
)
_MRZ_NAMES = r"[PIACV][A-Z<][A-Z<]{3}[A-Z0-9<]{25,39}"
_MRZ_DATA = r"[A-Z0-9<]{9}[0-9<][A-Z<]{3}[0-9]{6}[0-9][MFX<][0-9]{6}[0-9][A-Z0-9<]{8,16}"
_MRZ_CARD = r"[0-9]{6}[0-9][MFX<][0-9]{6}[0-9][A-Z<]{3}[A-Z0-9<]{11}[0-9]"


def _has_digits(number: str) -> bool:
    return sum(character.isdigit() for character in number) >= 4


def _has_some_digits(number: str) -> bool:
    return sum(character.isdigit() for character in number) >= 2


def _is_document(number: str) -> bool:
    """A letter and digits that are neither a day nor a counter's."""
    digits = number[1:]
    is_day_of_year = digits[:2] in ("19", "20") and len(digits) == 8 and is_day(digits[4:6], digits[6:])
    return "000" not in digits and len(set(digits)) >= 4 and not is_day_of_year


def _is_bic(code: str) -> bool:
    """Whether letters five and six can be a country's (ISO 9362): a word of eight capitals seldom passes."""
    return code[4:6] in _COUNTRIES


# ISO 3166-1, and XK.
_COUNTRY_CODES = (
    "ADAEAFAGAIALAMAOARATAUAWAZBABBBDBEBFBGBHBIBJBMBNBOBRBSBTBWBYBZCACDCFCGCHCICLCMCNCOCRCUCVCWCYCZDEDJDK"
    "DMDODZECEEEGERESETFIFJFKFOFRGAGBGDGEGGGHGIGLGMGNGQGRGTGWGYHKHNHRHTHUIDIEILIMINIQIRISITJEJMJOJPKEKGKH"
    "KIKMKNKPKRKWKYKZLALBLCLILKLRLSLTLULVLYMAMCMDMEMGMHMKMLMMMNMOMRMSMTMUMVMWMXMYMZNANENGNINLNONPNRNZOMPA"
    "PEPFPGPHPKPLPSPTPYQARORSRURWSASBSCSDSESGSHSISKSLSMSNSOSRSSSTSVSYSZTCTDTGTHTJTLTMTNTOTRTTTVTWTZUAUGUS"
    "UYUZVAVCVEVGVNVUWSXKYEZAZMZW"
)
_COUNTRIES = frozenset(_COUNTRY_CODES[at : at + 2] for at in range(0, len(_COUNTRY_CODES), 2))


class Passport:
    """Detects passports' numbers near their word, and machine-readable zones (ICAO Doc 9303)."""

    label = "PASSPORT"

    def __init__(self) -> None:
        near = Identifier(
            self.label,
            _has_some_digits,
            whole=False,
            words=_PASSPORT_WORDS,
            beside=(
                r"[A-Za-z]{1,3}[ -]?[0-9]{6,9}[A-Za-z]?",
                r"[0-9]{7,10}",
                r"[0-9]{2}[A-Z]{2}[0-9]{5}",
                r"[A-Z][A-Z0-9]{8}",
            ),
        )
        # A letter and seven or eight digits, as many states number passports, identity cards and driving licences.
        # Not Q, O and I: the first stands before the numbers of Wikidata, the others look like digits.
        alone = Identifier(self.label, _is_document, words=_PASSPORT_WORDS, unnamed=(r"[A-HJ-NPR-Z][0-9]{7,8}",))
        self.parts: tuple[Detector, ...] = (*near.parts, *alone.parts, _MachineReadable())

    def find(self, data: bytes) -> list[Hit]:
        """See :class:`Detector`."""
        return [hit for part in self.parts for hit in part.find(data)]


class _MachineReadable:
    """Lines of names, and lines of data whose birthday has the right check digit."""

    label = Passport.label
    shape = f"{_MRZ_NAMES}|{_MRZ_DATA}|{_MRZ_CARD}"

    def __init__(self) -> None:
        self._names = Pattern(rf"(?:\b|_){_MRZ_NAMES}")
        self._data = Pattern(rf"(?:\b|_|<){_MRZ_DATA}")
        self._card = Pattern(rf"(?:\b|_){_MRZ_CARD}")

    def find(self, data: bytes) -> list[Hit]:
        why = "a line of a machine-readable zone"
        found = [Hit(start, end, why) for start, end in self._names.spans(data) if b"<<" in data[start + 5 : end]]
        for pattern, birthday in ((self._data, 13), (self._card, 0)):
            for start, end in pattern.spans(data):
                date = data[start + birthday : start + birthday + 7].decode()
                if str(icao(date[:6])) == date[6:]:
                    found.append(Hit(start, end, why))
        return found


DOCUMENTS = {
    "bank_account": Identifier(
        "BANK_ACCOUNT", anything, words=_ACCOUNT_WORDS, beside=(r"[0-9]{8,17}", r"[0-9]{2,5}(?:[ -][0-9]{2,6}){1,4}")
    ),
    "driver_license": Identifier(
        "DRIVER_LICENSE",
        _has_digits,
        whole=False,
        words=_LICENCE_WORDS,
        alone=(
            # Great Britain: surname, decade, month (plus 50 for women), day, year, initials, check.
            r"[A-Z9]{5}[0-9][0156][0-9][0-3][0-9][0-9][A-Z9]{2}[A-Z0-9][A-Z]{2}(?: ?[0-9]{2})?",
        ),
        unnamed=(r"U1[A-Z0-9]{7}[A-Z]", r"[A-Z]{2}[0-9]{7}[A-Z]"),
        beside=(r"[A-Za-z0-9]{5,20}", r"[A-Za-z0-9]{1,6}(?:[ -][A-Za-z0-9]{2,8}){1,4}"),
    ),
    "swift_bic": Identifier(
        "SWIFT_BIC", _is_bic, whole=False, words=("swift", "bic"), beside=(r"[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?",)
    ),
    "uk_sort_code": Identifier(
        "UK_SORT_CODE", anything, words=("sort code",), beside=(r"[0-9]{2}-[0-9]{2}-[0-9]{2}", r"[0-9]{6}")
    ),
    "us_routing": Identifier(
        "US_ROUTING",
        us_aba,
        whole=False,
        words=("routing", "aba", "rtn", "transit"),
        unnamed=(r"[0-9]{4}-[0-9]{4}-[0-9]",),
        beside=(r"[0-9]{9}",),
    ),
}
"""By the names that gateway.yaml uses, without passports."""
