"""Credentials in headers of HTTP."""

from __future__ import annotations

from countersign.masking.detectors.base import Hit, Pattern

_AUTHORIZATION = Pattern(
    r"""(?i)\bauthorization["']?\s{0,4}[:=]\s{0,4}["']{0,2}(?:bearer|basic|token|digest|negotiate|apikey)\s{1,4}"""
    r"""([^\s"',;<>\[$*{][^\s"',;]+)"""
)
_BEARER = Pattern(r"(?i)\bbearer\s{1,4}([A-Za-z0-9._~+/-]{16,}=*)")


def find(data: bytes, lower: bytes) -> list[Hit]:
    """Where the credentials of headers stand; ``lower`` is ``data`` in lower case."""
    found: list[Hit] = []
    if b"authorization" in lower:
        found += (Hit(*span, "an Authorization header") for span in _AUTHORIZATION.spans(data, 1))
    if b"bearer" in lower:
        found += (
            Hit(*span, "a bearer token")
            for span in _BEARER.spans(data, 1)
            if any(48 <= byte <= 57 for byte in data[slice(*span)])
        )
    return found
