"""The kept-up catalogue of providers' formats, run so that its time stays linear and its offsets are checked."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import kingfisher_sdk

from countersign.masking.detectors.base import Hit
from countersign.masking.detectors.secrets.compiling import one_at_a_time

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

    @property
    def visible(self) -> bool:
        """Whether it is a credential, and no part that only counts beside others, such as the id of a client."""
        ...

    @property
    def rule_id(self) -> str:
        """The name of the catalogue's rule: fixed words, nothing of the text."""
        ...


class NativeScanner(Protocol):
    """What we use of the catalogue's scanner."""

    def scan(self, data: bytes) -> list[NativeFinding]:
        """Find credentials in UTF-8 text."""
        ...


class OddFindingError(ValueError):
    """The scanner named a place where its finding does not stand; it says nothing of the finding."""


_begun: dict[Path | None, Future[NativeScanner]] = {}


def load_ahead(cache_dir: Path | None) -> None:
    """Begin to load the catalogue in a thread; the next :func:`load` waits for it.

    It does not hold the interpreter, so a process that starts can import meanwhile what else it needs.
    """
    if cache_dir not in _begun:
        thread = ThreadPoolExecutor(1, "catalogue")
        _begun[cache_dir] = thread.submit(_load, cache_dir)
        thread.shutdown(wait=False)


def load(cache_dir: Path | None) -> NativeScanner:
    """Load the catalogue: half a second from ``cache_dir``, five when it is compiled anew.

    What :func:`load_ahead` began, it waits for; what that raised, it raises.
    """
    begun = _begun.pop(cache_dir, None)
    return _load(cache_dir) if begun is None else begun.result()


def _load(cache_dir: Path | None) -> NativeScanner:
    with one_at_a_time(cache_dir, "kingfisher-secret-scanner"):
        rules = kingfisher_sdk.Rules(cache=cache_dir is not None, cache_dir=cache_dir)
    # Base64 texts would be found by what they hold, at offsets that are not where it stands.
    scanner: NativeScanner = kingfisher_sdk.Scanner(rules, base64=False)
    return scanner


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
