"""``countersign mask``: what would the gateway leave of this text?"""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import accumulate
from pathlib import Path
from typing import Annotated, BinaryIO, Final, NoReturn

import typer

from countersign.masking import Explained, Located, MaskCatalog, Masker, NotMaskable
from countersign.masking.tokens import Mint
from countersign.model.rule import DETECTOR_SETS, Mask
from countersign.runtime.cache import private_cache
from countersign.runtime.settings import cache_directory, environment

_EXAMPLES: Final = """\b
Examples:
  echo 'mail jane.doe@example.com' | countersign mask
  countersign mask --explain answer.json
  countersign mask -c gateway.yaml --mask pii --mask secrets < answer.json
  echo '{"text": "mail jane.doe@example.com"}' | countersign mask --jsonl
"""
_AS_LINES: Final = 'write one object a line: {"text": "..."}'
_MAX_BYTES: Final = 64 * 1024 * 1024
_TELL_EVERY_S: Final = 2.0
_UNMASKED, _USAGE = 1, 2
_KEY_BYTES: Final = 32
_STANDARD: Final = Mask("standard", detectors=("secrets", *DETECTOR_SETS["pii"]))

_Masking = Callable[[str], Explained]
"""Masks a text, and says where and why. Raises ``NotMaskable``."""


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
    masked = _masking(config, names or [])
    with ExitStack() as open_files:
        try:
            source = sys.stdin.buffer if file is None or str(file) == "-" else open_files.enter_context(file.open("rb"))
        except OSError as error:
            _refuse(f"cannot read {str(file)!r}: {error.strerror}; name a file, or '-' for stdin")
        if source.isatty():
            print("reading text from the terminal; end with Ctrl-D", file=sys.stderr)
        try:
            complete = _lines(masked, source, why=explain) if jsonl else _whole(masked, source, explain, as_json)
        except BrokenPipeError:
            # Whoever read the output has enough; what is flushed at exit would fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            complete = True
    if not complete:
        raise typer.Exit(_UNMASKED)


def _masking(config: Path | None, names: list[str]) -> _Masking:
    cache = private_cache(cache_directory(environment()))
    if config is None:
        if names:
            _refuse("--mask names a mask of a file; say which file with --config")
        return MaskCatalog([_STANDARD], cache_dir=cache).select([_STANDARD.name]).explain
    # Of the rules and credentials nothing is used: what takes time to import is imported when it is asked for.
    from countersign.cli.check import print_problems
    from countersign.config import ConfigRefused, load

    try:
        loaded = load(config, environment(), reads=frozenset())
    except ConfigRefused as refused:
        print_problems(refused)
        raise typer.Exit(_USAGE) from None
    if not loaded.masks:
        _refuse(f"{config} has no masks; add some under `masks:`, or leave --config out")
    known = ", ".join(loaded.masks)
    for name in names:
        if name not in loaded.masks:
            _refuse(f"there is no mask {name!r} in {config}; its masks: {known}")
    masks = MaskCatalog(
        loaded.masks.values(),
        own=loaded.detectors.values(),
        prose=loaded.prose,
        cache_dir=cache,
        max_depth=loaded.limits.json_depth,
        hash_key=secrets.token_bytes(_KEY_BYTES),
    )
    masker = masks.select(names or loaded.masks)
    return _with_tokens(masker) if masks.tokenizes(names or loaded.masks) else masker.explain


def _with_tokens(masker: Masker) -> _Masking:
    """As in a session of its own, whose tokens nobody can turn back."""
    mint = Mint(secrets.token_bytes(_KEY_BYTES))
    bound = masker.within(mint)

    def masked(text: str) -> Explained:
        mint.begin()
        return bound.explain(text)

    return masked


