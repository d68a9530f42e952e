"""One look at a text tells which detectors may find anything in it."""

from __future__ import annotations

import hashlib
import os
import platform
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import hyperscan

from countersign.masking.detectors.base import Detector, gate_of, parts_of, shape_of
from countersign.masking.shape_gates import Shapes

_FLAGS = hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_DOTALL
# RE2 takes these for k and s where case does not count, hyperscan does not: a text that holds one opens every gate.
_FOLDED_BY_RE2_ONLY = (r"\xe2\x84\xaa", r"\xc5\xbf")
_CHECKSUM_BYTES = 32
_MOST_FILES = 16


class Gates:
    """The gates of several detectors as one database (see :class:`countersign.masking.detectors.base.Detector`).

    May be used by several threads at once.
    """

    def __init__(self, gates: Sequence[tuple[str, ...]], *, cache_dir: Path | None) -> None:
        """Compile one gate, never an empty one, for each number; fast when ``cache_dir`` knows them already.

        Raises :class:`ValueError` for a pattern that hyperscan does not take.
        """
        # Detectors share many a pattern, and each costs its time once.
        opens: dict[str, list[int]] = {}
        for number, gate in enumerate(gates):
            for pattern in gate:
                opens.setdefault(pattern, []).append(number)
        for pattern in _FOLDED_BY_RE2_ONLY:
            opens[pattern] = list(range(len(gates)))
        self._opens = list(opens.values())
        self._database = _database(tuple(opens), cache_dir)
        # One for each scan that goes on: hyperscan refuses to share one.
        self._scratches = [hyperscan.Scratch(self._database)]

    def opened(self, data: bytes) -> frozenset[int]:
        """The numbers of the gates of which a pattern matches somewhere in ``data``."""
        found: list[int] = []
        try:
            scratch = self._scratches.pop()
        except IndexError:
            scratch = hyperscan.Scratch(self._database)
        self._database.scan(data, match_event_handler=lambda number, *_: found.append(number), scratch=scratch)
        self._scratches.append(scratch)
        return frozenset(number for pattern in found for number in self._opens[pattern])


class DetectorGates:
    """The detectors of a process, or of some of its masks, behind their gates."""

    def __init__(self, detectors: Iterable[Detector], *, cache_dir: Path | None) -> None:
        """See :class:`Gates`. Raises :class:`ValueError` for a detector with a gate that hyperscan does not take."""
        self._unguarded: dict[Detector, list[Detector]] = {}
        self._gated: list[tuple[Detector, Detector]] = []
        self._shaped: list[tuple[Detector, Detector]] = []
        for detector in dict.fromkeys(detectors):
            self._unguarded[detector] = []
            for part in parts_of(detector):
                if gate_of(part):
                    self._gated.append((detector, part))
                elif shape_of(part):
                    self._shaped.append((detector, part))
                else:
                    self._unguarded[detector].append(part)
        self._always = {detector: parts for detector, parts in self._unguarded.items() if parts}
        self._shaped.sort(key=lambda pair: shape_of(pair[1]))
        self._gates = Gates([gate_of(part) for _, part in self._gated], cache_dir=cache_dir) if self._gated else None
        self._shapes = Shapes([shape_of(part) for _, part in self._shaped]) if self._shaped else None

    def knows(self, detector: Detector) -> bool:
        """Whether the detector stands behind these gates; one that does not must look at each text."""
        return detector in self._unguarded

    def opened(self, data: bytes) -> dict[Detector, list[Detector]]:
        """Look at a text; return the detectors that must look at it, too, with those parts of them that must."""
        asked = {detector: list(parts) for detector, parts in self._always.items()}
        for number in sorted(self._gates.opened(data)) if self._gates is not None else ():
            detector, part = self._gated[number]
            asked.setdefault(detector, []).append(part)
        for number in self._shapes.seen(data) if self._shapes is not None else ():
            detector, part = self._shaped[number]
            asked.setdefault(detector, []).append(part)
        return asked


def is_gate(pattern: str) -> bool:
    """Whether a pattern can be part of a gate."""
    try:
        _compiled((pattern,))
    except ValueError:
        return False
    return True


@lru_cache(maxsize=8)
def _database(patterns: tuple[str, ...], cache_dir: Path | None) -> hyperscan.Database:
    if cache_dir is None:
        return _compiled(patterns)
    built_for = (version("hyperscan"), platform.machine(), platform.system(), _FLAGS, patterns)
    file = cache_dir / f"gates-{hashlib.sha256(repr(built_for).encode()).hexdigest()}"
    kept = _kept(file)
    if kept is not None:
        return kept
    database = _compiled(patterns)
    with suppress(OSError):
        # What cannot be kept is compiled anew at the next start.
        _keep(file, hyperscan.dumpb(database))
    return database


def _compiled(patterns: tuple[str, ...]) -> hyperscan.Database:
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    try:
        database.compile(
            expressions=[pattern.encode() for pattern in patterns],
            ids=list(range(len(patterns))),
            flags=[_FLAGS] * len(patterns),
        )
    except hyperscan.error as error:
        raise ValueError(f"a gate cannot be compiled: {error}") from error
    return database


def _kept(file: Path) -> hyperscan.Database | None:
    """The database of a file; ``None`` when there is none, it is damaged, or it was made for another processor."""
    try:
        content = file.read_bytes()
        checksum, database = content[:_CHECKSUM_BYTES], content[_CHECKSUM_BYTES:]
        if hashlib.sha256(database).digest() != checksum:
            return None
        return hyperscan.loadb(database, hyperscan.HS_MODE_BLOCK)
    except (OSError, hyperscan.error):
        return None


def _keep(file: Path, database: bytes) -> None:
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        whole = Path(folder) / file.name
        whole.write_bytes(hashlib.sha256(database).digest() + database)
        os.replace(whole, file)
    others = sorted(file.parent.glob("gates-*"), key=lambda other: other.stat().st_mtime, reverse=True)
    for old in others[_MOST_FILES:]:
        old.unlink(missing_ok=True)
