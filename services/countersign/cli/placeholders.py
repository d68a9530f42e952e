"""What masks left in a recorded body, made visible. Bodies come from callers and targets: see ``cli.replayed``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Final

from rich.text import Text

from countersign.api.recorder.v1 import event_pb2
from countersign.model.visible import visible
from countersign.screening import OVERSIZED, Kind

MASKED: Final = "bold magenta"
"""How masked values look."""

MOST_LINES: Final = 200
MOST_PRETTY_BYTES: Final = 4 * 1024 * 1024
_MOST_LABELS: Final = 50
_MOST_DEPTH: Final = 100
_LONGEST_KEY: Final = 64
_POSITION: Final = re.compile(r"\[[0-9]+\]")
_NAME: Final = re.compile(r"[A-Za-z_$@-][A-Za-z0-9_$@-]*")
# What is left of a value of which the last characters stay: ****-****-1234.
_STARS: Final = r"\*\*[*\-. /:@]*[0-9A-Za-z]{0,4}"

# Of a text in which something was hidden the rest is as it was.
_NOT_MASKED: Final = frozenset({*Kind, OVERSIZED})

Path = tuple[str | int, ...]


def highlighted(text: Text, event: event_pb2.Event) -> Text:
    """Mark the placeholders of what was found in the event: ``[EMAIL]``, ``[EMAIL:9f86d081884c7d65]``, stars."""
    labels = sorted({finding.label for finding in event.findings} - {""})[:_MOST_LABELS]
    if labels:
        words = "|".join(re.escape(label) for label in labels)
        text.highlight_regex(re.compile(rf"\[(?:{words})(?::[0-9a-f]{{16}})?\]|{_STARS}", re.IGNORECASE), MASKED)
    return text


def pretty(event: event_pb2.Event, *, whole: bool, indent: str = "") -> Iterator[Text]:
    """Lay a body out, a member of JSON a line; what a finding's place names is marked, also where nothing shows it.

    Without ``whole`` it ends after 200 lines, and says so.
    """
    lines = _lines(event)
    for number, line in enumerate(lines):
        if number >= MOST_LINES and not whole:
            left = 1 + sum(1 for _ in lines)
            yield Text(f"{indent}… {left} more lines: --bodies shows them", "dim")
            return
        yield Text(indent).append_text(line)


def _lines(event: event_pb2.Event) -> Iterator[Text]:
    value = _parsed(event.body)
    if value is None:
        for line in event.body.decode("utf-8", "replace").split("\n"):
            yield highlighted(Text(visible(line)), event)
        return
    yield from _Layout(event).lines(value)


def _parsed(text: bytes | str) -> dict[str, object] | list[object] | None:
    """Return an object or an array that JSON says; ``None`` for all else, and what is too large."""
    if len(text) > MOST_PRETTY_BYTES:
        return None
    try:
        # Numbers stay as they are written, and nothing is taken for JSON that is none.
        value: object = json.loads(
            text, parse_float=_Literal, parse_int=_Literal, parse_constant=_refuse, object_pairs_hook=_members
        )
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


class _Literal(str):
    """A number as it is written."""

    __slots__ = ()


def _refuse(literal: str) -> object:
    raise ValueError(literal)


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        # The one that counts may be the one that would not be shown.
        raise ValueError
    return members


class _Layout:
    """Writes JSON with its masked values marked."""

    def __init__(self, event: event_pb2.Event) -> None:
        self._event = event
        self._places = {one.place for one in event.findings if one.place and one.label not in _NOT_MASKED}

    def lines(self, value: object) -> Iterator[Text]:
        """All lines of a document."""
        yield from self._written(value, "$", "", Text(), "")

    def _written(self, value: object, place: str, indent: str, head: Text, tail: str) -> Iterator[Text]:
        if (inner_value := _within(value)) and len(indent) <= 2 * _MOST_DEPTH:
            # What tools answer is often JSON as a text.
            head.append("(a text that holds) ", "dim")
            value, place = inner_value, place + "$"
        if not isinstance(value, dict | list) or not value or len(indent) > 2 * _MOST_DEPTH:
            yield head.append_text(self._leaf(value, place)).append(tail)
            return
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        yield head.append(opening)
        inner = indent + "  "
        members: Sequence[tuple[str | int, object]] = (
            list(value.items()) if isinstance(value, dict) else list(enumerate(value))
        )
        for number, (key, member) in enumerate(members, 1):
            below = Text(inner)
            if isinstance(key, str):
                below.append(_quoted(key), "cyan").append(": ")
            yield from self._written(member, place + _step(key), inner, below, "," if number < len(members) else "")
        yield Text(indent + closing + tail)

    def _leaf(self, value: object, place: str) -> Text:
        written = str(value) if isinstance(value, _Literal) else _quoted(value)
        if place in self._places or _POSITION.sub("[*]", place) in self._places:
            return Text(written, MASKED)
        return highlighted(Text(written), self._event)


def _within(value: object) -> dict[str, object] | list[object] | None:
    """What a text holds that is JSON itself."""
    if not isinstance(value, str) or isinstance(value, _Literal) or value.lstrip()[:1] not in ("{", "["):
        return None
    return _parsed(value)


def _quoted(value: object) -> str:
    try:
        return visible(json.dumps(value, ensure_ascii=False))
    except RecursionError:
        return "…"


def _step(key: str | int) -> str:
    if isinstance(key, int):
        return f"[{key}]"
    short = key if len(key) <= _LONGEST_KEY else key[:_LONGEST_KEY] + "…"
    return f".{short}" if _NAME.fullmatch(short) else f"[{json.dumps(short, ensure_ascii=False)}]"
