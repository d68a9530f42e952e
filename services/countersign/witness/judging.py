"""What a witness says to a checkpoint (c2sp.org/tlog-witness, "add-checkpoint"), in the order of that text."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from countersign.tlog import (
    EMPTY_ROOT,
    BadProof,
    Checkpoint,
    NotTrusted,
    SignerKey,
    TlogError,
    VerifierKey,
    cosign,
    open_checkpoint,
    read_unverified,
    verify_consistency,
)
from countersign.witness.asked import BadSubmission, Submission, parse_submission
from countersign.witness.errors import StateUnusable
from countersign.witness.remembered import Remembered

log = logging.getLogger(__name__)

SIZE_TYPE: Final = "text/x.tlog.size"
_TEXT: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back over HTTP."""

    status: int
    body: str
    content_type: str = _TEXT


class Witness:
    """Cosigns what only grows. ``clock_s`` gives POSIX seconds; ``logs`` are the keys of the logs that it knows.

    ``add`` never waits for anything but the disk, so no two submissions are ever judged at a time: what was looked at
    is what is replaced.
    """

    def __init__(
        self, signer: SignerKey, logs: Iterable[VerifierKey], remembered: Remembered, clock_s: Callable[[], int]
    ) -> None:
        self._signer = signer
        self._logs = by_origin(logs)
        self._remembered = remembered
        self._clock_s = clock_s

    def add(self, body: bytes) -> Answer:
        """Judge the body of a request. A cosignature is returned only once it is on disk what it is for."""
        try:
            asked = parse_submission(body)
            checkpoint, _ = read_unverified(asked.note)
        except (BadSubmission, TlogError) as problem:
            return _refusal(400, str(problem))
        known = self._logs.get(checkpoint.origin)
        if known is None:
            return _refusal(404, "this witness does not know the log")
        try:
            open_checkpoint(asked.note, known)
        except NotTrusted as problem:
            return _refusal(403, str(problem))
        return self._grown(asked, checkpoint)

    def _grown(self, asked: Submission, new: Checkpoint) -> Answer:
        """Judge a checkpoint that its log signed."""
        last = self._remembered.last(new.origin)
        size, root = (last.size, last.root) if last is not None else (0, EMPTY_ROOT)
        if asked.old_size > new.size:
            return _refusal(400, "the old size is above the checkpoint's")
        if asked.old_size != size:
            return Answer(409, f"{size}\n", SIZE_TYPE)
        if new.size == size and new.root != root:
            return self._forked(asked, new)
        try:
            verify_consistency(size, root, new.size, new.root, asked.proof)
        except BadProof as problem:
            # Signed by the log: either its proof is wrong, or the log is.
            log.warning("a log did not prove that it only grew", extra=_about(new, size))
            return _refusal(422, str(problem))
        try:
            self._remembered.remember(new, asked.note)
        except StateUnusable as problem:
            log.warning("nothing is cosigned: %s", problem)
            return _refusal(503, "the witness cannot remember what it would cosign")
        return Answer(200, str(cosign(new.text, self._signer, self._clock_s())))

    def _forked(self, asked: Submission, new: Checkpoint) -> Answer:
        log.critical("a log signed two trees of one size", extra=_about(new, new.size))
        try:
            self._remembered.keep_fork(new.origin, asked.note)
        except StateUnusable as problem:
            log.warning("the other checkpoint could not be kept: %s", problem)
        return _refusal(409, "a checkpoint of this size, and with another root, was cosigned")


def by_origin(keys: Iterable[VerifierKey]) -> Mapping[str, tuple[VerifierKey, ...]]:
    """Return keys by the log that they sign for; one may have several while they are rotated."""
    found: dict[str, tuple[VerifierKey, ...]] = {}
    for key in keys:
        found[key.name] = (*found.get(key.name, ()), key)
    return found


def _refusal(status: int, why: str) -> Answer:
    return Answer(status, f"{why}\n")


def _about(checkpoint: Checkpoint, size: int) -> dict[str, object]:
    return {"origin": checkpoint.origin, "cosigned_size": size, "size": checkpoint.size}
