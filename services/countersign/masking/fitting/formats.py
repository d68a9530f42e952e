"""Formats of strings (JSON Schema 2020-12, section 7.3), and for each a value that stands for nobody's."""

from __future__ import annotations

from countersign.masking.detectors.base import Pattern

_DATE = r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?(?:[zZ]|[+-][0-9]{2}:?[0-9]{2})"
_MAIL = r"[^\s@]+@[^\s@]+\.[^\s@.]+"
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_URI = r"[A-Za-z][A-Za-z0-9+.-]*:[!#-;=?-Z_a-z~\[\]%]*"

# The pattern, and the value: of RFC 2606's and RFC 5737's reserved names and addresses.
_FORMATS = {
    "date": (_DATE, "1900-01-01"),
    "time": (_TIME, "00:00:00Z"),
    "date-time": (f"{_DATE}[tT ]{_TIME}", "1900-01-01T00:00:00Z"),
    "duration": (r"P[0-9YMWDTHS.]+", "P0D"),
    "email": (_MAIL, "redacted@masked.invalid"),
    "idn-email": (_MAIL, "redacted@masked.invalid"),
    "hostname": (_HOST, "masked.invalid"),
    "idn-hostname": (_HOST, "masked.invalid"),
    "ipv4": (rf"{_BYTE}(?:\.{_BYTE}){{3}}", "192.0.2.0"),
    "ipv6": (r"[0-9A-Fa-f:.]{2,45}", "100::"),
    "uri": (_URI, "https://masked.invalid/"),
    "iri": (_URI, "https://masked.invalid/"),
    "uri-reference": (r"[!#-;=?-Z_a-z~\[\]%]*", "https://masked.invalid/"),
    "uuid": (r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", "00000000-0000-0000-0000-000000000000"),
    "byte": (r"[A-Za-z0-9+/]*={0,2}", ""),
    "json-pointer": (r"(?:/[^\s]*)?", ""),
    "regex": (r"[A-Za-z0-9]*", "x"),
}
_PATTERNS = {name: Pattern(rf"^(?:{pattern})\z") for name, (pattern, _) in _FORMATS.items()}


def has_format(name: str, value: str) -> bool:
    """Whether a string has a format; one that is unknown here is kept by every string."""
    pattern = _PATTERNS.get(name)
    return pattern is None or next(pattern.spans(value.encode("utf-8", "replace")), None) is not None


def stand_in(name: str) -> str | None:
    """Return a string of a format that says nothing; ``None`` for a format that is unknown here."""
    return _FORMATS[name][1] if name in _FORMATS else None
