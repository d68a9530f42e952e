"""``countersign mask``: what would the gateway leave of this text?"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from countersign.catalogue import load_ahead
from countersign.runtime.cache import private_cache
from countersign.runtime.settings import cache_directory, environment

if TYPE_CHECKING:
    from countersign.cli.masked import Masking

_EXAMPLES: Final = """\b
Examples:
  echo 'mail jane.doe@example.com' | countersign mask
  countersign mask --explain answer.json
  countersign mask -c gateway.yaml --mask pii --mask secrets < answer.json
  echo '{"text": "mail jane.doe@example.com"}' | countersign mask --jsonl
"""
_UNMASKED, _USAGE = 1, 2


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("mask", epilog=_EXAMPLES)(mask)


def mask(
    file: Annotated[Path | None, typer.Argument(help="Where the text is; stdin when left out, or '-'.")] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", help="The gateway.yaml whose masks to use; else secrets and pii.", metavar="FILE"
        ),
    ] = None,
    names: Annotated[
        list[str] | None, typer.Option("--mask", help="A mask of the file; else all. May be repeated.", metavar="NAME")
    ] = None,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help='Read {"text": ...} lines, write {"text": ..., "findings": [...]} lines.')
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show where something is found, by which detector and why, and no text.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")] = False,
) -> None:
    """Mask a text as the gateway masks what targets answer. A text that is JSON is masked as JSON.

    With --jsonl each line is a text of its own, answered as it comes: findings have "start" and "end" in code points of
    the text as it was given, "label" and "detector", with --explain also "why"; other keys of a line are dropped. A
    line that cannot be masked is answered by {"line": NUMBER, "error": ...}, and the others are masked all the same.

    Hashes and tokens are as a deployment with another key would make them, and of no use elsewhere.

    Exit code 0: masked, whether or not anything was found; 1: some of the input cannot be masked, and is not shown; 2:
    the command line or the file is wrong.
    """
    if jsonl and as_json:
        _refuse("--jsonl answers in JSON already; leave --json out")
    if names and config is None:
        _refuse("--mask names a mask of a file; say which file with --config")
    cache_dir = private_cache(cache_directory(environment()))
    load_ahead(cache_dir)
    # Here, not at the top: what this imports, it imports while the catalogue loads.
    from countersign.cli.masked import lines, whole

    masked = _masking(config, names or [], cache_dir)
    with ExitStack() as open_files:
        try:
            source = sys.stdin.buffer if file is None or str(file) == "-" else open_files.enter_context(file.open("rb"))
        except OSError as error:
            _refuse(f"cannot read {str(file)!r}: {error.strerror}; name a file, or '-' for stdin")
        if source.isatty():
            print("reading text from the terminal; end with Ctrl-D", file=sys.stderr)
        try:
            complete = lines(masked, source, why=explain) if jsonl else whole(masked, source, explain, as_json)
        except BrokenPipeError:
            # Whoever read the output has enough; what is flushed at exit would fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            complete = True
    if not complete:
        raise typer.Exit(_UNMASKED)


def _masking(config: Path | None, names: list[str], cache_dir: Path | None) -> Masking:
    from countersign.cli.masked import Unusable, masks_of, standard

    if config is None:
        return standard(cache_dir)
    # Of the rules and credentials nothing is used: what takes time to import is imported when it is asked for.
    from countersign.cli.check import print_problems
    from countersign.config import ConfigRefused

    try:
        return masks_of(config, names, cache_dir)
    except ConfigRefused as refused:
        print_problems(refused)
        raise typer.Exit(_USAGE) from None
    except Unusable as error:
        _refuse(str(error))


def _refuse(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    raise typer.Exit(_USAGE)
