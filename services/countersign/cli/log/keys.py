"""`countersign log new-key`: a key that signs for a log, or that cosigns as a witness."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from countersign.cli.access import REFUSED, USAGE, stop


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(
        "new-key",
        epilog="Examples: countersign log new-key gateway.example.com --out log.keys;  the same once more adds the key "
        "that is to follow: give the file to all recorders, tell auditors both keys, and take the old line out later;  "
        "countersign log new-key witness.example.com --witness "
        "--out witness.key",
    )(new_key)


def new_key(
    name: Annotated[str, typer.Argument(help="The log's name: a host and path of yours, such as gateway.example.com.")],
    out: Annotated[Path, typer.Option(help="The file of the signing keys: made, or the key is added to it.")],
    witness: Annotated[
        bool, typer.Option("--witness", help="A key for a witness of this name, alone in its file.")
    ] = False,
) -> None:
    """Make a key that signs for the log NAME, and print the key that auditors verify with.

    Exit code 1: the file holds something else, or keys of another name; it stays as it was.
    """
    from countersign.recorder.log.errors import BadLogKeys
    from countersign.recorder.log.identity import log_identity
    from countersign.tlog import SEED_BYTES, BadKey, KeyKind, SignerKey

    try:
        key = SignerKey(name, KeyKind.COSIGNATURE if witness else KeyKind.NOTE, os.urandom(SEED_BYTES))
    except BadKey as error:
        raise stop(f"{name!r} cannot be a log's name: {error}", USAGE) from None
    try:
        before = out.read_text("utf-8") if out.exists() else ""
        text = f"{before.rstrip()}\n{key.secret_text()}\n".lstrip()
        if not witness:
            log_identity(text, out)
        elif before:
            raise BadLogKeys("a witness has one key, and the file is not empty")
        _write(out, text)
    except BadLogKeys as error:
        raise stop(f"{out}: {error}", REFUSED) from None
    except (OSError, UnicodeDecodeError) as error:
        raise stop(f"{out} cannot be read or written: {type(error).__name__}", REFUSED) from None
    print(key.verifier)


def _write(path: Path, text: str) -> None:
    """Replace a file at once, so that a key that was in it is never lost; only its owner may read it."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
