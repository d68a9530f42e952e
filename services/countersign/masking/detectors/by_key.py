"""Detectors of what has no form to know it by: the names of keys and columns beside the values must tell.

In JSON and in tables the values are covered whole (:mod:`countersign.masking.key_rules`); here are names with values
beside them in other text: ``first_name=Ann``, ``Home address: 12 Main St``, ``'dob': '1980-02-03'``.
"""

from __future__ import annotations

import re
from functools import lru_cache

from countersign.masking import personal_keys
from countersign.masking.detectors.base import Hit, Pattern

_ENDS_OF_NAMES = {
    personal_keys.PERSON: "forename|signatory|holder|patient|vorname|prenom|apellidos?|cognome|nome|naam",
    personal_keys.ADDRESS: "address|addr|address_?[1-3]|line_?[1-3]|street|strasse|residence|adresse|domicilio",
    personal_keys.BIRTH_DATE: "dob|birth|birth_?da(?:te|y)|bda(?:te|y)|geburtsdatum|nacimiento|naissance|nascita",
    personal_keys.PHONE: "phone|telephone|tel|mobile|cell|fax|telefon|telefono",
}
# These say nothing without a word before them, and many keys of machines are no more than that.
_LAST_WORDS = {personal_keys.PERSON: "names?", personal_keys.PHONE: "number|num|no"}
_AFTER_NAME = r"""["'`*\]\\]{0,4}[ \t]{0,4}(?:=>|:=|=|:)\*{0,2}[ \t]{0,4}"""
_QUOTED = r"""\\?(?:"([^"\\\r\n]+)|'([^'\\\r\n]+)"""
# An address does not end at a comma.
_ADDRESS = re.compile(rf"""{_QUOTED}|([^\s"'`\\;&|<>{{}}\[\]][^\r\n"\\;&|<>{{}}\[\]]*))""")
_OTHER = re.compile(rf"""{_QUOTED}|([^\s"'`\\,;&|<>{{}}\[\]()][^\r\n"\\,;&|<>{{}}\[\]()]*))""")
_LONGEST_VALUE_BYTES = 240
_NEXT_NAME = re.compile(r"\s+[A-Za-z_][A-Za-z0-9_.-]{0,63}[=:]")
_BARE = 3
_WORD = re.compile(r"[A-Za-z0-9]+")
_MOST_WORDS = 4
_WHY = "its name is one that persons' data have"


class KeyDetector:
    """Finds values beside names that :func:`personal_keys.classify` gives its label."""

    def __init__(self, label: str) -> None:
        self.label = label
        ends, last_words = _ENDS_OF_NAMES[label], _LAST_WORDS.get(label)
        names = rf"(?:[a-z0-9]{{1,20}}[ _.-]?){{0,3}}(?:{ends})"
        if last_words is not None:
            names += rf"|(?:[a-z0-9]{{1,20}}[ _.-]?){{1,3}}(?:{last_words})"
            ends += rf"|[a-z0-9][ _.-]?(?:{last_words})"
        self._name = Pattern(rf"(?i)({names}){_AFTER_NAME}")
        self._value = _ADDRESS if label == personal_keys.ADDRESS else _OTHER
        self.gate = (rf"(?i)(?:{ends}){_AFTER_NAME}",)

    def find(self, data: bytes) -> list[Hit]:
        """See :class:`Detector`."""
        found: list[Hit] = []
        marks = list(self._name.groups(data))
        nexts = [*(whole[1] for whole, _ in marks), len(data)][1:]
        for ((_, start), name), following in zip(marks, nexts, strict=True):
            if _is_named(self.label, data[slice(*name)], cut=_is_letter_before(data, name[0])):
                # Not past the next name, so that many names on one line stay linear.
                window = data[start : min(following, start + _LONGEST_VALUE_BYTES)].decode(errors="ignore")
                value = self._value.match(window)
                if value is not None and value.lastindex is not None:
                    first, text = value.start(value.lastindex), value[value.lastindex]
                    text = _NEXT_NAME.split(text, maxsplit=1)[0].rstrip() if value.lastindex == _BARE else text
                    if personal_keys.holds(self.label, text):
                        first = start + len(window[:first].encode())
                        found.append(Hit(first, first + len(text.encode()), _WHY))
        return found


def _is_letter_before(data: bytes, start: int) -> bool:
    """Whether the word that begins there is the rest of one with letters that are not ASCII's, as ``tel`` of hôtel."""
    return data[max(0, start - 4) : start].decode(errors="ignore")[-1:].isalpha()


@lru_cache(maxsize=4_096)
def _is_named(label: str, name: bytes, *, cut: bool) -> bool:
    """Whether the last words of what stands before the value are a name: others may stand before it.

    The first word counts only if it was not ``cut`` off another.
    """
    words = _WORD.findall(name.decode())[1 if cut else 0 :][-_MOST_WORDS:]
    return any(personal_keys.classify("".join(words[at:])) == label for at in range(len(words)))


KEY_DETECTORS = {
    "address_by_key": KeyDetector(personal_keys.ADDRESS),
    "birth_date_by_key": KeyDetector(personal_keys.BIRTH_DATE),
    "person_by_key": KeyDetector(personal_keys.PERSON),
    "phone_by_key": KeyDetector(personal_keys.PHONE),
}
"""By the names that gateway.yaml uses."""
