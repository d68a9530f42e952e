"""Where in a request something is changed."""

from __future__ import annotations

import random
from typing import Any

from tests.differential.drafts import Draft, Members, Raw, member, objects, put, tree_of
from tests.differential.honest import MODERN, NAMES, arguments, rpc_id, value


def some_object(draft: Draft, chance: random.Random) -> Members:
    """Some object of the tree, more often one near the root."""
    found = list(objects(draft.tree)) or [root_of(draft)]
    return found[min(chance.randrange(len(found)), chance.randrange(len(found)))]


def spot(draft: Draft, chance: random.Random) -> tuple[Members, int]:
    """Some member: the object that holds it, and its place there."""
    holder = chance.choice([each for each in objects(draft.tree) if each] or [root_of(draft)])
    return holder, chance.randrange(len(holder))


def root_of(draft: Draft) -> Members:
    """The message, or the first of a batch; a new one where there was none."""
    tree: Any = draft.tree
    if not isinstance(tree, Members) and isinstance(tree, list) and tree:
        tree = tree[0]
    if isinstance(tree, Members) and tree:
        return tree
    draft.tree = made = Members([("jsonrpc", "2.0"), ("id", 1), ("method", "tools/list")])
    return made


def params_of(draft: Draft) -> Members:
    """The params of that message."""
    root = root_of(draft)
    params = member(root, "params")
    if isinstance(params, Members):
        return params
    made = Members()
    put(root, "params", made)
    return made


def set_header(draft: Draft, name: str, *values: str) -> None:
    """Put these in the place of what there was under that name."""
    draft.headers = [(known, old) for known, old in draft.headers if known != name]
    draft.headers += [(name, each) for each in values]


def is_plain(text: str) -> bool:
    """Whether a header may hold it as it is."""
    return text.isascii() and text.isprintable()


def other(chance: random.Random, old: Any) -> Any:
    """Another value for a twin, one that matters where it can."""
    if old == "2.0":
        return chance.choice(("1.0", "2.0"))
    if isinstance(old, str):
        return chance.choice((*NAMES, "tools/call", "tools/list", "ping", MODERN, "file:///etc/passwd", old))
    return tree_of(chance.choice((arguments(chance), value(chance), rpc_id(chance))))


def all_escaped(text: str) -> Raw:
    """A string of which every character is an escape."""
    return Raw('"' + "".join(f"\\u{ord(char):04x}" if ord(char) < 0x10000 else char for char in text) + '"')
