"""What is suspicious in a definition: what a person does not see of it, and what speaks to a model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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


def suspicions(definition: Definition) -> tuple[Flag, ...]:
    """Look at every text of a definition, keys among them; what is hidden comes first, at most ``MAX_FLAGS``."""
    found = sorted(set(_found(definition)), key=lambda flag: (not flag.hidden, flag.place, flag.what))
    return tuple(found[:MAX_FLAGS])


def _found(definition: Definition) -> Iterator[Flag]:
    for place, text, is_key in texts(definition.value):
        # Most texts are ASCII without anything that cannot be printed.
        if not (text.isascii() and text.isprintable()):
            for what in hidden_characters(text):
                yield Flag(True, place, what)
            if (is_key or place == "$.name") and looks_like_another(text):
                yield Flag(True, place, "letters that look like those of another script")
        for what in instructions(text):
            yield Flag(False, place, what)