def _whole(masked: _Masking, source: BinaryIO, explain: bool, as_json: bool) -> bool:
    """Mask everything as one text; say whether it could be."""
    data = source.read(_MAX_BYTES + 1)
    try:
        if len(data) > _MAX_BYTES:
            raise NotMaskable(f"longer than {_MAX_BYTES} bytes; send lines with --jsonl, or cut it up")
        text = _decoded(data)
        explained = masked(text)
    except NotMaskable as error:
        print(f"error: this cannot be masked: {error.reason}", file=sys.stderr)
        return False
    if as_json:
        findings = [_finding(found, why=explain) for found in explained.found]
        _write(json.dumps(({} if explain else {"text": explained.text}) | {"findings": findings}) + "\n")
    elif explain:
        _write(_table(text, explained))
    else:
        _write(explained.text)
    return True


def _lines(masked: _Masking, source: BinaryIO, *, why: bool) -> bool:
    """Mask each line's text and answer it at once; say whether all could be."""
    complete = True
    progress = _Progress()
    for number, line in _numbered(source):
        try:
            explained = masked(_text_of(line))
        except NotMaskable as error:
            complete = False
            answer: dict[str, object] = {"line": number, "error": error.reason}
        else:
            answer = {"text": explained.text, "findings": [_finding(found, why=why) for found in explained.found]}
        _write(json.dumps(answer) + "\n")
        progress.tell(number)
    return complete


def _numbered(source: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank, with their numbers from 1; of one that is too long, only the start."""
    number = 0
    while line := source.readline(_MAX_BYTES + 1):
        number += 1
        rest = line
        while len(line) > _MAX_BYTES and rest and not rest.endswith(b"\n"):
            rest = source.readline(_MAX_BYTES)
        if line.strip():
            yield number, line


def _text_of(line: bytes) -> str:
    """The text that a line holds. Raises ``NotMaskable``, which says what to do about it and quotes nothing."""
    if len(line) > _MAX_BYTES:
        raise NotMaskable(f"longer than {_MAX_BYTES} bytes; cut it up")
    try:
        document = json.loads(_decoded(line))
    except (ValueError, RecursionError) as error:
        refusal = error if isinstance(error, NotMaskable) else NotMaskable(f"not JSON; {_AS_LINES}")
    else:
        if isinstance(document, dict) and isinstance(document.get("text"), str):
            text: str = document["text"]
            return text
        refusal = NotMaskable(f'not an object with a text in "text"; {_AS_LINES}')
    raise refusal


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        refusal = NotMaskable("not UTF-8; convert the input, for instance with iconv -t UTF-8")
    raise refusal


def _finding(found: Located, *, why: bool) -> dict[str, object]:
    finding: dict[str, object] = {
        "start": found.start,
        "end": found.end,
        "label": found.label,
        "detector": found.detector,
    }
    return finding | {"why": found.why} if why else finding


def _table(text: str, explained: Explained) -> str:
    """A line a finding, with the line and column of its start; the value itself is not shown."""
    if not explained.found:
        return "nothing found\n"
    starts = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
    rows = [("LINE:COLUMN", "LENGTH", "LABEL", "DETECTOR", "WHY")]
    for found in explained.found:
        line = bisect_right(starts, found.start)
        place = f"{line}:{found.start - starts[line - 1] + 1}"
        rows.append((place, str(found.end - found.start), found.label, found.detector, found.why))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "".join(f"{line}\n" for line in lines)


class _Progress:
    """Says on a terminal how far a long run has come, where its answers go elsewhere."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty() and not sys.stdout.isatty() and not sys.stdin.isatty()
        self._next_s = time.monotonic() + _TELL_EVERY_S

    def tell(self, lines: int) -> None:
        """Say it, unless it was said a moment ago."""
        if self._shown and time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + _TELL_EVERY_S
            print(f"masked {lines:,} lines", file=sys.stderr)


def _write(text: str) -> None:
    # As UTF-8 whatever the terminal's locale says, and without a second meaning for line ends.
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()


def _refuse(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    raise typer.Exit(_USAGE)
