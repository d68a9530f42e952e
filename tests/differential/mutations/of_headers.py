"""Headers that lie, come twice, or are spelt in another way."""

from __future__ import annotations

import random

from tests.differential.drafts import Draft, Members, member
from tests.differential.honest import base64_of, header_value
from tests.differential.mutations.places import is_plain, params_of, root_of, set_header
from tests.differential.mutations.signs import TYPES_OF_CONTENT, VERSIONS

_OTHERS = {
    "accept": ("", "*/*", "application/json", "text/event-stream;q=0", "application/json, text/event-stream, */*"),
    "content-length": ("5", "0", "999999"),
    "last-event-id": ("1", "x"),
    "mcp-session-id": ("abc", "a,b", "é", "a b", "x" * 1025, "", "a\x7f"),
    "prefer": ("respond-async", "x"),
    "x-http-method-override": ("DELETE", "GET"),
}


def version_header(draft: Draft, chance: random.Random) -> None:
    stated = chance.choice(VERSIONS)
    many = (stated, chance.choice(VERSIONS)) if chance.random() < 0.3 else (stated,)
    set_header(draft, "mcp-protocol-version", *(many if chance.random() < 0.9 else ()))


def method_header(draft: Draft, chance: random.Random) -> None:
    method = str(member(root_of(draft), "method"))
    claims = (method, method.upper(), f" {method}", f"{method} ", "tools/list", "", _coded(method))
    held = chance.choice(((), (chance.choice(claims),), (method, method), (method, "ping"), ("ping", method)))
    set_header(draft, "mcp-method", *filter(is_plain, held))


def name_header(draft: Draft, chance: random.Random) -> None:
    name = str(member(params_of(draft), "name") or member(params_of(draft), "uri") or "query")
    stated, coded = header_value(name), base64_of(name)
    claims = (
        *(stated, "delete_all", _coded(name), f"=?BASE64?{coded}?=", f"=?base64?{coded}", "", "=?base64??=", "*"),
        *(f"=?base64?{coded.rstrip('=')}?=", f"=?base64? {coded}?=", f"=?utf-8?b?{coded}?=", f"{stated},{stated}"),
        *(f" {stated}", f'"{stated}"', _coded("delete_all")),
    )
    set_header(draft, "mcp-name", *[chance.choice(claims) for _ in range(chance.choice((0, 1, 1, 1, 2)))])


def _coded(text: str) -> str:
    return f"=?base64?{base64_of(text)}?="


def param_header(draft: Draft, chance: random.Random) -> None:
    held = member(params_of(draft), "arguments")
    values = [str(each) for _, each in held if isinstance(each, (str, int))] if isinstance(held, Members) else []
    claim = header_value(chance.choice([*values, "x", "42", "42.0", "true", ""]))
    name = chance.choice(("mcp-param-a", "mcp-param-limit", "mcp-param-", "mcp-param-path", "mcp-params-a"))
    set_header(draft, name, *([claim] * chance.choice((1, 1, 1, 2))))


def content_type(draft: Draft, chance: random.Random) -> None:
    held = [chance.choice(TYPES_OF_CONTENT) for _ in range(chance.choice((0, 1, 1, 1, 1, 2)))]
    set_header(draft, "content-type", *held)


def content_encoding(draft: Draft, chance: random.Random) -> None:
    name = chance.choice(("content-encoding", "content-encoding", "transfer-encoding"))
    set_header(draft, name, chance.choice(("gzip", "identity", "", "br", "utf-8")))


def other_header(draft: Draft, chance: random.Random) -> None:
    name = chance.choice(tuple(_OTHERS))
    set_header(draft, name, *[chance.choice(_OTHERS[name]) for _ in range(chance.choice((1, 1, 2)))])
