"""Members of objects: keys that come twice or nearly so, values that are no lawful JSON or of another type."""

from __future__ import annotations

import json
import random
import unicodedata
from collections.abc import Callable
from typing import Any

from tests.differential.drafts import Draft, Members, Raw, drop, member, put, tree_of
from tests.differential.honest import arguments
from tests.differential.mutations.places import all_escaped, other, params_of, root_of, some_object, spot
from tests.differential.mutations.signs import (
    DEPTHS,
    JAVASCRIPT_KEYS,
    KELVIN,
    LITERALS,
    LONG_S,
    LOOK_ALIKES,
    NUMERALS,
    SNAKE_KEYS,
    SPACES,
    STRINGS,
    TYPES,
    WIDE,
    ZERO_WIDTH,
)


def key_repeated(draft: Draft, chance: random.Random) -> None:
    holder, place = spot(draft, chance)
    key, old = holder[place]
    holder.insert(chance.randrange(len(holder) + 1), (key, other(chance, old)))


def key_repeated_escaped(draft: Draft, chance: random.Random) -> None:
    holder, place = spot(draft, chance)
    key, old = holder[place]
    if isinstance(key, Raw) or not key:
        return
    at = chance.randrange(len(key))
    one = f'"{json.dumps(key[:at])[1:-1]}{all_escaped(key[at])[1:-1]}{json.dumps(key[at + 1 :])[1:-1]}"'
    twin = Raw(one) if chance.random() < 0.6 else all_escaped(key)
    holder.insert(chance.randrange(len(holder) + 1), (twin, other(chance, old)))


def key_escaped(draft: Draft, chance: random.Random) -> None:
    holder, place = spot(draft, chance)
    key, old = holder[place]
    if not isinstance(key, Raw):
        holder[place] = (all_escaped(key), old)


def _twin(draft: Draft, chance: random.Random, change: Callable[[str], str]) -> None:
    """Rename a member, or set one with the changed name beside it."""
    holder, place = spot(draft, chance)
    key, old = holder[place]
    if isinstance(key, Raw):
        return
    if chance.random() < 0.3:
        holder[place] = (change(key), old)
    else:
        holder.insert(chance.randrange(len(holder) + 1), (change(key), other(chance, old)))


def key_case(draft: Draft, chance: random.Random) -> None:
    folds = (lambda key: key.replace("s", LONG_S), lambda key: key.replace("k", KELVIN))
    _twin(draft, chance, chance.choice((str.upper, str.title, str.swapcase, *folds)))


def key_look_alike(draft: Draft, chance: random.Random) -> None:
    def apart(key: str) -> str:
        return unicodedata.normalize("NFD", key)

    changes = (lambda key: key.translate(WIDE), lambda key: key.translate(LOOK_ALIKES), apart)
    _twin(draft, chance, chance.choice(changes))


def key_space(draft: Draft, chance: random.Random) -> None:
    space = chance.choice(SPACES)
    _twin(draft, chance, lambda key: f"{key}{space}" if chance.random() < 0.5 else f"{space}{key}")


def key_zero_width(draft: Draft, chance: random.Random) -> None:
    sign = chance.choice(ZERO_WIDTH)
    _twin(draft, chance, lambda key: key[: len(key) // 2] + sign + key[len(key) // 2 :])


def key_snake(draft: Draft, chance: random.Random) -> None:
    holder = chance.choice((root_of(draft), params_of(draft), some_object(draft, chance)))
    holder.append((chance.choice(SNAKE_KEYS), other(chance, chance.choice(("x", 1, None)))))


def key_of_javascript(draft: Draft, chance: random.Random) -> None:
    holder = some_object(draft, chance)
    known: list[Any] = [{"name": "delete_all"}, {"arguments": {"path": "/etc"}}, {"id": 7}, "delete_all", None]
    key: str = chance.choice(JAVASCRIPT_KEYS[:3] if chance.random() < 0.7 else JAVASCRIPT_KEYS)
    held = tree_of(chance.choice([*known, {"prototype": {"name": "delete_all"}}, arguments(chance)]))
    holder.insert(chance.randrange(len(holder) + 1), (all_escaped(key) if chance.random() < 0.2 else key, held))


def key_moved(draft: Draft, chance: random.Random) -> None:
    root, params = root_of(draft), params_of(draft)
    source, goal = chance.choice(((params, root), (root, params)))
    if source:
        key, held = chance.choice(source)
        goal.append((key, tree_of(held) if chance.random() < 0.5 else other(chance, held)))
        if chance.random() < 0.3:
            drop(source, key)


def number(draft: Draft, chance: random.Random) -> None:
    holder = chance.choice((some_object(draft, chance), params_of(draft)))
    held = member(params_of(draft), "arguments")
    if isinstance(held, Members) and chance.random() < 0.7:
        holder = held
    put(holder, chance.choice(("a", "n", "limit", "id")), Raw(chance.choice(NUMERALS)))


def literal(draft: Draft, chance: random.Random) -> None:
    holder, place = spot(draft, chance)
    holder[place] = (holder[place][0], Raw(chance.choice(LITERALS)))


def other_type(draft: Draft, chance: random.Random) -> None:
    holder, place = spot(draft, chance)
    key, old = holder[place]
    odd: Any = chance.choice(TYPES)
    holder[place] = (
        key,
        [tree_of(old)] if chance.random() < 0.15 else str(old) if chance.random() < 0.1 else tree_of(odd),
    )


def rpc_id_odd(draft: Draft, chance: random.Random) -> None:
    strings = ('"\\u0000"', '"1\\u200b"', f'"{"x" * 257}"', f'"{"x" * 256}"')
    put(root_of(draft), "id", Raw(chance.choice((*NUMERALS, *LITERALS, *strings, "null", "true", "[1]", "{}"))))


def without(draft: Draft, chance: random.Random) -> None:
    holder, place = spot(draft, chance)
    del holder[place]


def string_odd(draft: Draft, chance: random.Random) -> None:
    holder, place = spot(draft, chance)
    text, (key, held) = Raw(chance.choice(STRINGS)), holder[place]
    holder[place] = (text, held) if chance.random() < 0.3 else (key, text)


def nesting(draft: Draft, chance: random.Random) -> None:
    depth = chance.choice(DEPTHS)
    opened, closed = chance.choice((("[", "]"), ('{"a":', "}"), ('[{"":', "}]")))
    held = member(params_of(draft), "arguments")
    holder = held if isinstance(held, Members) else some_object(draft, chance)
    put(holder, "deep", Raw(opened * depth + "1" + closed * depth))
