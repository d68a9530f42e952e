"""`countersign export session`: a session with all that proves it, as a file."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from countersign.cli.access import DEFAULT_GATEWAY, USAGE, GatewayUrl, Token, TokenFile, stop


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(
        "session",
        epilog="Examples: countersign export session SESSION_ID -o session.jsonl;  "
        "countersign sessions --json | jq -r '.sessions[].session_id' | xargs countersign export session -o exports/",
    )(session)


def session(
    session_ids: Annotated[list[str], typer.Argument(metavar="SESSION_ID...", help="One session, or several.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The file, which must not exist; a folder for several; - for the output."),
    ] = None,
    unsealed: Annotated[
        bool,
        typer.Option("--unsealed", help="Also of a session that is still open: nothing proves then that it ended."),
    ] = False,
    without_bodies: Annotated[
        bool, typer.Option("--without-bodies", help="Leave bodies out; what remains is proved all the same.")
    ] = False,
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
) -> None:
    """Save a session with all that proves it: its events, its seal, and the log's checkpoint.

    `countersign verify FILE --policy POLICY` checks it offline. Without --out it goes to SESSION_ID.jsonl.
    """
    from countersign.cli.log.service import log_service

    places = _places(session_ids, out)
    try:
        with log_service(gateway, token_file, token) as log:
            for session_id, path in places:
                pieces = log.export(session_id, bodies=not without_bodies, unsealed=unsealed)
                if path is None:
                    for piece in pieces:
                        sys.stdout.buffer.write(piece)
                    sys.stdout.buffer.flush()
                else:
                    _save(pieces, path)
                    print(path)
    except OSError as error:
        raise stop(f"{error.filename or out} cannot be written: {error.strerror}", USAGE) from None


def _places(session_ids: list[str], out: Path | None) -> list[tuple[str, Path | None]]:
    """Where each session goes; ``None`` is the standard output. Ids become names of files: they are checked here."""
    for one in session_ids:
        if not _is_uuid(one):
            raise stop(f"{one!r} is not a session's id: `countersign sessions` shows them", USAGE)
    if out == Path("-"):
        if len(session_ids) > 1:
            raise stop("a file holds one session: name a folder for several", USAGE)
        if sys.stdout.isatty():
            # An export is as it was signed, with all that a terminal would obey.
            raise stop(
                "an export is for files and programs, not for a terminal: `countersign show` is for people", USAGE
            )
        return [(session_ids[0], None)]
    if out is not None and len(session_ids) == 1 and not out.is_dir():
        found = [(session_ids[0], out)]
    else:
        folder = out or Path()
        if folder.exists() and not folder.is_dir():
            raise stop(f"{folder} is a file, and a file holds one session: name a folder", USAGE)
        found = [(one, folder / f"{one}.jsonl") for one in dict.fromkeys(session_ids)]
    for _, path in found:
        if path.exists():
            raise stop(f"{path} exists: an export replaces nothing", USAGE)
    return list(found)


def _save(pieces: Iterable[bytes], path: Path) -> None:
    """Write a file, for its owner alone, that is there only when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Of a name that nobody knows before: in a folder of many, somebody could wait there with a link.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    part = Path(name)
    try:
        with open(descriptor, "wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        # A link, unlike a move, replaces nothing that came meanwhile.
        path.hardlink_to(part)
    finally:
        part.unlink(missing_ok=True)


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
