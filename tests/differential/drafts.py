"""A request while it is being made up: a tree that may hold what no dict can, and how it is written."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from json.encoder import encode_basestring
from typing import Any, TypeAlias

_quoted = encode_basestring

Headers: TypeAlias = "list[tuple[str, str]]"


class Raw(str):
    """Text that stands in the body as it is: a literal that is not JSON, a key spelt with escapes."""

    __slots__ = ()


class Members(list[tuple[str, Any]]):
    """An object as its members in order, so that a key may come twice; a key may be :class:`Raw`."""


@dataclass(frozen=True, slots=True)
class Case:
    """One request as a target's HTTP stack hands it on. ``kinds`` are the mutations that it went through."""

    number: int
    kinds: tuple[str, ...]
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(slots=True)
class Draft:
    """A request on its way to become a case: ``on_text`` and ``on_bytes`` are what happens to it once it is written."""

    headers: Headers
    tree: Any
    on_text: list[Callable[[str], str]] = field(default_factory=list)
    on_bytes: list[Callable[[bytes], bytes]] = field(default_factory=list)

    def body(self, chance: random.Random) -> bytes:
        """Write it, sometimes with white space and needless escapes, which change nothing."""
        text = write(self.tree, chance if chance.random() < 0.3 else None)
        for change_text in self.on_text:
            text = change_text(text)
        data = text.encode("utf-8", "surrogatepass")
        for change_bytes in self.on_bytes:
            data = change_bytes(data)
        return data


def tree_of(value: Any) -> Any:
    """A copy of a JSON value, or of a tree, whose objects are :class:`Members`."""
    if isinstance(value, Members):
        return Members((key, tree_of(held)) for key, held in value)
    if isinstance(value, dict):
        return Members((key, tree_of(member)) for key, member in value.items())
    if isinstance(value, list):
        return [tree_of(element) for element in value]
    return value


def objects(tree: Any) -> Iterator[Members]:
    """Yield all objects of a tree, the outermost first."""
    if isinstance(tree, Members):
        yield tree
        for _, member in tree:
            yield from objects(member)
    elif isinstance(tree, list):
        for element in tree:
            yield from objects(element)


def member(tree: Any, *path: str) -> Any:
    """The value at a path of keys; ``None`` when there is none."""
    for key in path:
        if not isinstance(tree, Members):
            return None
        tree = next((value for known, value in tree if known == key), None)
    return tree


def put(tree: Members, key: str, value: Any) -> None:
    """Set a member where it stands, or at the end."""
    for place, (known, _) in enumerate(tree):
        if known == key:
            tree[place] = (key, value)
            return
    tree.append((key, value))


def drop(tree: Members, key: str) -> None:
    """Take a member out."""
    tree[:] = [(known, value) for known, value in tree if known != key]


def escaped(text: str, chance: random.Random) -> str:
    """A JSON string with some characters escaped that need not be."""
    written = [
        f"\\u{ord(char):04x}" if ord(char) < 0x10000 and chance.random() < 0.3 else _quoted(char)[1:-1] for char in text
    ]
    return f'"{"".join(written)}"'


def write(tree: Any, chance: random.Random | None) -> str:
    """Write a tree as JSON text; with ``chance``, with spaces and escapes by chance."""
    if isinstance(tree, Raw):
        return str(tree)
    if isinstance(tree, str):
        return _quoted(tree) if chance is None else escaped(tree, chance)
    space = chance.choice(("", "", " ", "\n", "\t", "\r\n")) if chance is not None else ""
    if isinstance(tree, Members):
        members = ",".join(f"{write(key, chance)}:{space}{write(value, chance)}" for key, value in tree)
        return f"{{{space}{members}}}{space}"
    if isinstance(tree, list):
        return f"[{space}{','.join(write(element, chance) for element in tree)}]"
    return json.dumps(tree)
