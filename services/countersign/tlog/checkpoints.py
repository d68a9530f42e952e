"""Checkpoints: the signed size and root of a log (c2sp.org/tlog-checkpoint)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from countersign.tlog.encoding import HASH_BYTES, MAX_SIZE, hash_from_base64, parse_number, to_base64
from countersign.tlog.errors import BadCheckpoint, BadEncoding, NotTrusted
from countersign.tlog.hashing import EMPTY_ROOT
from countersign.tlog.keys import KeyKind, SignerKey, VerifierKey
from countersign.tlog.notes import Note, Signed, parse_note, sign_note

MAX_EXTENSIONS: Final = 16


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself: who it is, how many leaves it has, and their root."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.origin or len(self.root) != HASH_BYTES or not 0 <= self.size <= MAX_SIZE:
            raise BadCheckpoint("a checkpoint has an origin, a size and a root")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise BadCheckpoint("the root of an empty tree is not that of one with leaves")
        if any(not line or "\n" in line for line in (self.origin, *self.extensions)):
            raise BadCheckpoint("the origin and the extensions of a checkpoint are lines, and none is empty")

    @property
    def text(self) -> str:
        """The text of the note, with its last newline."""
        lines = (self.origin, str(self.size), to_base64(self.root), *self.extensions)
        return "".join([f"{line}\n" for line in lines])


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint, the note it came in, and those keys whose signatures on it were checked."""

    checkpoint: Checkpoint
    note: Note
    signed: tuple[Signed, ...]


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the text of a note. Raises ``BadCheckpoint``."""
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1]:
        raise BadCheckpoint("a checkpoint has three lines at least")
    if len(lines) - 4 > MAX_EXTENSIONS:
        raise BadCheckpoint(f"the checkpoint has more than {MAX_EXTENSIONS} extension lines")
    try:
        size, root = parse_number(lines[1]), hash_from_base64(lines[2])
    except BadEncoding as problem:
        raise BadCheckpoint(f"the checkpoint's size or root is malformed: {problem}") from None
    return Checkpoint(lines[0], size, root, tuple(lines[3:-1]))


def read_unverified(content: str | bytes) -> tuple[Checkpoint, Note]:
    """Read a signed checkpoint without believing it. Raises ``BadNote`` or ``BadCheckpoint``."""
    note = parse_note(content)
    return parse_checkpoint(note.text), note


def sign_checkpoint(checkpoint: Checkpoint, signers: Sequence[SignerKey]) -> Note:
    """Sign a checkpoint with the log's keys, whose name is its origin. Raises ``BadCheckpoint`` where it is not.

    The caller has checked that it is consistent with all that these keys signed before.
    """
    if not signers or any(signer.name != checkpoint.origin for signer in signers):
        raise BadCheckpoint("a checkpoint is signed by keys whose name is its origin")
    return sign_note(checkpoint.text, signers)


def open_checkpoint(
    content: str | bytes, logs: Iterable[VerifierKey], witnesses: Iterable[VerifierKey] = ()
) -> SignedCheckpoint:
    """Read a checkpoint that one of ``logs`` signed, a key whose name is the checkpoint's origin.

    Raises ``BadNote`` or ``BadCheckpoint`` where it is malformed, ``BadSignature`` where a signature of a known key is
    wrong, ``NotTrusted`` where none of ``logs`` signed.
    """
    checkpoint, note = read_unverified(content)
    signers = [key for key in logs if key.name == checkpoint.origin and key.kind is KeyKind.NOTE]
    signed = note.verify([*signers, *[key for key in witnesses if key.kind is KeyKind.COSIGNATURE]])
    if not any(one.key in signers for one in signed):
        raise NotTrusted("no trusted key of the log signed this checkpoint")
    return SignedCheckpoint(checkpoint, note, signed)
