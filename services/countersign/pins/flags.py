"""What is suspicious in a definition: what a person does not see of it, and what speaks to a model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from countersign.jsontext import JsonValue
from countersign.pins.definition import Definition
from countersign.pins.hidden import hidden_characters, looks_like_another
from countersign.pins.instructions import instructions
from countersign.pins.places import texts

MAX_FLAGS = 50


@dataclass(frozen=True, slots=True)
class Flag:
    """Something suspicious at ``place`` (a JSON path). ``what`` says it for a person and never quotes the text.

    ``hidden`` tells what a person cannot see from what speaks to a model.
    """

    hidden: bool
    place: str
    what: str


def suspicions(definition: Definition, told: JsonValue = None) -> tuple[Flag, ...]:
    """Look at every text of a definition, keys among them; what is hidden comes first, at most ``MAX_FLAGS``.

    ``told`` is the definition with its keys as they may be told, in the same order: places are named by them.
    """
    found = sorted(
        set(_found(definition, definition.value if told is None else told)),
        key=lambda flag: (not flag.hidden, flag.place, flag.what),
    )
    return tuple(found[:MAX_FLAGS])


def _found(definition: Definition, told: JsonValue) -> Iterator[Flag]:
    for (at, text, is_key), (place, _, _) in zip(texts(definition.value), texts(told), strict=True):
        # Most texts are ASCII without anything that cannot be printed.
        if not (text.isascii() and text.isprintable()):
            for what in hidden_characters(text):
                yield Flag(True, place, what)
            if (is_key or at == "$.name") and looks_like_another(text):
                yield Flag(True, place, "letters that look like those of another script")
        for what in instructions(text):
            yield Flag(False, place, what)
