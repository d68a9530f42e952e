"""Number plates of vehicles, which lead to who keeps them."""

from __future__ import annotations

from countersign.masking.detectors.forms import Identifier

_WORDS = (
    *("plate", "registration", "vehicle", "kennzeichen", "immatriculation", "plaka", "matricula", "targa", "kenteken"),
    *("vrm", "vrn", "reg no", "car", "arac", "otomobil"),
)
_IN_STATES = (
    "(?:A[NPRS]|B[HR]|C[GH]|D[DLN]|G[AJ]|H[PR]|J[HK]|K[AL]|L[AD]|M[HLNPZ]|NL|O[DR]|P[BY]|RJ|SK|T[GNRS]|U[KPT]|WB)"
)
_TR_PROVINCE = "(?:0[1-9]|[1-7][0-9]|8[01])"
_TR_LETTER = "[A-PR-VYZ]"
# Months, units and halves of the day, which stand between numbers, too.
_NOT_LETTERS = frozenset(
    {
        *("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC", "AM", "PM", "KB", "MB"),
        *("GB", "TB", "KM", "CM", "MM", "KG", "MG", "ML", "MS", "NS", "US", "HZ", "EUR", "USD", "GBP", "TL"),
    }
)


def _is_plate(plate: str) -> bool:
    """Letters that are no month and no unit, where digits stand on both sides."""
    letters = plate.strip("0123456789")
    return letters not in _NOT_LETTERS or not plate[0].isdigit()


def make() -> Identifier:
    """Make the detector."""
    return Identifier(
        "VEHICLE_PLATE",
        _is_plate,
        words=_WORDS,
        unnamed=(
            # Great Britain since 2001, India, Nigeria, Turkey, France since 2009.
            r"[A-HJ-PR-Y]{2}(?:0[2-9]|[12][0-9]|5[1-9]|[67][0-9])[ -]?[A-HJ-PR-Z]{3}",
            rf"{_IN_STATES}[ -]?[0-9]{{1,2}}[ -]?[A-Z]{{1,3}}[ -]?[0-9]{{4}}",
            r"[0-9]{2} ?BH ?[0-9]{4} ?[A-HJ-NP-Z]{1,2}",
            r"[A-Z]{3}-?[0-9]{3} ?[A-Z]{2}",
            rf"{_TR_PROVINCE} ?{_TR_LETTER} ?[0-9]{{4,5}}|{_TR_PROVINCE} ?{_TR_LETTER}{{2}} ?[0-9]{{3,4}}",
            rf"{_TR_PROVINCE} ?{_TR_LETTER}{{3}} ?[0-9]{{2,3}}",
            r"[A-HJ-NP-TV-Z]{2}-[0-9]{3}-[A-HJ-NP-TV-Z]{2}",
            # Germany
            r"[A-Z]{1,3}-[A-Z]{1,2} [1-9][0-9]{0,3}[EH]?",
        ),
        beside=(
            r"[A-Z]{1,3}[ -]?[0-9]{1,4}[ -]?[A-Z]{1,3}",
            r"[A-Z]{1,3}[- ][A-Z]{1,2}[- ]?[0-9]{1,4}[EH]?",
            r"[0-9]{1,4}[ -]?[A-Z]{1,3}[ -]?[0-9]{0,4}",
            r"[A-Z]{2,3}[ -]?[0-9]{3,4}",
        ),
    )
