"""The lines of an export as ``writing`` makes them: what each may hold, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, BinaryIO, Final

from countersign.audit.canonical import decode
from countersign.audit.errors import Invalid, Malformed
from countersign.audit.leaves import SALT_BYTES, checked_uuid
from countersign.audit.writing import EXPORT_BEGINS, VERSION
from countersign.tlog import TlogError, from_base64, hash_from_base64

MAX_LINE_BYTES: Final = 97 * 1024 * 1024
"""A body of 72 MiB in base64, and what stands beside it."""

_MAX_LAST_BYTES: Final = 1024 * 1024
_BODY: Final = b'{"body":"'
_EVENT_KEYS: Final = frozenset({"hashes", "index", "leaf"})


@dataclass(frozen=True, slots=True)
class Header:
    """The first line: which session of which log, and whether it claims to be whole."""

    origin: str
    session_id: str
    unsealed: bool


@dataclass(frozen=True, slots=True)
class EventLine:
    """The line of one event; ``body`` and ``salt`` are None where they are left out."""

    index: int
    leaf: bytes
    hashes: tuple[bytes, ...]
    salt: bytes | None
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Scanned:
    """What was seen on a first way through an export; nothing of it is verified.

    ``sha256`` is the digest of all lines but the last, and ``said`` what the last one says that it is.
    """

    lines: int
    sha256: str
    said: str
    checkpoint: str

    def check_digest(self) -> None:
        """Raise ``Invalid`` where the digest is another one."""
        if self.said != self.sha256:
            raise Invalid(
                "the digest is not that of the lines before it: the file was damaged or altered", line=self.lines
            )


def numbered_lines(source: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield each line with its number, from 1, and its newline. Raises ``Invalid`` for one that is cut or too long."""
    at = 0
    while line := source.readline(MAX_LINE_BYTES + 1):
        at += 1
        if not line.endswith(b"\n"):
            what = "the line is too long" if len(line) > MAX_LINE_BYTES else "the file ends within this line"
            raise Invalid(what, line=at)
        yield at, line


def scan(lines: Iterator[tuple[int, bytes]]) -> Scanned:
    """Read all lines of an export for its digest and its checkpoint. Raises ``Invalid``."""
    digest, kept, count = sha256(), [b"", b""], 0
    last = b""
    for number, line in lines:
        count = number
        if count == 1 and not line.startswith(EXPORT_BEGINS):
            raise Invalid("this is no export of a session", line=1)
        digest.update(last)
        last = line
        # What is kept is small, whatever the lines are.
        kept = [kept[1], line if len(line) <= _MAX_LAST_BYTES else b""]
    if count < 4:
        raise Invalid("an export has four lines at least: is the file cut?")
    try:
        said = _only_text(kept[1], "sha256")
        checkpoint = _only_text(kept[0], "checkpoint")
    except Malformed as problem:
        raise Invalid(f"the export does not end in a checkpoint and a digest: is the file cut? ({problem})") from None
    return Scanned(count, digest.hexdigest(), said, checkpoint)


def read_header(line: bytes) -> Header:
    """Read the first line. Raises ``Malformed``."""
    fact = decode(line[:-1])
    if not isinstance(fact, dict) or "countersign_export" not in fact:
        raise Malformed("this is no export of a session")
    version = fact.pop("countersign_export")
    if version is True or version != VERSION:
        raise Malformed(f"this export is of a version that is not known here: only {VERSION} is")
    # One way to say that it is sealed: to leave it out.
    unsealed = "unsealed" in fact
    if fact.pop("unsealed", True) is not True or fact.keys() != {"origin", "session_id"}:
        raise Malformed("the first line holds countersign_export, origin, session_id and perhaps unsealed")
    origin, session_id = fact["origin"], fact["session_id"]
    if not isinstance(origin, str) or not isinstance(session_id, str):
        raise Malformed("origin or session_id is no text")
    return Header(origin, checked_uuid(session_id, "session_id"), unsealed)


def read_event(line: bytes) -> EventLine:
    """Read the line of an event. Raises ``Malformed``."""
    body: bytes | None = None
    text = line[:-1]
    try:
        if text.startswith(_BODY):
            # Taken out before the rest is read as JSON: it may be large, and base64 has no escapes.
            end = text.find(b'",', len(_BODY))
            body = from_base64(text[len(_BODY) : max(end, len(_BODY))])
            text = b"{" + text[end + 2 :]
        fact = decode(text)
        return _event(fact, body)
    except TlogError as problem:
        raise Malformed(str(problem)) from None


def _event(fact: Any, body: bytes | None) -> EventLine:
    if not isinstance(fact, dict) or not _EVENT_KEYS <= fact.keys() <= _EVENT_KEYS | {"salt"}:
        raise Malformed("the line of an event holds hashes, index, leaf and perhaps body and salt")
    index, leaf, hashes, salt = fact["index"], fact["leaf"], fact["hashes"], fact.get("salt", "")
    if not isinstance(index, int) or isinstance(index, bool) or index < 0:
        raise Malformed("index is no number from 0")
    if not isinstance(leaf, str) or not isinstance(salt, str) or not isinstance(hashes, list):
        raise Malformed("leaf or salt is no text, or hashes is no list")
    if not all(isinstance(one, str) for one in hashes):
        raise Malformed("a hash is no text")
    salted = from_base64(salt) if "salt" in fact else None
    if salted is not None and (len(salted) != SALT_BYTES or body is None):
        raise Malformed(f"salt has {SALT_BYTES} bytes, and stands beside a body")
    if body == b"":
        raise Malformed("a body that is empty is left out")
    return EventLine(index, leaf.encode(), tuple([hash_from_base64(one) for one in hashes]), salted, body)


def _only_text(line: bytes, key: str) -> str:
    fact = decode(line[:-1])
    if not isinstance(fact, dict) or fact.keys() != {key} or not isinstance(fact[key], str):
        raise Malformed(f"a line that holds {key} alone is missing")
    text: str = fact[key]
    return text
