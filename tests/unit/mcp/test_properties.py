"""Promises of the request reader that must hold for any input."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from countersign.jsontext import parse
from countersign.mcp import AnswerRefused, Era, HttpRequest, McpRefused, check_answer, filter_listing
from tests.unit.mcp.requests import HEADERS, META, MODERN, legacy, read, rpc

SURROGATES: Any = ("Cs",)
text = st.text(st.characters(exclude_categories=SURROGATES), max_size=12)
leaf = st.none() | st.booleans() | st.integers() | text
value = st.recursive(
    leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=8
)
word = st.sampled_from(
    ["jsonrpc", "id", "method", "params", "result", "error", "name", "uri", "_meta", "Method", "ref"]
)
nearly: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    word,
    st.sampled_from(["2.0", "tools/call", "initialize", 1, None, {}, [], {"name": "x"}, {"_meta": META}, {"ref": {}}])
    | value,
    max_size=6,
)
header_name = st.sampled_from(
    ["mcp-protocol-version", "mcp-method", "mcp-name", "mcp-session-id", "accept", "content-type", "content-encoding"]
)
header_value = (
    st.sampled_from([MODERN, "2025-06-18", "tools/call", "x", "application/json", "=?base64?eA==?=", ""]) | text
)


@given(
    st.binary(max_size=200), st.dictionaries(header_name, header_value), st.sampled_from(["POST", "GET", "DELETE", "X"])
)
def test_any_bytes_are_read_or_refused(body: bytes, headers: dict[str, str], verb: str) -> None:
    with contextlib.suppress(McpRefused):
        read(HttpRequest(verb, headers, body))
    with contextlib.suppress(McpRefused):
        read(HttpRequest("POST", {**headers, **HEADERS}, body))


@given(nearly | st.lists(nearly, max_size=3) | value, st.dictionaries(header_name, header_value))
@settings(max_examples=120)
def test_any_json_is_read_or_refused(body: Any, headers: dict[str, str]) -> None:
    raw = json.dumps({"jsonrpc": "2.0", **body} if isinstance(body, dict) else body).encode()
    with contextlib.suppress(McpRefused):
        read(HttpRequest("POST", {**headers, "content-type": "application/json"}, raw))
    with contextlib.suppress(McpRefused):
        read(HttpRequest("POST", HEADERS, raw))


@given(nearly | st.lists(nearly, max_size=3) | value, st.sampled_from(["tools/list", "resources/read", "ping"]))
@settings(max_examples=120)
def test_any_answer_is_read_or_refused(body: Any, method: str) -> None:
    document = parse(json.dumps({"jsonrpc": "2.0", **body} if isinstance(body, dict) else body))
    for era in Era:
        with contextlib.suppress(AnswerRefused):
            check_answer(document, era=era, expected_ids=("1",), in_stream=False)
    with contextlib.suppress(AnswerRefused):
        filter_listing(document, method, lambda _kind, _name: False)


def spaced(body: Any, draw: Any) -> str:
    """Write JSON with any white space between tokens, and any character of a string escaped."""

    def space() -> str:
        return str(draw(st.sampled_from(["", " ", "\n", "\t \r\n"])))

    def quoted(string: str) -> str:
        written = [
            json.dumps(char)[1:-1] if ord(char) > 0xFFFF or not draw(st.booleans()) else f"\\u{ord(char):04x}"
            for char in string
        ]
        return f'"{"".join(written)}"'

    if isinstance(body, dict):
        members = [f"{space()}{quoted(key)}{space()}:{spaced(member, draw)}" for key, member in body.items()]
        return f"{space()}{{{','.join(members)}{space()}}}{space()}"
    if isinstance(body, list):
        return f"{space()}[{','.join(spaced(member, draw) for member in body)}{space()}]{space()}"
    return f"{space()}{quoted(body) if isinstance(body, str) else json.dumps(body)}{space()}"


@given(st.data(), st.dictionaries(text, value, max_size=4), text.filter(bool))
@settings(max_examples=60)
def test_spacing_and_escapes_do_not_change_the_call(data: st.DataObject, arguments: dict[str, Any], name: str) -> None:
    body = rpc("tools/call", {"name": name, "arguments": arguments}, rpc_id=name)
    try:
        plain = read(legacy(body)).messages[0]
    except McpRefused:
        return  # A control character in the name: refused however it is written.
    written = spaced(body, data.draw)
    other = read(legacy(written)).messages[0]
    assert plain.call is not None
    assert other.call is not None
    assert (other.rpc_id, other.id_json, other.call.name) == (plain.rpc_id, plain.id_json, name)
    assert other.call.params_json in written
    assert json.loads(other.call.params_json) == json.loads(plain.call.params_json) == body["params"]


digits = st.from_regex(r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,4})?", fullmatch=True)


@given(digits)
def test_no_number_is_rewritten(number: str) -> None:
    params = f'{{"name":"query","arguments":{{"n":{number}}}}}'
    call = read(legacy(f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}')).messages[0].call
    assert call is not None
    assert call.params_json == params


@given(st.integers(-(2**53) + 1, 2**53 - 1) | text)
def test_every_id_that_all_parsers_hold_comes_back_equal(rpc_id: int | str) -> None:
    message = read(legacy(rpc("ping", rpc_id=rpc_id))).messages[0]
    assert message.rpc_id == rpc_id
    assert json.loads(message.id_json) == rpc_id
