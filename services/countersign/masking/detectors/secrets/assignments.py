"""Values that are assigned to telling names, in prose, configuration, environment files, commands, markup and code."""

from __future__ import annotations

import re

from countersign.masking.detectors.base import ByteSpan, Hit, Pattern
from countersign.masking.detectors.looks import is_random
from countersign.masking.detectors.telling import Telling, classify, holds_secret

# What every telling name holds somewhere.
_WORDS = (b"pass", b"pwd", b"secret", b"token", b"key", b"cred", b"auth", b"jwt", b"pw", b"api", b"kennwort", b"senha")
_WORD = (
    r"(?:pass|pwd|pw\b|pswd|psw\b|secret|token|key|cred|auth|jwt|api\b|kennwort|contrasena|senha|sharedaccess|sas\b)"
)
_QUOTED = r"""\\*"((?:[^"\\\n]|\\[^"\n])*)|\\*'((?:[^'\\\n]|\\[^'\n])*)|\x60([^\x60\n]*)"""
_TYPE = r"""(?::?\s{0,2}(?:string|String|str|SecretStr|char\s?\*|&str|&'static str)(?:\[\])?\s{0,2})?"""

_ASSIGNMENT = Pattern(
    rf"""(?i)([a-z0-9_.-]*{_WORD}[a-z0-9_.-]{{0,40}}|(?:api|access|private|secret|signing|encryption|client|auth|"""
    rf"""account|shared) (?:key|secret|token))\\*["'\x60]?\]?\)?\s{{0,8}}{_TYPE}"""
    rf"""(?:=>|:=|\|\||[?.+:]=|={{1,3}}|:{{1,2}}|->)"""
    rf"""[ \t]{{0,16}}(?:[a-z]{{0,2}}(?:{_QUOTED})|\n?[ \t]{{0,8}}([^\s"'\x60]+))"""
)
_CALL = Pattern(
    rf"""(?i)([a-z0-9_.-]*{_WORD}[a-z0-9_.-]{{0,24}})["'\x60]?(?:\(|,)[ \t]{{0,4}}[a-z]{{0,2}}(?:{_QUOTED})"""
)
_PAIR = Pattern(
    rf"""(?i)["']?\b(?:name|key|id|field|variable|param|parameter|parameterkey|option|header)["']?\s{{0,4}}[:=]\s{{0,4}}"""
    rf"""["']?([a-z0-9_. -]*{_WORD}[a-z0-9_.-]{{0,24}})["']?[\s,;]{{1,40}}["']?"""
    rf"""(?:value|val|content|parametervalue|stringvalue|string_value|data|default)["']?\s{{0,4}}[:=]\s{{0,4}}(?:{_QUOTED}|([^\s"'\x60]+))"""
)
_ELEMENT = Pattern(
    rf"""(?i)<([a-z0-9_.:-]*{_WORD}[a-z0-9_.-]{{0,24}})(?:\s[^<>]*)?>\s*([^<>\s](?:[^<>]*[^<>\s])?)\s*</"""
)
_NAMED_ELEMENT = Pattern(
    rf"""(?i)<[a-z][a-z0-9_.:-]*\s(?:name|key|id)=["']([a-z0-9_.:-]*{_WORD}[a-z0-9_.-]{{0,24}})["'][^<>]*>(?:\s*<value>)?\s*"""
    r"""([^<>\s](?:[^<>]*[^<>\s])?)\s*</"""
)
_FLAG = Pattern(
    rf"""(?i)(?:^|[\s"'\x60(\[])--?([a-z0-9-]*{_WORD}[a-z0-9-]{{0,24}})["']?,?[ \t]{{1,4}}"""
    rf"""(?:{_QUOTED}|([^\s"'\x60-][^\s"'\x60]*))"""
)
_SAID = Pattern(
    r"""(?i)\b(?:password|passphrase|passcode|passwd|pwd|api key|access key|secret key|token|secret)\s+"""
    r"""(?:is|was|are|of|as)[\s:]{1,3}["'\x60]?([^\s"'\x60]{6,})"""
)
_AFTER_PASSWORD = Pattern(
    r"""(?i)\b(?:password|passphrase|passcode|passwd|identified by)\s{1,4}(["'\x60]?)([^\s"'\x60]{4,})"""
)
_TRAILING = b".,;:!?)]}>"
_NEXT_NAME = re.compile(rb"[;&,](?=\s{0,4}[A-Za-z][\w .-]{0,60}=)|;(?=\s|$)|&(?:amp;|quot;)")


