"""Where two definitions differ, told so that a person can decide about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from countersign.jsontext import JsonValue, Number
from countersign.pins.definition import canonical
from countersign.pins.places import below

MAX_DIFFERENCES = 200
SHOWN_CHARACTERS = 2_000


@dataclass(frozen=True, slots=True)
class Difference:
    """A place (a JSON path) with what stood there and what stands there now, as JSON; empty where there is nothing.

    Long values are shortened around what differs.
    """

    place: str
    before: str
    after: str


def differences(before: JsonValue, after: JsonValue) -> tuple[Difference, ...]:
    """List where ``after`` differs from ``before``, in the order of the places, at most ``MAX_DIFFERENCES``.

    The last one of a longer list says that there are more. Objects and arrays are compared by key and position.
    """
    found: list[Difference] = []
    for one in _compare("$", before, after):
        if len(found) == MAX_DIFFERENCES:
            found[-1] = Difference("$", "", "... and more differences than can be shown")
            break
        found.append(one)
    return tuple(found)


def _compare(place: str, before: JsonValue, after: JsonValue) -> Iterator[Difference]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            at = below(place, key)
            if key not in after:
                yield _shortened(at, canonical(before[key]), "")
            elif key not in before:
                yield _shortened(at, "", canonical(after[key]))
            else:
                yield from _compare(at, before[key], after[key])
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            at = below(place, index)
            if index >= len(after):
                yield _shortened(at, canonical(before[index]), "")
            elif index >= len(before):
                yield _shortened(at, "", canonical(after[index]))
            else:
                yield from _compare(at, before[index], after[index])
    elif _kind(before) is not _kind(after) or canonical(before) != canonical(after):
        yield _shortened(place, canonical(before), canonical(after))


def _kind(value: JsonValue) -> type:
    return Number if isinstance(value, Number) else type(value)


def _shortened(place: str, before: str, after: str) -> Difference:
    if max(len(before), len(after)) <= SHOWN_CHARACTERS:
        return Difference(place, before, after)
    # What stands before the first differing character, but for a little, is the same in both.
    same = next((index for index, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), None)
    start = max(0, (min(len(before), len(after)) if same is None else same) - 80) if before and after else 0
    return Difference(place, _cut(before, start), _cut(after, start))


def _cut(text: str, start: int) -> str:
    if not text:
        return ""
    end = start + SHOWN_CHARACTERS
    return ("..." if start else "") + text[start:end] + (f"... ({len(text)} characters)" if end < len(text) else "")
