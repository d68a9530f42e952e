"""What a witness is asked: the body of add-checkpoint (c2sp.org/tlog-witness). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from countersign.tlog import TlogError, hash_from_base64, parse_number

MAX_BODY_BYTES: Final = 128 * 1024
"""Room for a proof and sixteen signatures of the longest kinds."""
MAX_PROOF_LINES: Final = 63

_OLD: Final = "old "


class BadSubmission(ValueError):
    """The body is not one of add-checkpoint; the message says why."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A signed checkpoint, and the proof that a tree of ``old_size`` begins its tree. Nothing is checked yet."""

    old_size: int
    proof: tuple[bytes, ...]
    note: str


def parse_submission(body: bytes) -> Submission:
    """Read a body: an old size line, proof lines, an empty line, a checkpoint. Raises ``BadSubmission``."""
    try:
        head, separator, note = body.decode().partition("\n\n")
    except UnicodeDecodeError:
        raise BadSubmission("the body is not UTF-8") from None
    first, *proof = head.split("\n")
    if not (separator and first.startswith(_OLD)):
        raise BadSubmission("the body is an old size line, proof lines, an empty line and a checkpoint")
    if len(proof) > MAX_PROOF_LINES:
        raise BadSubmission(f"more than {MAX_PROOF_LINES} proof lines")
    try:
        return Submission(parse_number(first.removeprefix(_OLD)), tuple(map(hash_from_base64, proof)), note)
    except TlogError as problem:
        raise BadSubmission(f"the old size, or a proof line, is malformed: {problem}") from None
