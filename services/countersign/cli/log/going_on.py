"""Whether a dump that broke off is of this log, unaltered, before it is gone on with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from countersign.cli.log.dump_folder import BadDump, DumpFolder
from countersign.cli.log.service import Log
from countersign.model.visible import visible
from countersign.tlog import (
    TILE_WIDTH,
    Checkpoint,
    Frontier,
    TlogError,
    decode_entries,
    entries_path,
    leaf_hash,
    read_unverified,
    verify_consistency,
)


@dataclass(frozen=True, slots=True)
class Kept:
    """What of the log the folder has already: its first ``size`` events, in ``size_bytes`` of bundles."""

    size: int = 0
    size_bytes: int = 0


def checkpoint_in(note: str) -> Checkpoint:
    """Read a checkpoint that the gateway sent, without believing it. Raises ``BadDump``."""
    try:
        return read_unverified(note)[0]
    except TlogError as problem:
        raise BadDump(f"what the gateway sent is no checkpoint: {problem}") from None


def check_kept(
    folder: DumpFolder, began: Checkpoint, now: Checkpoint, log: Log, advance: Callable[[int], None]
) -> Kept:
    """Check that all events in ``folder`` begin the log that ``now`` shows, by its own proofs; return what they are.

    All hashes are computed anew from the files. ``advance`` is told of bytes that were read. Raises ``BadDump``, which
    names the log, or the first file that is not as this log has it.
    """
    _check_log(began, now, log)
    folder.clear()
    # The root of the tree after each bundle.
    roots, tree, size_bytes = list[bytes](), Frontier(), 0
    for path, content in folder.bundles():
        try:
            entries = decode_entries(content, TILE_WIDTH)
        except TlogError as problem:
            raise BadDump(f"{path} was changed: {problem}; remove it to have it sent again") from None
        for entry in entries:
            tree.append(leaf_hash(entry))
        roots.append(tree.root())
        size_bytes += len(content)
        advance(len(content))
    if not _holds(roots, len(roots), now, log):
        raise BadDump(
            f"{_first_wrong(roots, now, log)} is not as this log has it: it was changed, or is of another log; "
            "remove it to have it sent again, or name a new folder"
        )
    return Kept(tree.size, size_bytes)


def _check_log(began: Checkpoint, now: Checkpoint, log: Log) -> None:
    if began.origin != now.origin:
        raise BadDump(f"the folder holds a dump of another log: {visible(began.origin)}, not {visible(now.origin)}")
    if began.size > now.size:
        raise BadDump(
            f"the log had {began.size} events when the dump began, and has {now.size} now: "
            "this is a fork of it, or an old copy"
        )
    if not _begins(began.size, began.root, now, log):
        raise BadDump(
            f"the first {began.size} events are not those that the dump began with: this is a fork of the log"
        )


def _first_wrong(roots: list[bytes], now: Checkpoint, log: Log) -> str:
    right, wrong = 0, len(roots)
    while wrong - right > 1:
        middle = (right + wrong) // 2
        if _holds(roots, middle, now, log):
            right = middle
        else:
            wrong = middle
    return entries_path(wrong - 1, TILE_WIDTH)


def _holds(roots: list[bytes], bundles: int, now: Checkpoint, log: Log) -> bool:
    """Whether the first so many bundles begin the log."""
    return not bundles or _begins(bundles * TILE_WIDTH, roots[bundles - 1], now, log)


def _begins(size: int, root: bytes, now: Checkpoint, log: Log) -> bool:
    if size > now.size:
        return False
    hashes = log.consistency(size, now.size) if 0 < size < now.size else ()
    try:
        verify_consistency(size, root, now.size, now.root, hashes)
    except TlogError:
        return False
    return True
