"""Dates of birth: dates that words beside them announce as such."""

from __future__ import annotations

from countersign.masking.detectors.forms import Identifier, anything

_WORDS = (
    *("dob", "date of birth", "birth date", "birthdate", "birthday", "born", "birth day", "geboren", "geburtsdatum"),
    *("geb", "naissance", "nee le", "ne le", "nacimiento", "nascimento", "nascita", "nato il", "nata il"),
    *(
        "geboortedatum",
        "urodz",
        "data nasterii",
        "\u751f\u65e5",
        "\u751f\u5e74\u6708\u65e5",
        "\uc0dd\ub144\uc6d4\uc77c",
    ),
)
_MONTH = (
    r"(?i:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    r"nov(?:ember)?|dec(?:ember)?)\.?"
)
_DAY = r"[0-3]?[0-9](?:st|nd|rd|th|\.)?"
_YEAR = r"(?:18|19|20)[0-9]{2}"


def make() -> Identifier:
    """Make the detector."""
    return Identifier(
        "BIRTH_DATE",
        anything,
        words=_WORDS,
        beside=(
            rf"{_YEAR}[-./][01]?[0-9][-./][0-3]?[0-9]",
            rf"{_YEAR}[01][0-9][0-3][0-9]",
            rf"[0-3]?[0-9][-./ ][0-3]?[0-9][-./ ](?:{_YEAR}|[0-9]{{2}})",
            rf"{_DAY}[ -](?:of )?{_MONTH}[ ,-]{{1,2}}{_YEAR}",
            rf"{_MONTH} {_DAY},? {_YEAR}",
        ),
    )
