"""The kept-up catalogue of providers' formats, run so that its time stays linear and its offsets are checked."""

from __future__ import annotations

from collections.abc import Iterator

from countersign.catalogue import NativeFinding, NativeScanner
from countersign.masking.detectors.base import Hit

_WINDOW_BYTES = 65_536
_OVERLAP_BYTES = 8_192


class OddFindingError(ValueError):
    """The scanner named a place where its finding does not stand; it says nothing of the finding."""


def find(scanner: NativeScanner, data: bytes) -> list[Hit]:
    """Where the catalogue finds credentials. Raises :class:`OddFindingError` when its offsets are not to be trusted."""
    return [
        Hit(at + hit.start, at + hit.end, hit.why)
        for at, window in _windows(data)
        for hit in (_checked(finding, window) for finding in scanner.scan(window) if finding.visible)
    ]


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
    return Hit(start, end, f"rule {finding.rule_id} of the catalogue")
