"""A small log with sessions in it, and its exports and dumps, as a recorder would make them; or as a liar would."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid5

from countersign.audit import ExportWriter, Invalid, commitment_of, seal_event_id
from countersign.audit.canonical import encode
from countersign.model.continuation import next_session
from countersign.tlog import (
    Checkpoint,
    KeyKind,
    SignerKey,
    TileId,
    TrustPolicy,
    all_bundles,
    all_tiles,
    cosign,
    encode_entries,
    entries_path,
    grow,
    leaf_hash,
    parse_policy,
    plan_inclusion,
    plan_root,
    root_of,
    sign_checkpoint,
    tile_path,
)

ORIGIN = "log.example/record"
NOW_S = 1_790_000_000
LOG = SignerKey(ORIGIN, KeyKind.NOTE, bytes([1]) * 32)
WITNESS = SignerKey("w1.example", KeyKind.COSIGNATURE, bytes([2]) * 32)
POLICY_TEXT = f"log {LOG.verifier}\nwitness w1 {WITNESS.verifier}\nquorum w1\n"


@cache
def policy(text: str = POLICY_TEXT) -> TrustPolicy:
    """Trust the log and the witness of these tests."""
    return parse_policy(text)


def session_id(name: str) -> str:
    """A session's id, the same each time; ``after x`` goes on from ``x``."""
    if name.startswith("after "):
        return str(next_session(UUID(session_id(name.removeprefix("after ")))))
    return str(uuid5(UUID(int=0), name))


@dataclass(frozen=True)
class Shown:
    """An event as an export shows it."""

    index: int
    leaf: str
    salt: bytes | None = None
    body: bytes | None = None


@dataclass
class Record:
    """A log of events; ``session`` begins and ``seal`` ends sessions."""

    shown: list[Shown] = field(default_factory=list)
    sessions: dict[str, list[int]] = field(default_factory=dict)

    def event(self, session: str, body: bytes = b"", **more: Any) -> Shown:
        """Append an event to a session."""
        index = len(self.shown)
        salt = sha256(f"salt{index}".encode()).digest()
        fact: dict[str, object] = {
            "event_id": str(uuid5(UUID(int=1), str(index))),
            "session_id": session_id(session),
            "call_id": str(uuid5(UUID(int=2), str(index))),
            "kind": "request",
            "time_us": NOW_S * 1_000_000 + index,
            "recorded_us": NOW_S * 1_000_000 + index + 5,
            "target": "orders",
        }
        if body:
            fact["commitment"] = commitment_of(salt, body).hex()
        fact |= more
        leaf = encode({key: value for key, value in fact.items() if value is not None})
        one = Shown(index, leaf, salt if body else None, body or None)
        self.shown.append(one)
        self.sessions.setdefault(session, []).append(index)
        return one

    def seal(self, session: str, **more: Any) -> Shown:
        """Close a session; ``more`` replaces what its seal says."""
        leaves = [leaf_hash(self.shown[index].leaf.encode()) for index in self.sessions.get(session, ())]
        seal = {"event_count": len(leaves), "root": root_of(leaves).hex(), "unanswered_count": 0}
        event_id = more.pop("event_id", seal_event_id(session_id(session)))
        return self.event(session, kind="seal", method="idle", event_id=event_id, seal=seal | more)

    def tiles(self) -> dict[TileId, bytes]:
        """The tree's tiles."""
        return grow(0, {}, [leaf_hash(one.leaf.encode()) for one in self.shown]).tiles

    def checkpoint(self, size: int | None = None, *, log: SignerKey = LOG, witnesses: bool = True) -> str:
        """The signed and cosigned checkpoint of the first ``size`` events."""
        size = len(self.shown) if size is None else size
        (root,) = plan_root(size).make(self.tiles())
        note = sign_checkpoint(Checkpoint(log.name, size, root), [log])
        return str(note.add([cosign(note.text, WITNESS, NOW_S)] if witnesses else []))

    def of(self, session: str) -> list[Shown]:
        """The events of a session, in order."""
        return [self.shown[index] for index in self.sessions[session]]

    def export(self, session: str, **more: Any) -> bytes:
        """The export of a session; see ``export``."""
        return export(self, session, self.of(session), **more)

    def dump(self) -> dict[str, bytes]:
        """The files of the whole log."""
        size, tiles = len(self.shown), self.tiles()
        entries = [one.leaf.encode() for one in self.shown]
        files = {"checkpoint": self.checkpoint().encode()}
        for bundle in all_bundles(size):
            begin = bundle.tile * 256
            path = entries_path(bundle.tile, bundle.width)
            files[path] = encode_entries(entries[begin : begin + bundle.width])
        for tile in all_tiles(size):
            assert tile.level is not None
            name = TileId(tile.level, tile.tile)
            files[tile_path(name, tile.width)] = tiles[name]
        return files


def export(
    record: Record, session: str, shown: list[Shown], *, unsealed: bool = False, checkpoint: str | None = None
) -> bytes:
    """An export of any events, with true proofs of the places that they say to have."""
    tiles, size = record.tiles(), len(record.shown)
    writer = ExportWriter()
    pieces = [writer.begin(origin=ORIGIN, session_id=session_id(session), unsealed=unsealed)]
    for one in shown:
        hashes = plan_inclusion(one.index, size).make(tiles)
        pieces.append(writer.event(index=one.index, leaf=one.leaf, hashes=hashes, salt=one.salt, body=one.body))
    pieces.append(writer.end(record.checkpoint() if checkpoint is None else checkpoint))
    return b"".join(pieces)


def resealed(lines: list[bytes]) -> bytes:
    """Lines of an export with a digest that is true of them: what a liar would do."""
    whole = b"".join(lines)
    return whole + f'{{"sha256":"{sha256(whole).hexdigest()}"}}\n'.encode()


def small_record() -> Record:
    """Two sessions that take turns; ``a`` is sealed, ``b`` is not."""
    record = Record()
    record.event("b", b"other")
    record.event("a", b'{"id":7}')
    record.event("a", kind="response")
    record.event("b")
    record.event("a", "Grüße".encode(), kind="stream_event")
    record.seal("a")
    record.event("b", b"more")
    return record


class Folder:
    """The files of a dump in memory."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def read(self, path: str, most: int) -> bytes:
        """See ``audit.Files``."""
        if path not in self.files:
            raise Invalid("missing", path=path)
        if len(self.files[path]) > most:
            raise Invalid("too large", path=path)
        return self.files[path]

    def tiles(self) -> list[str]:
        """See ``audit.Files``."""
        return [path for path in self.files if path.startswith("tile/")]


def changed(shown: Shown, **more: Any) -> Shown:
    """The event, but for what is said here."""
    return replace(shown, **more)
