"""``password = ...`` and its kin, in prose, configuration, environment files and code."""

from __future__ import annotations

from countersign.masking.detectors.base import ByteSpan, Hit, Pattern
from countersign.masking.detectors.telling import Telling, classify, holds_secret

_ASSIGNMENT = Pattern(
    r"""(?i)([a-z0-9_.-]*(?:pass(?:word|wd|phrase|code)?|pwd|secrets?|token|(?:api|access|private|secret|signing|"""
    r"""encryption|master|auth|account|shared|service)[ _.-]?key))["'`]?\s{0,4}(?:=>|:=|==?|:)\s{0,4}"""
    r"""(?:"((?:[^"\\\n]|\\.)*)|'([^'\n]*)|([^\s"'`]+))"""
)
_SAID = Pattern(
    r"""(?i)\b(?:password|passphrase|passcode|pwd|api key|token|secret)\s+(?:is|was)[\s:]{1,3}["'`]?([^\s"'`]{6,})"""
)
# Each name that the patterns know holds one of these.
_WORDS = (b"pass", b"pwd", b"secret", b"token", b"key")
_TRAILING = b".,;:!?)]}"


def find(data: bytes, lower: bytes) -> list[Hit]:
    """Where the values stand that are assigned to telling names; ``lower`` is ``data`` in lower case."""
    found: list[Hit] = []
    if not any(word in lower for word in _WORDS):
        return found
    for _, name, double_quoted, single_quoted, bare in _ASSIGNMENT.groups(data):
        kind = classify(data[slice(*name)].decode())
        if kind is None:
            continue
        quoted = max(double_quoted, single_quoted)
        start, end = quoted if quoted[0] >= 0 else _trim(data, bare)
        if start < end and not (quoted[0] < 0 and _is_said_of_it(data, start, end, kind)):
            # As written, too: the brace that was trimmed may close a placeholder.
            written = data[slice(*max(quoted, bare))].decode()
            if holds_secret(kind, written) and holds_secret(kind, data[start:end].decode()):
                found.append(Hit(start, end, f"assigned to the name of a {kind.name.lower()}"))
    for span in _SAID.spans(data, 1):
        start, end = _trim(data, span)
        value = data[start:end].decode()
        if any(character.isdigit() for character in value) and holds_secret(Telling.PASSWORD, value):
            found.append(Hit(start, end, "said to be a password, key or token"))
    return found


def _trim(data: bytes, span: ByteSpan) -> ByteSpan:
    start, end = span
    while end > start and data[end - 1] in _TRAILING:
        end -= 1
    return start, end


def _is_said_of_it(data: bytes, start: int, end: int, kind: Telling) -> bool:
    """Whether a bare word is prose or code about the secret (``Password: must have ...``, ``token = read(...)``)."""
    value = data[start:end]
    if b"(" in value and value[: value.index(b"(")].replace(b".", b"").replace(b"_", b"").isalnum():
        return kind is not Telling.PASSWORD or data[end : end + 1] == b")"
    goes_on = data[end : end + 1] in (b" ", b"\t") and data[end + 1 : end + 2].isalpha()
    return value.isalpha() and goes_on and data[start - 2 : start - 1] == b":"
