"""Credentials in headers of HTTP (RFC 9110, section 11; RFC 6265)."""

from __future__ import annotations

import re

from countersign.masking.detectors.base import Hit, Pattern
from countersign.masking.detectors.looks import is_basic, is_placeholder, is_random
from countersign.masking.detectors.secrets.commands import can_be_sent
from countersign.masking.detectors.secrets.part import Part
from countersign.masking.detectors.telling import classify

_AUTHORIZATION = Pattern(
    r"""(?i)\bauthorization(?:\\*["']?\]?\s{0,4}(?:=>|[:=])|["'],)\s{0,4}\\*["'\x60]{0,2}(?:([a-z][a-z0-9-]{1,24})\s{1,4})?"""
    r"""([^\s"'\x60<>\\,;]{4,}[^"'\x60<>\\\n]*)"""
)
_BEARER = Pattern(r"(?i)\bbearer[\s:]{1,4}([A-Za-z0-9._~+/-]{16,}=*)")
_BASIC = Pattern(r"(?i)\bbasic\s{1,4}([A-Za-z0-9+/_-]{6,}={0,2})")
_COOKIES = Pattern(r"""(?i)\bcookies?\\*["']?\s{0,4}[:=]\s{0,4}\\*["']?([a-z0-9_.%-]+=[^\n\r"'\\]+)""")
_COOKIE = re.compile(rb"([^=;\s]+)=([^;]*)")
_COOKIE_ATTRIBUTES = frozenset(
    (b"path", b"domain", b"expires", b"max-age", b"samesite", b"priority", b"version", b"comment", b"lang", b"theme")
)
_SESSION_COOKIE = re.compile(r"(?i)sess|sid\b|auth|login|remember|csrf|xsrf|identity|ticket|jsessionid")


def find(data: bytes) -> list[Hit]:
    """Where the credentials of headers stand."""
    found: list[Hit] = []
    for _, scheme, (start, end) in _AUTHORIZATION.groups(data):
        value = data[start:end].rstrip()
        first = value.split(None, 1)[0].decode()
        if can_be_sent(first) and (len(first) > 20 or not first.isalpha() if scheme[0] >= 0 else is_random(first)):
            # What follows a blank belongs to it only when parameters do: Digest, AWS4-HMAC-SHA256.
            whole = start + (len(value) if "=" in first.rstrip("=") else len(first.encode()))
            found.append(Hit(start, whole, "an Authorization header"))
    for start, end in _BEARER.spans(data, 1):
        value_text = data[start:end].decode()
        if any(character.isdigit() for character in value_text) and can_be_sent(value_text):
            found.append(Hit(start, end, "a bearer token"))
    found += (
        Hit(*span, "a user and a password, as Basic has them")
        for span in _BASIC.spans(data, 1)
        if is_basic(data[slice(*span)])
    )
    for start, end in _COOKIES.spans(data, 1):
        found += _cookies(data, start, end)
    return found


def _cookies(data: bytes, start: int, end: int) -> list[Hit]:
    found: list[Hit] = []
    for match in _COOKIE.finditer(data, start, end):
        name, value = match[1].decode(), match[2].strip().decode()
        if match[1].lower() in _COOKIE_ATTRIBUTES or len(value) < 6 or is_placeholder(value):
            continue
        if _SESSION_COOKIE.search(name) or classify(name) is not None or is_random(value, 16):
            found.append(Hit(*match.span(2), "a cookie"))
    return found


PART = Part(
    find,
    gate=(
        r"(?i)authorization[\\\x22'\]\s]{0,12}[:=,]",
        r"(?i)\bbearer[\s:]{1,4}[a-z0-9._~+/-]{16,}",
        r"(?i)\bbasic\s{1,4}[a-z0-9+/_-]{6,}",
        r"(?i)\bcookies?[\\\x22']{0,4}\s{0,4}[:=]",
    ),
)
