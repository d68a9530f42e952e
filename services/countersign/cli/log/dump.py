"""`countersign log dump`: the whole log as a folder of files (c2sp.org/tlog-tiles)."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from countersign.api.recorder.v1 import log_pb2
from countersign.cli.access import DEFAULT_GATEWAY, REFUSED, USAGE, GatewayUrl, Token, TokenFile, stop
from countersign.cli.log.service import log_service
from countersign.model.visible import visible
from countersign.tlog import TlogError, parse_path

CHECKPOINT = "checkpoint"


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(
        "dump",
        epilog="Example: countersign log dump november/ && countersign verify --full november/ --policy trusted.policy",
    )(dump)


def dump(
    folder: Annotated[Path, typer.Argument(help="The folder to write to: it is made, or empty.")],
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
) -> None:
    """Save all events up to the latest checkpoint, without their bodies, and the whole tree over them.

    The file `checkpoint` comes last: a folder without it is a dump that was cut.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise stop(f"{folder} is not empty: a dump is whole, so name a new folder", USAGE)
        with log_service(gateway, token_file, token) as log, _progress() as advance:
            count = _saved(log.dump(), folder, advance)
    except OSError as error:
        raise stop(f"{folder} cannot be written: {error.strerror}", USAGE) from None
    print(f"{count} files in {folder}: check them with `countersign verify --full {folder} --policy FILE`")


def _saved(pieces: Iterable[log_pb2.DumpLogResponse], folder: Path, advance: Callable[[int, int], None]) -> int:
    """Write the files; return how many. What the gateway sends chooses no path of its own."""
    count, last = 0, ""
    file: BinaryIO | None = None
    try:
        for piece in pieces:
            if file is None or piece.path != last:
                if file is not None:
                    file.close()
                file, last = _new(folder, piece.path), piece.path
                count += 1
            file.write(piece.content)
            advance(len(piece.content), piece.total_bytes)
        if file is None or last != CHECKPOINT:
            raise stop(f"the dump was cut: {folder} is not whole", REFUSED)
        file.flush()
        os.fsync(file.fileno())
    finally:
        if file is not None:
            file.close()
    return count


def _new(folder: Path, name: str) -> BinaryIO:
    try:
        if name != CHECKPOINT:
            parse_path(name)
    except TlogError:
        raise stop(f"the gateway sends {visible(name[:200])!r}, which is no file of a log", REFUSED) from None
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return path.open("xb")
    except FileExistsError:
        raise stop(f"the gateway sends {name!r} twice", REFUSED) from None


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Show on a terminal how far it is."""
    if not sys.stderr.isatty():
        yield lambda _, __: None
        return
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, TransferSpeedColumn

    columns = (*Progress.get_default_columns(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("dumping", total=None)
        yield lambda done, total: shown.update(task, advance=done, total=total)
