"""Private keys: in PEM armour (RFC 7468, RFC 9580), PuTTY's files and JSON Web Keys (RFC 7518), also cut off."""

from __future__ import annotations

import re

from countersign.masking.detectors.base import Hit, Pattern
from countersign.masking.detectors.secrets.part import Part

_MARK = Pattern(r"-----(BEGIN|END) [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_REST = Pattern(r"""[A-Za-z0-9+/=\s\\:,.()-]*""")
_LONGEST_KEY_BYTES = 32_768
_GAP = re.compile(rb"(?:\\n|\\r|\s)+")
_LINE = re.compile(rb"[A-Za-z0-9+/]{16,76}={0,3}")
_LAST_LINE = re.compile(rb"[A-Za-z0-9+/]{1,76}={0,3}")
_PUTTY = Pattern(r"Private-Lines: ?[0-9]+(?:\s|\\[nr])+((?:[A-Za-z0-9+/=]{1,76}(?:\s|\\[nr])+)*[A-Za-z0-9+/=]{0,76})")
_KEY_TYPE = Pattern(r"""["']kty\\*["']""")
_SECRET_MEMBER = Pattern(r"""["'](?:d|p|q|dp|dq|qi|k)\\*["']\s{0,4}:\s{0,4}\\*["']([A-Za-z0-9_-]{16,})""")


def find(data: bytes) -> list[Hit]:
    """Where private keys stand: from the opening mark to the closing one, or as far as a body can go without one."""
    return [*_armoured(data), *(Hit(*span, "the private lines of a PuTTY key") for span in _PUTTY.spans(data, 1))]


def _armoured(data: bytes) -> list[Hit]:
    marks = [(data[slice(*kind)] == b"BEGIN", start, end) for (start, end), kind in _MARK.groups(data)]
    found: list[Hit] = []
    following = [*marks, (True, len(data), len(data))][1:]
    closed = 0
    for (opens, start, end), (next_opens, next_start, next_end) in zip(marks, following, strict=True):
        if opens and not next_opens and next_start - end <= _LONGEST_KEY_BYTES:
            found.append(Hit(start, next_end, "a private key"))
            closed = next_end
        elif opens:
            found.append(Hit(start, _REST.end_of_match(data, end, next_start), "a private key, cut off"))
        elif end > closed:
            body = _body_before(data, max(closed, start - _LONGEST_KEY_BYTES), start)
            found.append(Hit(body, end, "the end of a private key"))
            closed = end
    return found


def _body_before(data: bytes, earliest: int, end: int) -> int:
    """Where the lines of a body begin that ends at ``end``; only the last of them may be as short as a word."""
    gaps = [match.span() for match in _GAP.finditer(data, earliest, end)]
    if not gaps or gaps[-1][1] != end:
        return end
    start = end
    shape = _LAST_LINE
    while gaps:
        gap_start, _ = gaps.pop()
        line_start = gaps[-1][1] if gaps else earliest
        if shape.fullmatch(data, line_start, gap_start) is None:
            break
        start, shape = line_start, _LINE
    return start


def find_jwk(data: bytes) -> list[Hit]:
    """Where the secret members of JSON Web Keys stand."""
    if not _KEY_TYPE.matches(data):
        return []
    return [Hit(*span, "a secret member of a JSON Web Key") for span in _SECRET_MEMBER.spans(data, 1)]


PART = Part(find, gate=("PRIVATE KEY", "Private-Lines:"))
JWK_PART = Part(find_jwk, gate=(r"""[\x22']kty\\*[\x22']""",))
