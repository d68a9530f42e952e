"""Private keys in PEM armour (RFC 7468), whole or cut off."""

from __future__ import annotations

from countersign.masking.detectors.base import Hit, Pattern
from countersign.masking.detectors.secrets.part import Part

_MARK = Pattern(r"-----(BEGIN|END) [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_REST = Pattern(r"""[A-Za-z0-9+/=\s\\:,-]*""")
_LONGEST_KEY_BYTES = 32_768


def find(data: bytes) -> list[Hit]:
    """Where private keys stand: from the opening mark to the closing one, or as far as a body can go without it."""
    if b"PRIVATE KEY" not in data:
        return []
    marks = [(data[slice(*kind)] == b"BEGIN", start, end) for (start, end), kind in _MARK.groups(data)]
    found: list[Hit] = []
    following = [*marks, (True, len(data), len(data))][1:]
    for (opens, start, end), (next_opens, next_start, next_end) in zip(marks, following, strict=True):
        if opens and not next_opens and next_start - end <= _LONGEST_KEY_BYTES:
            found.append(Hit(start, next_end, "a private key"))
        elif opens:
            found.append(Hit(start, _REST.end_of_match(data, end, next_start), "a private key, cut off"))
    return found


PART = Part(find, gate=("PRIVATE KEY",))
