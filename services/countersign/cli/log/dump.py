"""`countersign log dump`: the whole log as a folder of files (c2sp.org/tlog-tiles)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import grpc
import typer

from countersign.api.recorder.v1 import log_pb2
from countersign.audit.dumps import MAX_CHECKPOINT_BYTES
from countersign.cli.access import DEFAULT_GATEWAY, REFUSED, USAGE, GatewayUrl, Token, TokenFile, stop
from countersign.cli.log.dump_folder import CHECKPOINT, BadDump, DumpFolder, NotFree, dump_folder
from countersign.cli.log.going_on import Kept, check_kept, checkpoint_in
from countersign.cli.log.service import AsJson, Log, log_service
from countersign.model.visible import visible
from countersign.tlog import Checkpoint, TlogError, parse_path, to_base64

_Advance = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class _Dumped:
    """A dump that is whole; ``kept`` events of it were there before."""

    tree: Checkpoint
    files: int
    kept: int


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(
        "dump",
        epilog="Examples: countersign log dump november/;  "
        "while countersign log dump november/; [ $? = 3 ]; do sleep 60; done;  "
        "countersign verify --full november/ --policy trusted.policy",
    )(dump)


def dump(
    folder: Annotated[Path, typer.Argument(help="The folder: new, empty, or with a dump that broke off.")],
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Save all events up to the latest checkpoint, without their bodies, and the whole tree over them.

    The file `checkpoint` comes last: a folder without it is a dump that broke off. The same command then goes on with
    it, once all that is there was checked against the log.

    Exit code 0: the dump is whole; 1: the gateway refuses, or the folder holds something else than this log; 2: the
    folder cannot be used; 3: the gateway did not answer, or broke off.
    """
    try:
        with dump_folder(folder) as target, log_service(gateway, token_file, token) as log:
            done = _dumped(target, folder, log)
    except (BadDump, NotFree) as problem:
        if as_json:
            print(json.dumps({"whole": False, "problem": str(problem)}))
        raise stop(str(problem), REFUSED if isinstance(problem, BadDump) else USAGE) from None
    except OSError as error:
        raise stop(f"{folder} cannot be written: {error.strerror}", USAGE) from None
    if as_json:
        print(json.dumps(_document(done)))
        return
    before = f", {done.kept} events of them were there before" if done.kept else ""
    print(f"{done.files} files in {folder}{before}: check them with `countersign verify --full {folder} --policy FILE`")


def _dumped(target: DumpFolder, folder: Path, log: Log) -> _Dumped:
    """Begin a dump, or go on with one. Raises ``BadDump``, ``NotFree``, ``OSError``, ``grpc.RpcError``."""
    began = target.began
    note = log.checkpoint()
    now, kept = checkpoint_in(note), Kept()
    if began is not None:
        with _progress("checking what is there") as advance:
            kept = check_kept(target, began, now, log, lambda count: advance(count, 0))
    target.mark(note)
    try:
        with _progress("dumping", kept.size_bytes) as advance:
            last = _saved(log.dump(kept.size), target, advance)
    except grpc.RpcError:
        print(f"the dump broke off: the same command goes on with {folder}", file=sys.stderr)
        raise
    tree = checkpoint_in(last)
    if tree.origin != now.origin or tree.size < now.size:
        raise BadDump("the gateway sent the checkpoint of another log, or of an old copy")
    return _Dumped(tree, target.finish(last, tree.size), kept.size)


def _saved(pieces: Iterable[log_pb2.DumpLogResponse], target: DumpFolder, advance: _Advance) -> str:
    """Write the files; return the checkpoint, which is the last. What the gateway sends chooses no path of its own."""
    name, order, note = "", (-1, -1), b""
    for piece in pieces:
        if name == CHECKPOINT != piece.path:
            raise BadDump("the gateway sends files behind the checkpoint")
        if piece.path == CHECKPOINT:
            note += piece.content
            if len(note) > MAX_CHECKPOINT_BYTES:
                raise BadDump("what the gateway sent is no checkpoint: it is too long")
        else:
            if piece.path != name:
                before, order = order, _order(piece.path)
                if order <= before:
                    raise BadDump(f"the gateway sends {visible(piece.path)} twice, or out of order")
            target.write(piece.path, piece.content)
        name = piece.path
        advance(len(piece.content), piece.total_bytes)
    if name != CHECKPOINT:
        raise BadDump("the dump was cut: the gateway sent no checkpoint")
    try:
        return note.decode()
    except UnicodeDecodeError:
        raise BadDump("what the gateway sent is no checkpoint: it is no text") from None


def _order(name: str) -> tuple[int, int]:
    """Where a file stands in a dump: entries first, then tiles by level. Raises ``BadDump``."""
    try:
        named = parse_path(name)
    except TlogError:
        raise BadDump(f"the gateway sends {visible(name[:200])!r}, which is no file of a log") from None
    return (0 if named.level is None else 1 + named.level, named.tile)


def _document(done: _Dumped) -> dict[str, object]:
    return {
        "whole": True,
        "origin": done.tree.origin,
        "size": done.tree.size,
        "root": to_base64(done.tree.root),
        "files": done.files,
        "kept_events": done.kept,
    }


@contextmanager
def _progress(what: str, done: int = 0) -> Iterator[_Advance]:
    """Show on a terminal how far it is, from ``done`` bytes on; the first number is added, the second the total."""
    if not sys.stderr.isatty():
        yield lambda _, __: None
        return
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, TransferSpeedColumn

    columns = (*Progress.get_default_columns(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(what, total=None, completed=done)
        yield lambda count, total: shown.update(task, advance=count, total=total or None)
