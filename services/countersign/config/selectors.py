"""Whom and what a rule is about: entries that could select nothing are refused where they stand."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from countersign.config.document import Node
from countersign.config.problem import Problems
from countersign.config.shape_rules import PeopleShape
from countersign.config.wording import nearest
from countersign.model.call import NameKind
from countersign.model.glob import Glob, GlobSet
from countersign.model.methods import CONNECTION_METHODS, KNOWN_METHODS, NAMED_METHODS, is_connection
from countersign.model.principal import PrincipalKind
from countersign.model.rule import Selector

WHOM = ("groups", "principals", "kind", "actors")
"""The keys that say whom a rule is about."""

_KINDS = {"tools": NameKind.TOOL, "prompts": NameKind.PROMPT, "resources": NameKind.RESOURCE}
_NO_GLOB = re.compile(r"[\[\]{}\\|\s]")


def read(shape: PeopleShape, node: Node, targets: Collection[str], out: Problems) -> Selector:
    """The selector that a rule or a limit states; to be used only if nothing was added to ``out``."""
    given = dict(_given(shape))
    for key, entries in given.items():
        for position, entry in enumerate(entries):
            _check_entry(key, entry, node.find((key, position)), targets, out)
    kinds = {_KINDS[key] for key in given if key in _KINDS}
    if "methods" in given and kinds:
        methods = GlobSet(given["methods"])
        if not any(methods.matches(method) and kinds & named for method, named in NAMED_METHODS.items()):
            what = f"these methods have no {' or '.join(key for key in _KINDS if _KINDS[key] in kinds)} to select"
            out.add(node.keys["methods"], what, "remove `methods`, or make it a rule of its own")
    people = given.get("kind")
    return Selector(
        groups=given.get("groups"),
        targets=given.get("targets"),
        methods=given.get("methods"),
        tools=given.get("tools"),
        prompts=given.get("prompts"),
        resources=given.get("resources"),
        principals=given.get("principals"),
        kinds=None if people is None else tuple(kind for kind in PrincipalKind if kind in people),
        actors=given.get("actors"),
    )


def only_connects(selector: Selector) -> bool:
    """Whether the methods that are selected only connect: conditions have no say in whom those are open to."""
    if selector.methods is None:
        return False
    return all(
        entry in CONNECTION_METHODS or (not is_wild(entry) and is_connection(entry)) for entry in selector.methods
    )


def is_wild(entry: str) -> bool:
    """Whether an entry may match more than itself."""
    return "*" in entry or "?" in entry


def declared(name: str, known: Collection[str], section: str) -> str:
    """What to do about a name that the file does not declare."""
    meant = nearest(name, known)
    if meant:
        return f"did you mean `{meant}`?"
    return f"declare it under `{section}:`" + (f", or use one of {', '.join(sorted(known)[:10])}" if known else "")


def _given(shape: PeopleShape) -> Iterator[tuple[str, tuple[str, ...]]]:
    for key in type(shape).model_fields:
        entries: list[str] | object = getattr(shape, key)
        if isinstance(entries, list):
            yield key, tuple(entries)


def _check_entry(key: str, entry: str, node: Node, targets: Collection[str], out: Problems) -> None:
    if not entry.isprintable() or entry != entry.strip():
        out.add(node.place, f"an entry of `{key}` has unprintable characters, or spaces around it", "remove them")
    elif key == "kind":
        if entry not in tuple(PrincipalKind):
            meant, known = nearest(entry, PrincipalKind), ", ".join(PrincipalKind)
            remedy = f"did you mean `{meant}`?" if meant else f"use one of {known}"
            out.add(node.place, f"there is no kind of principal `{entry}`", remedy)
    elif key in ("targets", "methods", "tools") and _NO_GLOB.search(entry):
        out.add(node.place, f"`{entry}` matches nothing", "only * and ? are wildcards; write one entry for each name")
    elif key == "targets" and not any(Glob(entry).matches(target) for target in targets):
        what = "matches no target" if is_wild(entry) else "is no target"
        out.add(node.place, f"`{entry}` {what}", declared(entry, targets, "targets"))
    elif key == "methods" and (meant := meant_method(entry)):
        out.add(node.place, f"there is no method `{entry}`", f"did you mean `{meant}`?")


def meant_method(entry: str) -> str | None:
    """The method that a misspelt one was to be; a method that resembles none may be an extension's."""
    if is_wild(entry) or entry in KNOWN_METHODS:
        return None
    meant = nearest(entry, sorted(KNOWN_METHODS))
    return meant if meant and abs(len(meant) - len(entry)) <= 2 and _close(entry.lower(), meant.lower()) else None


def _close(one: str, other: str) -> bool:
    """Whether at most two characters at one spot make the difference: an edit, not another word."""
    start = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    rest, against = one[start:][::-1], other[start:][::-1]
    end = next((i for i, (a, b) in enumerate(zip(rest, against, strict=False)) if a != b), min(len(rest), len(against)))
    return max(len(rest), len(against)) - end <= 2
