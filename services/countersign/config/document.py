"""YAML read into values that know where they stand, and nothing that YAML could mean in two ways.

Scalars are resolved by the core schema of YAML 1.2 (section 10.3): ``no`` is a string, ``true`` is not. Anchors,
aliases, merge keys, tags, directives, repeated keys and several documents are refused, as they hide what a file says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from countersign.config.problem import START, Place, Problems

DEPTH_LIMIT = 16
"""Levels of nesting; the deepest key that gateway.yaml knows is at seven."""

Scalar = str | int | float | bool | None
Plain = Scalar | list["Plain"] | dict[str, "Plain"]
Path = tuple[str | int, ...]

_NULL = re.compile(r"(?:null|Null|NULL|~|)\Z")
_BOOL = re.compile(r"(?:(true|True|TRUE)|false|False|FALSE)\Z")
_INT = re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_FLOAT_WORD = re.compile(r"(?:([-+]?)\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z")
_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_DIGITS_LIMIT = 400


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it starts. ``keys``: where each key of a mapping stands; ``raw``: how a scalar is written."""

    place: Place
    value: Scalar | list[Node] | dict[str, Node]
    keys: dict[str, Place]
    raw: str = ""

    def plain(self) -> Plain:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def find(self, path: Path) -> Node:
        """The node at the path, or the last one on the way there."""
        node = self
        for step in path:
            child = node.child(step)
            if child is None:
                break
            node = child
        return node

    def child(self, step: str | int) -> Node | None:
        """The value of a key or at a position, if there is one."""
        if isinstance(self.value, dict):
            return self.value.get(step) if isinstance(step, str) else None
        if isinstance(self.value, list):
            return self.value[step] if isinstance(step, int) and step < len(self.value) else None
        return None

    def key_place(self, path: Path) -> Place:
        """Where the last key of the path stands, or else its value."""
        *parents, last = path
        parent = self.find(tuple(parents))
        return parent.keys.get(last, parent.place) if isinstance(last, str) else self.find(path).place


def read(text: str, problems: Problems) -> Node | None:
    """The document's root, or ``None`` when it cannot be read at all; what is wrong goes to ``problems``."""
    unprintable = _UNPRINTABLE.search(text)
    if unprintable:
        before = text[: unprintable.start()]
        place = Place(before.count("\n") + 1, len(before) - before.rfind("\n"))
        problems.add(place, "a character that YAML does not allow", "remove it")
        return None
    try:
        return _Reader(text, problems).document(_events(text))
    except _TooDeep as error:
        problems.add(error.place, f"more than {DEPTH_LIMIT} levels of nesting", "nothing in gateway.yaml is that deep")
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(mark.line + 1, mark.column + 1) if mark else START
        problems.add(place, f"this is not YAML ({error.problem or error.context})", "mend the line, or the one before")
    except YAMLError:
        problems.add(START, "this is not YAML", "mend it")
    return None


def _events(text: str) -> Iterator[Event]:
    try:
        yield from YAML(typ="safe", pure=True).parse(text)
    except YAMLError:
        raise
    except Exception as error:  # the parser stumbles over some malformed escapes: they are as refused as the others
        raise YAMLError from error


class _TooDeep(Exception):
    def __init__(self, place: Place) -> None:
        self.place = place
        super().__init__()


class _Reader:
    """Builds nodes from parse events: events still show what a composed tree hides (aliases, tags, repeated keys)."""

    def __init__(self, text: str, problems: Problems) -> None:
        self._text = text
        self._problems = problems

    def _refuse(self, place: Place, what: str, remedy: str) -> None:
        self._problems.add(place, what, remedy, final=True)

    def document(self, events: Iterator[Event]) -> Node | None:
        root: Node | None = None
        for event in events:
            if isinstance(event, DocumentStartEvent):
                if event.version or event.tags:
                    self._refuse(_place(event), "a YAML directive", "remove it: the file is read as YAML 1.2")
                if root is not None:
                    self._refuse(_place(event), "a second YAML document", "keep one document in the file")
                    return root
            elif isinstance(event, NodeEvent):
                root = self._node(event, events, 1)
        return root

    def _node(self, event: Event, events: Iterator[Event], depth: int) -> Node:
        place = _place(event)
        if depth > DEPTH_LIMIT:
            raise _TooDeep(place)
        self._refuse_hidden(event, place)
        if isinstance(event, MappingStartEvent):
            return self._mapping(place, events, depth)
        if isinstance(event, SequenceStartEvent):
            nodes = []
            while not isinstance(item := next(events), CollectionEndEvent):
                nodes.append(self._value(_place(item), item, events, depth + 1))
            return Node(place, nodes, {})
        if isinstance(event, ScalarEvent):
            return Node(place, _resolved(event), {}, self._text[event.start_mark.index : event.end_mark.index])
        return Node(place, None, {})

    def _value(self, shown: Place, event: Event, events: Iterator[Event], depth: int) -> Node:
        """A node that must hold something: an empty ``mask:`` would otherwise pass for a rule that needs none."""
        node = self._node(event, events, depth)
        if node.value is None:
            self._refuse(shown, "nothing stands here", "give a value, or remove the key or entry")
            return Node(shown, None, {})
        return node

    def _mapping(self, place: Place, events: Iterator[Event], depth: int) -> Node:
        values, keys = dict[str, Node](), dict[str, Place]()
        while not isinstance(event := next(events), CollectionEndEvent):
            key = self._node(event, events, depth + 1)
            value = self._value(key.place, next(events), events, depth + 1)
            if isinstance(event, ScalarEvent) and event.value == "<<" and event.style is None:
                self._refuse(key.place, "a merge key", "write the keys out where they are needed")
            elif not isinstance(key.value, str):
                self._refuse(key.place, f"{kind_of(key.value)} where a key is needed", "put it in quotes")
            elif key.value in values:
                first = keys[key.value].line
                self._refuse(key.place, f"this key stands on line {first} already", "keep one of them")
            else:
                values[key.value], keys[key.value] = value, key.place
        return Node(place, values, keys)

    def _refuse_hidden(self, event: Event, place: Place) -> None:
        if isinstance(event, ScalarEvent) and _SURROGATE.search(event.value):
            self._refuse(place, "half a surrogate pair", "write the character itself")
        if isinstance(event, AliasEvent):
            self._refuse(place, "an alias", "write the value out where it is needed")
        elif getattr(event, "anchor", None):
            self._refuse(place, "an anchor", "remove it and write values out where they are needed")
        elif getattr(event, "tag", None):
            self._refuse(place, "a tag", "remove it: types follow from the values")


def kind_of(value: object) -> str:
    """What a value is, in words and without showing it."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "a mapping"


def _place(event: Event) -> Place:
    return Place(event.start_mark.line + 1, event.start_mark.column + 1)


def _resolved(event: ScalarEvent) -> Scalar:
    text: str = event.value
    if not event.implicit[0]:
        return text
    if _NULL.match(text):
        return None
    if found := _BOOL.match(text):
        return found[1] is not None
    if _INT.match(text) and len(text) <= _DIGITS_LIMIT:
        return int(text, 0) if text.startswith(("0o", "0x")) else int(text)
    if _FLOAT.match(text):
        return float(text)
    if found := _FLOAT_WORD.match(text):
        return float("nan") if found[1] is None else float(found[1] + "inf")
    return text