def find(data: bytes, lower: bytes) -> list[Hit]:
    """Where the values stand that are assigned to telling names; ``lower`` is ``data`` in lower case."""
    if not any(word in lower for word in _WORDS):
        return []
    found: list[Hit] = []
    for _, name, double_quoted, single_quoted, ticked, bare in _ASSIGNMENT.groups(data):
        found += _assigned(data, name, max(double_quoted, single_quoted, ticked), bare)
    if b'"' in data or b"'" in data or b"`" in data:
        for _, name, double_quoted, single_quoted, ticked in _CALL.groups(data):
            quoted = max(double_quoted, single_quoted, ticked)
            if is_random(data[slice(*quoted)].decode()):
                found += _assigned(data, name, quoted, (-1, -1))
    if b"value" in lower or b"default" in lower or b"content" in lower:
        for _, name, double_quoted, single_quoted, ticked, bare in _PAIR.groups(data):
            found += _assigned(data, name, max(double_quoted, single_quoted, ticked), bare)
    if b"</" in data:
        for pattern in (_ELEMENT, _NAMED_ELEMENT):
            for _, name, value in pattern.groups(data):
                found += _assigned(data, name, value, (-1, -1))
    if b"-" in data:
        for _, name, double_quoted, single_quoted, ticked, bare in _FLAG.groups(data):
            found += _assigned(data, name, max(double_quoted, single_quoted, ticked), bare)
    return found + _said(data)


def _assigned(data: bytes, name: ByteSpan, quoted: ByteSpan, bare: ByteSpan) -> list[Hit]:
    kind = classify(data[slice(*name)].decode())
    if kind is None:
        return []
    start, end = quoted if quoted[0] >= 0 else _trim(data, bare)
    if start >= end or (quoted[0] < 0 and _is_said_of_it(data, start, end, kind)):
        return []
    # As written, too: the brace that was trimmed may close a placeholder.
    written = data[slice(*max(quoted, bare))].decode()
    if not (holds_secret(kind, written) and holds_secret(kind, data[start:end].decode())):
        return []
    return [Hit(start, end, f"assigned to the name of a {kind.name.lower().replace('_', ' ')}")]


def _said(data: bytes) -> list[Hit]:
    found: list[Hit] = []
    for span in _SAID.spans(data, 1):
        start, end = _trim(data, span)
        value = data[start:end].decode()
        if any(character.isdigit() for character in value) and holds_secret(Telling.PASSWORD, value):
            found.append(Hit(start, end, "said to be a password, key or token"))
    for _, (quote_start, quote_end), span in _AFTER_PASSWORD.groups(data):
        start, end = _trim(data, span)
        value = data[start:end].decode()
        if holds_secret(Telling.PASSWORD, value) and (quote_end > quote_start or _mixes(value)):
            found.append(Hit(start, end, "follows the word password"))
    return found


def _mixes(value: str) -> bool:
    """Whether a word is no word of a sentence: letters and digits, at least six."""
    return len(value) >= 6 and any(c.isdigit() for c in value) and any(c.isalpha() for c in value)


def _trim(data: bytes, span: ByteSpan) -> ByteSpan:
    start, end = span
    following = _NEXT_NAME.search(data, start, end)
    if following is not None:
        end = following.start()
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
