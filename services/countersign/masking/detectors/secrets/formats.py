"""Credentials that their own form gives away: the prefixes and structures that providers publish."""

from __future__ import annotations

from countersign.masking.detectors.base import Hit, Pattern
from countersign.masking.detectors.looks import is_placeholder

_AWS_KEY_ID = Pattern(r"(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16,}")
_AWS_MARKS = (b"A3T", b"AKIA", b"ASIA", b"ABIA", b"ACCA")
_JWT = Pattern(r"eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*){1,3}")


def find(data: bytes) -> list[Hit]:
    """Where tokens of known form stand."""
    found: list[Hit] = []
    if any(mark in data for mark in _AWS_MARKS):
        found += (
            Hit(*span, "an AWS key id")
            for span in _AWS_KEY_ID.spans(data)
            if not is_placeholder(data[slice(*span)].decode())
        )
    if b"eyJ" in data:
        found += (Hit(*span, "a JSON web token") for span in _JWT.spans(data))
    return found
