"""Messages: their methods and names, their params and what makes a batch of them."""

from __future__ import annotations

import random
import unicodedata
from typing import Any

from tests.differential.drafts import Draft, Members, Raw, drop, member, put, tree_of, write
from tests.differential.honest import META_CAPABILITIES, META_VERSION, MODERN, header_value, message, response
from tests.differential.mutations.places import all_escaped, is_plain, params_of, root_of, set_header
from tests.differential.mutations.signs import (
    DIVISION_SLASH,
    LITERALS,
    LOOK_ALIKES,
    NUMERALS,
    SPACES,
    VERSIONS,
    ZERO_WIDTH,
)


def method_twin(draft: Draft, chance: random.Random) -> None:
    root = root_of(draft)
    method = str(member(root, "method"))
    sign = chance.choice((*SPACES, *ZERO_WIDTH))
    twins = (
        *(method.upper(), method.title(), f"{method}{sign}", f"{sign}{method}", f"/{method}", f"{method}/"),
        *(method.replace("/", other) for other in ("//", "\\", "%2f", ".", DIVISION_SLASH)),
        *(method.translate(LOOK_ALIKES), f"{method}?x", "tools/call", "initialize", "GET", "DELETE", "rpc.discover"),
        *(f"notifications/{method}", method.removeprefix("notifications/"), "", "x" * 129, "tools/call\x00"),
    )
    twin = chance.choice(twins)
    put(root, "method", twin)
    if chance.random() < 0.5 and any(name == "mcp-method" for name, _ in draft.headers) and is_plain(twin):
        set_header(draft, "mcp-method", twin)


def name_trick(draft: Draft, chance: random.Random) -> None:
    params = params_of(draft)
    key = next((each for each in ("name", "uri", "taskId") if member(params, each) is not None), "name")
    name = str(member(params, key))
    sign = chance.choice((*SPACES, *ZERO_WIDTH, "\u202e", "/", ".", "%20", "%00", ";", "#", "?", "\\"))
    tricks = (
        *(f"{name}{sign}", f"{sign}{name}", name.upper(), name.translate(LOOK_ALIKES), "../delete_all", "x" * 4097),
        *(unicodedata.normalize("NFD", name), unicodedata.normalize("NFC", name), f"{name}/../delete_all", ""),
        *("file:///srv/%2e%2e/etc", "file:///srv/%61", "FILE:///etc", "__proto__", "constructor", "toString"),
        '{"name":"query"}',
    )
    trick = chance.choice(tricks)
    put(params, key, all_escaped(trick) if chance.random() < 0.3 else trick)
    if chance.random() < 0.8 and any(known == "mcp-name" for known, _ in draft.headers):
        set_header(draft, "mcp-name", header_value(trick))


def batch(draft: Draft, chance: random.Random) -> None:
    others: list[Any] = [tree_of(message(chance, modern=chance.random() < 0.2)) for _ in range(chance.randrange(3))]
    others += [tree_of(chance.choice([response(chance), None, 1, [], {}, "x"]))] if chance.random() < 0.3 else []
    if isinstance(draft.tree, Members) or not isinstance(draft.tree, list):
        draft.tree = [draft.tree]
    draft.tree = [*draft.tree, *others]
    if chance.random() < 0.1:
        draft.tree = [draft.tree]
    elif chance.random() < 0.1:
        draft.tree = draft.tree * chance.choice((0, 2, 20))
    if chance.random() < 0.6:
        draft.headers = [(name, held) for name, held in draft.headers if not name.startswith("mcp-")]


def params_odd(draft: Draft, chance: random.Random) -> None:
    root = root_of(draft)
    params = tree_of(member(root, "params"))
    text = write(params, None)
    put(root, "params", tree_of(chance.choice((None, [], [params], "x", 1, True, {}, text, [["name", "x"]]))))


def meta_odd(draft: Draft, chance: random.Random) -> None:
    params = params_of(draft)
    meta = member(params, "_meta")
    if not isinstance(meta, Members):
        meta = Members()
        put(params, "_meta", meta)
    twins = (META_VERSION.upper(), META_VERSION + " ", "IO.modelcontextprotocol/protocolVersion")
    match chance.randrange(7):
        case 0:
            put(meta, META_VERSION, chance.choice((*VERSIONS, None, 1, [MODERN])))
        case 1:
            put(meta, META_CAPABILITIES, tree_of(chance.choice((None, [], "x", {}, {"tasks": {}}, {"__proto__": {}}))))
        case 2:
            meta.append((chance.choice(twins), MODERN))
        case 3:
            drop(meta, chance.choice((META_VERSION, META_CAPABILITIES)))
        case 4:
            put(params, "_meta", chance.choice((None, "x", 1, tree_of([{META_VERSION: MODERN}]))))
        case 5:
            put(meta, "progressToken", Raw(chance.choice((*NUMERALS, *LITERALS, "true", "null", '"1"', "[1]"))))
        case _:
            put(root_of(draft), "_meta", tree_of({META_VERSION: chance.choice(VERSIONS), META_CAPABILITIES: {}}))


def rounds(draft: Draft, chance: random.Random) -> None:
    params = params_of(draft)
    state: Any = chance.choice(("s", "", None, 1, {"a": 1}, "é", Raw('"\\u0073"')))
    put(params, chance.choice(("requestState", "requestState", "inputResponses", "taskId", "task")), tree_of(state))
