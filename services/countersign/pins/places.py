"""Where in a definition something stands, written as a JSON path, and all the texts in it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from countersign.jsontext import JsonValue, Number

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_SHOWN_CHARACTERS = 64
_PLACE_CHARACTERS = 400


def below(place: str, step: str | int) -> str:
    """Return the place of a member or element; a key that is not plain is shown in ASCII, and shortened.

    What lies very deep is told by the place above it.
    """
    if len(place) > _PLACE_CHARACTERS:
        return place if place.endswith("...") else place + "..."
    if isinstance(step, int):
        return f"{place}[{step}]"
    if _PLAIN.fullmatch(step):
        return f"{place}.{step}"
    shown = ascii(step[:_SHOWN_CHARACTERS])
    return f"{place}[{shown}{'...' if len(step) > _SHOWN_CHARACTERS else ''}]"


def texts(value: JsonValue, place: str = "$") -> Iterator[tuple[str, str, bool]]:
    """Yield each text with its place, and whether it is a key."""
    if isinstance(value, Number):
        return
    if isinstance(value, str):
        yield place, value, False
    elif isinstance(value, dict):
        for key, member in value.items():
            at = below(place, key)
            yield at, key, True
            yield from texts(member, at)
    elif isinstance(value, list):
        for index, element in enumerate(value):
            yield from texts(element, below(place, index))
