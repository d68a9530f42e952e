"""Characters that a reader takes for others, or does not see."""

from __future__ import annotations

import re
import unicodedata

# Letters that a reader takes for Latin ones (a useful part of Unicode's confusables, UTS 39): Cyrillic, then Greek.
ALIKE = str.maketrans(
    "аеорсухіѕјһԁԛԝкмтАВЕКМНОРСТХІЅЈУοαρντικυγΑΒΕΖΗΙΚΜΝΟΡΤΥΧıɑɡſ",
    "aeopcyxisjhdqwkmtABEKMHOPCTXISJYoapvtikuyABEZHIKMNOPTYXiags",
)
INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff"
)
DASHES = "\u2010-\u2015\u2212\u30fc\ufe58\ufe63"
BLANKS = "\u00a0\u2000-\u200a\u202f\u205f\u3000"
"""What stands in number typeset for print where keyboards have ``-`` and a blank; for a class of a pattern."""
_HIDDEN = re.compile(f"[{INVISIBLE}]+")


def fold(name: str) -> str:
    """A name as a reader sees it: compatible forms made plain (NFKC), look-alikes Latin, nothing invisible."""
    return unicodedata.normalize("NFKC", _HIDDEN.sub("", name)).translate(ALIKE)
