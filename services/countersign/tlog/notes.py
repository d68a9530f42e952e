"""Signed notes: a text and the lines of those who signed it (c2sp.org/signed-note)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from countersign.tlog.encoding import MAX_SIZE, from_base64, to_base64
from countersign.tlog.errors import BadEncoding, BadKey, BadNote, BadSignature
from countersign.tlog.keys import KeyKind, SignerKey, VerifierKey, check_name

MAX_NOTE_BYTES: Final = 256 * 1024
MAX_SIGNATURES: Final = 64
"""Verifiers must accept 16 at least; signatures of other kinds than ours may have 5 kB."""

_MARK: Final = "\u2014 "
_ID_BYTES: Final = 4
_TIME_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Signature:
    """A line of a note: who says to have signed, and with what. Nothing is checked yet."""

    name: str
    key_id: int
    content: bytes

    def __str__(self) -> str:
        """Write the line, with its newline."""
        return f"{_MARK}{self.name} {to_base64(self.key_id.to_bytes(_ID_BYTES, 'big') + self.content)}\n"

    def claims(self, key: VerifierKey) -> bool:
        """Return whether it says to be made by this key: by name and id both."""
        return self.name == key.name and self.key_id == key.key_id


@dataclass(frozen=True, slots=True)
class Signed:
    """A key whose signature was checked; ``time_s`` is when it cosigned (POSIX seconds), None for a log's key."""

    key: VerifierKey
    time_s: int | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """A text that ends in a newline, and its signatures. Written by ``str``. Not to be believed before ``verify``."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return self.text + "\n" + "".join([str(one) for one in self.signatures])

    def verify(self, keys: Iterable[VerifierKey]) -> tuple[Signed, ...]:
        """Return those of ``keys`` that signed, each once, in the order of the note; others' signatures are ignored.

        Raises ``BadSignature`` if a signature that claims to be made by one of ``keys`` was not.
        """
        known = {(key.name, key.key_id): key for key in keys}
        signed: dict[VerifierKey, Signed] = {}
        for one in self.signatures:
            if key := known.get((one.name, one.key_id)):
                signed.setdefault(key, check_signature(self.text, one, key))
        return tuple(signed.values())

    def add(self, signatures: Iterable[Signature]) -> Note:
        """Return the note with more signatures; those that it has are not repeated."""
        more = [one for one in dict.fromkeys(signatures) if one not in self.signatures]
        return replace(self, signatures=(*self.signatures, *more))


def sign_note(text: str, signers: Sequence[SignerKey]) -> Note:
    """Sign a text with keys of kind NOTE. Raises ``BadNote`` or ``BadKey``."""
    _check_text(text)
    return Note(text, tuple([_sign(text, signer) for signer in signers]))


def cosign(text: str, signer: SignerKey, time_s: int) -> Signature:
    """Cosign the text of a checkpoint at a time (POSIX seconds) with a key of kind COSIGNATURE (cosignature/v1).

    The caller has checked that the checkpoint is consistent with all that this key cosigned before.
    """
    if signer.verifier.kind is not KeyKind.COSIGNATURE:
        raise BadKey("the key is not a witness's: it cannot cosign")
    if not 0 < time_s <= MAX_SIZE:
        raise BadNote("the time of a cosignature is not a time")
    content = time_s.to_bytes(_TIME_BYTES, "big") + signer.sign(_cosigned(text, time_s))
    return Signature(signer.name, signer.verifier.key_id, content)


def check_signature(text: str, signature: Signature, key: VerifierKey) -> Signed:
    """Check one signature over the text of a note. Raises ``BadSignature``.

    A cosignature without a time (0), or later than 2^63 - 1, is refused (tlog-cosignature, "Format").
    """
    if not signature.claims(key):
        raise BadSignature(f"the signature does not say to be made by {key.name}")
    if key.kind is KeyKind.NOTE:
        if not key.verifies(text.encode(), signature.content):
            raise BadSignature(f"the signature of {key.name} is not over this text")
        return Signed(key)
    time_s = int.from_bytes(signature.content[:_TIME_BYTES], "big")
    if not 0 < time_s <= MAX_SIZE:
        raise BadSignature(f"the cosignature of {key.name} has no time")
    if not key.verifies(_cosigned(text, time_s), signature.content[_TIME_BYTES:]):
        raise BadSignature(f"the cosignature of {key.name} is not over this text at this time")
    return Signed(key, time_s)


def parse_note(content: str | bytes) -> Note:
    """Read a signed note. Raises ``BadNote`` for anything that is not exactly one."""
    text = _decode(content)
    # The last empty line is where the text ends: the text itself may have empty lines.
    body, separator, lines = text.rpartition("\n\n")
    if not (separator and body):
        raise BadNote("a signed note is a text, an empty line and signatures")
    return Note(body + "\n", parse_signatures(lines))


def parse_signatures(lines: str) -> tuple[Signature, ...]:
    """Read one or more signature lines, such as a witness answers. Raises ``BadNote``."""
    if not lines.endswith("\n") or len(lines) > MAX_NOTE_BYTES:
        raise BadNote("signatures are missing, too many, or the last line does not end")
    parts = lines[:-1].split("\n")
    if len(parts) > MAX_SIGNATURES:
        raise BadNote(f"the note has more than {MAX_SIGNATURES} signatures")
    return tuple([_parse_signature(part) for part in parts])


def _parse_signature(line: str) -> Signature:
    if not line.startswith(_MARK):
        raise BadNote("a signature line begins with an em dash and a space")
    name, separator, encoded = line.removeprefix(_MARK).partition(" ")
    try:
        check_name(name)
        content = from_base64(encoded)
    except (BadKey, BadEncoding) as problem:
        raise BadNote(f"a signature line is malformed: {problem}") from None
    if not separator or len(content) <= _ID_BYTES:
        raise BadNote("a signature line has a name and a signature")
    return Signature(name, int.from_bytes(content[:_ID_BYTES], "big"), content[_ID_BYTES:])


def _sign(text: str, signer: SignerKey) -> Signature:
    if signer.verifier.kind is not KeyKind.NOTE:
        raise BadKey("the key is a witness's: it only cosigns")
    return Signature(signer.name, signer.verifier.key_id, signer.sign(text.encode()))


def _cosigned(text: str, time_s: int) -> bytes:
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()


def _decode(content: str | bytes) -> str:
    if len(content) > MAX_NOTE_BYTES:
        raise BadNote(f"the note is longer than {MAX_NOTE_BYTES} bytes")
    try:
        text = content.decode() if isinstance(content, bytes) else content
        text.encode()
    except UnicodeError:
        raise BadNote("the note is not UTF-8") from None
    if any(char < " " and char != "\n" for char in text):
        raise BadNote("the note has control characters in it")
    return text


def _check_text(text: str) -> None:
    if not text.endswith("\n") or len(text) > MAX_NOTE_BYTES:
        raise BadNote("the text of a note ends in a newline and is not too long")
    _decode(text)
