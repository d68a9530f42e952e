"""What ``countersign mask`` does with its input, once it is open."""

from __future__ import annotations

import json
import secrets
import sys
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO, Final

from countersign.masking import Explained, Located, MaskCatalog, Masker, NotMaskable
from countersign.masking.tokens import Mint
from countersign.model.rule import DETECTOR_SETS, Mask
from countersign.runtime.settings import environment

_AS_LINES: Final = 'write one object a line: {"text": "..."}'
_MAX_BYTES: Final = 64 * 1024 * 1024
_TELL_EVERY_S: Final = 2.0
_KEY_BYTES: Final = 32
_STANDARD: Final = Mask("standard", detectors=("secrets", *DETECTOR_SETS["pii"]))

Masking = Callable[[str], Explained]
"""Masks a text, and says where and why. Raises ``NotMaskable``."""


class Unusable(Exception):
    """The file has not the masks that are asked for; the message is for people."""


def standard(cache_dir: Path | None) -> Masking:
    """The masks for secrets and personal data."""
    return MaskCatalog([_STANDARD], cache_dir=cache_dir).select([_STANDARD.name]).explain


def masks_of(config: Path, names: list[str], cache_dir: Path | None) -> Masking:
    """The masks of these names in the file, or all of it. Raises ``Unusable``, and ``ConfigRefused`` for the file."""
    # Here, not at the top: without a file nothing needs it.
    from countersign.config import load

    loaded = load(config, environment(), reads=frozenset())
    if not loaded.masks:
        raise Unusable(f"{config} has no masks; add some under `masks:`, or leave --config out")
    known = ", ".join(loaded.masks)
    for name in names:
        if name not in loaded.masks:
            raise Unusable(f"there is no mask {name!r} in {config}; its masks: {known}")
    masks = MaskCatalog(
        loaded.masks.values(),
        own=loaded.detectors.values(),
        prose=loaded.prose,
        cache_dir=cache_dir,
        max_depth=loaded.limits.json_depth,
        hash_key=secrets.token_bytes(_KEY_BYTES),
    )
    masker = masks.select(names or loaded.masks)
    return _with_tokens(masker) if masks.tokenizes(names or loaded.masks) else masker.explain


def _with_tokens(masker: Masker) -> Masking:
    """As in a session of its own, whose tokens nobody can turn back."""
    mint = Mint(secrets.token_bytes(_KEY_BYTES))
    bound = masker.within(mint)

    def masked(text: str) -> Explained:
        mint.begin()
        return bound.explain(text)

    return masked


def whole(masked: Masking, source: BinaryIO, explain: bool, as_json: bool) -> bool:
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


def lines(masked: Masking, source: BinaryIO, *, why: bool) -> bool:
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
