"""Checks a dump of the whole log: every entry, tile and root, every session and seal, and that nothing was removed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from countersign.audit.errors import Invalid, Malformed
from countersign.audit.leaves import read_leaf
from countersign.audit.seen import Seen
from countersign.audit.sessions import Sessions
from countersign.tlog import (
    HASH_BYTES,
    MAX_ENTRY_BYTES,
    TILE_WIDTH,
    BadTile,
    Checkpoint,
    Frontier,
    TileId,
    TlogError,
    Trusted,
    TrustPolicy,
    all_bundles,
    decode_entries,
    entries_path,
    leaf_hash,
    parse_path,
    perfect_root,
    tile_path,
    tile_width,
)

MAX_BUNDLE_BYTES: Final = TILE_WIDTH * (2 + MAX_ENTRY_BYTES)
MAX_TILE_BYTES: Final = TILE_WIDTH * HASH_BYTES
MAX_CHECKPOINT_BYTES: Final = 1024 * 1024

Progress = Callable[[int, int], None]
"""Told how many events were read since it was told last, and how many there are."""


class Files(Protocol):
    """The files of a dump, in the layout of c2sp.org/tlog-tiles."""

    def read(self, path: str, most: int) -> bytes:
        """Return a file of at most ``most`` bytes. Raises ``Invalid`` if it is missing or larger."""

    def tiles(self) -> Iterable[str]:
        """Yield the paths of all files below ``tile/``, such as ``tile/0/000.p/3``."""


@dataclass(frozen=True, slots=True)
class DumpReport:
    """What a valid dump proves. ``previous``: the checkpoint that it was proved to go on from."""

    trusted: Trusted
    events: int
    sealed_sessions: int
    open_sessions: int
    previous: Checkpoint | None


def verify_dump(
    files: Files,
    policy: TrustPolicy,
    *,
    now_s: int,
    previous: str | bytes | None = None,
    progress: Progress = lambda _, __: None,
) -> DumpReport:
    """Check a dump of the log offline; all hashes are computed anew. Raises ``Invalid``: the first thing that is wrong.

    ``previous`` is an earlier checkpoint of the same log (a signed note): the dump must go on from it. Memory: a bundle
    of entries, 24 bytes an event, and what ``Sessions`` holds.
    """
    trusted = _open(policy, files.read("checkpoint", MAX_CHECKPOINT_BYTES), now_s, "checkpoint")
    before = _open(policy, previous, now_s, "previous checkpoint").checkpoint if previous is not None else None
    tree = trusted.checkpoint
    if before is not None:
        _check_order(before, tree)
    _check_paths(files, tree.size)
    check = _Check(files, before)
    for bundle in all_bundles(tree.size):
        check.bundle(bundle.tile, bundle.width)
        progress(bundle.width, tree.size)
    sessions = check.end(tree)
    return DumpReport(trusted, tree.size, sessions.sealed_count, sessions.open_count, before)


def _open(policy: TrustPolicy, content: str | bytes, now_s: int, path: str) -> Trusted:
    try:
        return policy.open(content, now_s=now_s)
    except TlogError as problem:
        raise Invalid(str(problem), path=path) from None


def _check_order(before: Checkpoint, tree: Checkpoint) -> None:
    if before.origin != tree.origin:
        raise Invalid("it is of another log", path="previous checkpoint")
    if before.size > tree.size:
        raise Invalid(
            f"events were removed: the log had {before.size} events, and the dump has {tree.size}", path="checkpoint"
        )


def _check_paths(files: Files, size: int) -> None:
    """Refuse files that the checkpoint does not speak for: who looks at a valid dump may believe them."""
    for path in files.tiles():
        try:
            named = parse_path(path)
        except BadTile:
            raise Invalid("this file does not belong to a log", path=path) from None
        if named.width != tile_width(TileId(named.level or 0, named.tile), size):
            raise Invalid(f"this file does not belong to a log of {size} events", path=path)


class _Check:
    """One way through a dump, from the first event to the last."""

    def __init__(self, files: Files, before: Checkpoint | None) -> None:
        self._files = files
        self._before = before
        self._tree = Frontier()
        # Of each level, the hashes that do not fill a tile yet, and how many tiles are full.
        self._rows: list[list[bytes]] = []
        self._full: list[int] = []
        self._sessions = Sessions()
        self._seen = Seen()

    def bundle(self, tile: int, width: int) -> None:
        """Take the next bundle of entries."""
        self._check_before()
        path = entries_path(tile, width)
        try:
            entries = decode_entries(self._files.read(path, MAX_BUNDLE_BYTES), width)
        except BadTile as problem:
            raise Invalid(str(problem), path=path) from None
        hashes = [leaf_hash(entry) for entry in entries]
        # First the tile: an entry that was changed is then said to be, whatever else is wrong with it.
        self._compare(tile_path(TileId(0, tile), width), hashes, first=tile * TILE_WIDTH)
        for entry, hashed in zip(entries, hashes, strict=True):
            self._event(entry, path)
            self._tree.append(hashed)
            self._check_before()
        self._push(0, hashes)

    def end(self, tree: Checkpoint) -> Sessions:
        """Check what can be known only when all entries were read."""
        self._check_before()
        for level, row in enumerate(self._rows):
            if row and level:
                self._compare(tile_path(TileId(level, self._full[level]), len(row)), row)
        if self._tree.root() != tree.root:
            raise Invalid("the root is not that of the entries: they are not those of this log", path="checkpoint")
        self._seen.check()
        return self._sessions

    def _event(self, entry: bytes, path: str) -> None:
        index = self._tree.size
        event_id = ""
        try:
            leaf = read_leaf(entry)
            event_id = leaf.event_id
            self._sessions.add(leaf)
        except Malformed as problem:
            raise Invalid(str(problem), path=path, index=index, event_id=event_id) from None
        self._seen.add(event_id, index)

    def _push(self, level: int, hashes: Sequence[bytes]) -> None:
        """Add hashes to the row of a level; a tile that they fill becomes one hash of the level above."""
        if level == len(self._rows):
            self._rows.append([])
            self._full.append(0)
        row = self._rows[level]
        row += hashes
        if len(row) < TILE_WIDTH:
            return
        if level:
            self._compare(tile_path(TileId(level, self._full[level]), TILE_WIDTH), row)
        root = perfect_root(row)
        row.clear()
        self._full[level] += 1
        self._push(level + 1, [root])

    def _compare(self, path: str, hashes: Sequence[bytes], first: int | None = None) -> None:
        content = self._files.read(path, MAX_TILE_BYTES)
        if content == b"".join(hashes):
            return
        differs = [at for at, one in enumerate(hashes) if content[at * HASH_BYTES : (at + 1) * HASH_BYTES] != one]
        index = first + differs[0] if first is not None and differs else None
        raise Invalid("the tile does not hold the hashes of what is below it", path=path, index=index)

    def _check_before(self) -> None:
        before = self._before
        if before is not None and before.size == self._tree.size and before.root != self._tree.root():
            raise Invalid(
                f"the log was changed: its first {before.size} events are not those of the previous checkpoint",
                path="checkpoint",
            )
