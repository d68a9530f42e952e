"""Checks the export of a session: whole, unaltered, in order, and in a log that the auditor's policy trusts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import BinaryIO

from countersign.audit.errors import Invalid, Malformed
from countersign.audit.leaves import Leaf, Seal, commitment_of, read_leaf, seal_event_id
from countersign.audit.lines import EventLine, Header, Scanned, numbered_lines, read_event, read_header, scan
from countersign.audit.seen import Seen
from countersign.tlog import BadProof, Frontier, TlogError, Trusted, TrustPolicy, verify_inclusion

Progress = Callable[[int], None]
"""Told how many bytes were read since it was told last."""


@dataclass(slots=True)
class Bodies:
    """How many bodies are what their leaves commit to, are not shown (erased or left out), or cannot be proved.

    Those that cannot be were recorded before leaves committed to bodies: they may be anything.
    """

    proven: int = 0
    absent: int = 0
    unproven: int = 0


@dataclass(slots=True)
class SessionReport:
    """What a valid export proves. ``seal`` is None where the session is not proved to be whole: UNSEALED."""

    session_id: str
    trusted: Trusted
    sha256: str
    events: int = 0
    first_index: int = 0
    last_index: int = 0
    first_time_us: int = 0
    last_time_us: int = 0
    continues: str = ""
    seal: Seal | None = None
    seal_reason: str = ""
    bodies: Bodies = field(default_factory=Bodies)


def verify_export(
    source: BinaryIO, policy: TrustPolicy, *, now_s: int, progress: Progress = lambda _: None
) -> SessionReport:
    """Check the export of a session (format: ``writing``), offline. Raises ``Invalid``: the first thing that is wrong.

    ``source`` can be read twice: first for what stands at its end. A line is held at a time, and 24 bytes an event.
    """
    scanned = scan(_watched(numbered_lines(source), progress))
    try:
        trusted = policy.open(scanned.checkpoint, now_s=now_s)
    except TlogError as problem:
        raise Invalid(f"the checkpoint: {problem}", line=scanned.lines - 1) from None
    source.seek(0)
    report = _Check(scanned, trusted).run(_watched(numbered_lines(source), progress))
    # Last: what was altered is told better by what it broke.
    scanned.check_digest()
    return report


def checkpoint_of(source: BinaryIO) -> str:
    """Return the signed checkpoint of an export, unverified. Raises ``Invalid``."""
    scanned = scan(numbered_lines(source))
    scanned.check_digest()
    return scanned.checkpoint


def _watched(lines: Iterator[tuple[int, bytes]], progress: Progress) -> Iterator[tuple[int, bytes]]:
    for at, line in lines:
        yield at, line
        progress(len(line))


class _Check:
    """One way through an export whose checkpoint is trusted."""

    def __init__(self, scanned: Scanned, trusted: Trusted) -> None:
        self._scanned = scanned
        self._tree = trusted.checkpoint
        self._report = SessionReport("", trusted, scanned.sha256)
        self._session = Frontier()
        self._seen = Seen()
        self._last: Leaf | None = None

    def run(self, lines: Iterator[tuple[int, bytes]]) -> SessionReport:
        digest = sha256()
        header: Header | None = None
        for at, line in lines:
            if at == self._scanned.lines:
                break
            digest.update(line)
            if header is None:
                header = self._read_header(line)
            elif at < self._scanned.lines - 1:
                self._event(at, line)
        if header is None or digest.hexdigest() != self._scanned.sha256:
            raise Invalid("the file changed while it was read")
        self._end(header)
        return self._report

    def _read_header(self, line: bytes) -> Header:
        try:
            header = read_header(line)
        except Malformed as problem:
            raise Invalid(str(problem), line=1) from None
        if header.origin != self._tree.origin:
            raise Invalid("the export is of another log than its checkpoint", line=1)
        self._report.session_id = header.session_id
        return header

    def _event(self, at: int, line: bytes) -> None:
        try:
            shown = read_event(line)
        except Malformed as problem:
            raise Invalid(str(problem), line=at) from None
        try:
            leaf = read_leaf(shown.leaf)
        except Malformed as problem:
            raise Invalid(f"the leaf is malformed: {problem}", line=at, index=shown.index) from None
        try:
            self._check_place(shown, leaf)
            self._check_body(shown, leaf)
            verify_inclusion(leaf.hash, shown.index, self._tree.size, shown.hashes, self._tree.root)
            self._count(shown, leaf)
        except (Malformed, BadProof) as problem:
            raise Invalid(str(problem), line=at, index=shown.index, event_id=leaf.event_id) from None

    def _check_place(self, shown: EventLine, leaf: Leaf) -> None:
        if leaf.session_id != self._report.session_id:
            raise Malformed("it is of another session")
        if self._last is None:
            return
        if shown.index <= self._report.last_index:
            raise Malformed("it does not come after the event before it: the order was changed, or it is there twice")
        if self._last.seal is not None:
            raise Malformed("it comes after the seal, which is the last event of a session")

    def _check_body(self, shown: EventLine, leaf: Leaf) -> None:
        bodies = self._report.bodies
        if shown.body is None:
            bodies.absent += leaf.commitment is not None
        elif leaf.commitment is None:
            if leaf.recorded_us is not None or shown.salt is not None:
                raise Malformed("it says that the event has no body, and one is shown")
            bodies.unproven += 1
        elif shown.salt is None or commitment_of(shown.salt, shown.body) != leaf.commitment:
            raise Malformed("the body shown is not the one that it commits to")
        else:
            bodies.proven += 1

    def _count(self, shown: EventLine, leaf: Leaf) -> None:
        report = self._report
        if not report.events:
            report.first_index, report.first_time_us, report.continues = shown.index, leaf.time_us, leaf.continues
        if leaf.seal is not None:
            check_seal(leaf.seal, leaf, self._session)
            report.seal, report.seal_reason = leaf.seal, leaf.method
        self._session.append(leaf.hash)
        self._seen.add(leaf.event_id, shown.index)
        report.events += 1
        report.last_index, report.last_time_us, self._last = shown.index, leaf.time_us, leaf

    def _end(self, header: Header) -> None:
        self._seen.check()
        if self._last is None:
            raise Invalid("the export holds no event")
        if header.unsealed and self._report.seal is not None:
            raise Invalid("the export says that it is unsealed, and it ends in a seal", line=1)
        if not header.unsealed and self._report.seal is None:
            raise Invalid("the last event is no seal: events may be missing", line=self._scanned.lines - 2)


def check_seal(seal: Seal, leaf: Leaf, before: Frontier) -> None:
    """Check a seal against the leaves of its session before it. Raises ``Malformed``."""
    if leaf.event_id != seal_event_id(leaf.session_id):
        raise Malformed("the seal's id is not that of its session's only seal")
    if seal.event_count != before.size:
        raise Malformed(f"the seal closes a session of {seal.event_count} events, and there are {before.size}")
    if seal.root != before.root():
        raise Malformed("the seal's root is not that of the session's events: one is missing, changed or out of order")
