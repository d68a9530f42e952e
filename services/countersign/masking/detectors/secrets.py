"""Credentials: a kept-up catalogue of providers' formats, and our own patterns for what it misses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import kingfisher_sdk

from countersign.masking.detectors import assignments, private_keys
from countersign.masking.detectors.base import Hit, Pattern

_AWS_KEY_ID = Pattern(r"(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16,}")
_AWS_MARKS = (b"A3T", b"AKIA", b"ASIA", b"ABIA", b"ACCA")
_JWT = Pattern(r"eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*){1,3}")
_URL_PASSWORD = Pattern(r"""[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#"'<>@:]*:([^\s/"'<>]+)@""")
_AUTHORIZATION = Pattern(
    r"""(?i)\bauthorization["']?\s{0,4}[:=]\s{0,4}["']{0,2}(?:bearer|basic|token|digest|negotiate|apikey)\s{1,4}"""
    r"""([^\s"',;<>\[$*{][^\s"',;]+)"""
)
_BEARER = Pattern(r"(?i)\bbearer\s{1,4}([A-Za-z0-9._~+/-]{16,}=*)")

_WINDOW_BYTES = 65_536
_OVERLAP_BYTES = 8_192


class NativeFinding(Protocol):
    """What we read of a finding of the catalogue's scanner."""

    @property
    def location(self) -> dict[str, int]:
        """Holds ``start_offset`` and ``end_offset``, in bytes."""
        ...

    @property
    def secret(self) -> str:
        """The text that was found."""
        ...


class NativeScanner(Protocol):
    """What we use of the catalogue's scanner."""

    def scan(self, data: bytes) -> list[NativeFinding]:
        """Find credentials in UTF-8 text."""
        ...


class OddFindingError(ValueError):
    """The scanner named a place where its finding does not stand; it says nothing of the finding."""


class Secrets:
    """Detects credentials."""

    label = "SECRET"

    def __init__(self, scanner: NativeScanner) -> None:
        self._scanner = scanner

    @classmethod
    def load(cls, cache_dir: Path | None) -> Secrets:
        """Load the catalogue: half a second from ``cache_dir``, five when it is compiled anew."""
        rules = kingfisher_sdk.Rules(cache=cache_dir is not None, cache_dir=cache_dir)
        # Base64 texts would be found by what they hold, at offsets that are not where it stands.
        return cls(kingfisher_sdk.Scanner(rules, base64=False))

    def find(self, data: bytes) -> list[Hit]:
        """See :class:`Detector`. Raises :class:`OddFindingError` when the scanner's offsets are not to be trusted."""
        hits = [
            Hit(at + hit.start, at + hit.end, hit.why)
            for at, window in _windows(data)
            for hit in (_checked(finding, window) for finding in self._scanner.scan(window))
        ]
        # To look for a word is a hundred times cheaper than to start a pattern that needs it.
        lower = data.lower()
        if any(mark in data for mark in _AWS_MARKS):
            hits += (Hit(*span, "an AWS key id") for span in _AWS_KEY_ID.spans(data))
        if b"eyJ" in data:
            hits += (Hit(*span, "a JSON web token") for span in _JWT.spans(data))
        if b"://" in data:
            hits += (Hit(*span, "the password of a URL") for span in _URL_PASSWORD.spans(data, 1))
        if b"authorization" in lower:
            hits += (Hit(*span, "an Authorization header") for span in _AUTHORIZATION.spans(data, 1))
        if b"bearer" in lower:
            hits += (
                Hit(*span, "a bearer token")
                for span in _BEARER.spans(data, 1)
                if any(48 <= byte <= 57 for byte in data[slice(*span)])
            )
        hits += private_keys.find(data)
        hits += assignments.find(data, lower)
        return hits


def _windows(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Cut a long text into pieces that overlap, each with its offset.

    The time of some of the catalogue's rules grows with the square of the text: a bound on each piece makes it linear.
    Credentials longer than the overlap are for our own patterns.
    """
    start = 0
    while len(data) - start > _WINDOW_BYTES:
        end = _cut(data, start + _WINDOW_BYTES)
        yield start, data[start:end]
        start = _cut(data, end - _OVERLAP_BYTES)
    yield start, data[start:] if start else data


def _cut(data: bytes, near: int) -> int:
    """Where to cut: after the end of a line not far before, else between two characters."""
    after_line = data.rfind(b"\n", near - _OVERLAP_BYTES // 4, near) + 1
    if after_line:
        return after_line
    while data[near] & 0xC0 == 0x80:
        near -= 1
    return near


def _checked(finding: NativeFinding, data: bytes) -> Hit:
    start, end = finding.location["start_offset"], finding.location["end_offset"]
    if not 0 <= start < end <= len(data) or data[start:end] != finding.secret.encode():
        raise OddFindingError("the scanner's finding is not where it says")
    return Hit(start, end, "the catalogue of providers' formats")
