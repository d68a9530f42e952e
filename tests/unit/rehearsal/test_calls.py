"""Calls that nobody made are such as somebody could make, and moments are what people mean."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.jsontext import parse
from countersign.mcp.call import read_name
from countersign.model.call import NameKind
from countersign.rehearsal.calls import Arguments, BadCall, make_call, read_arguments, set_argument, write_json
from countersign.rehearsal.moments import NoMoment, read_moment, read_moment_or_age, write_moment

NAMED = [
    ("", NameKind.TOOL, "query"),
    ("", NameKind.PROMPT, "summarise"),
    ("", NameKind.RESOURCE, "orders://schema"),
    ("resources/subscribe", NameKind.RESOURCE, "orders://schema"),
    ("completion/complete", NameKind.PROMPT, "summarise"),
    ("completion/complete", NameKind.RESOURCE, 'orders://"quoted"'),
]


@pytest.mark.parametrize(("method", "kind", "name"), NAMED)
@pytest.mark.parametrize("arguments", ["", '{"limit": 1.0}'])
def test_the_gateway_would_read_the_same_name_from_the_params(
    method: str, kind: NameKind, name: str, arguments: str
) -> None:
    call = make_call("orders", method, kind, name, arguments)
    params = parse(call.params_json).root
    assert isinstance(params, dict)
    assert read_name(call.method, params) == (kind, name) == (call.name_kind, call.name)
    assert arguments in call.params_json


@pytest.mark.parametrize(
    ("method", "kind", "name", "said"),
    [
        ("", NameKind.NONE, "", "nothing says what is called"),
        ("tools/call", NameKind.NONE, "", "tools/call does not take no name: name a tool"),
        ("tools/call", NameKind.PROMPT, "x", "tools/call does not take a prompt"),
        ("tools/list", NameKind.TOOL, "x", "remove the name"),
        ("completion/complete", NameKind.TOOL, "x", "name a prompt or resource"),
    ],
)
def test_call_that_nobody_can_make_is_refused(method: str, kind: NameKind, name: str, said: str) -> None:
    with pytest.raises(BadCall, match=said):
        make_call("orders", method, kind, name, "")


@pytest.mark.parametrize("text", ["", "[]", "1", '{"a": 1, "a": 2}', "{'a': 1}", "NaN"])
def test_arguments_that_are_no_object_are_refused(text: str) -> None:
    with pytest.raises(BadCall, match="the arguments are no"):
        read_arguments(text)


def given_arguments(*texts: str) -> str:
    arguments: Arguments = {}
    for text in texts:
        name, _, value = text.partition("=")
        set_argument(arguments, name, value)
    return write_json(arguments)


def test_arguments_of_a_command_line_are_json_or_else_text() -> None:
    numbers = given_arguments("limit=100", "big=1e400", "one=1.0")
    assert numbers == '{"limit": 100, "big": 1e400, "one": 1.0}'
    text = given_arguments("region=eu", 'id="7"', "on=true", "f.r=x", "f.s=null", "e=")
    assert text == '{"region": "eu", "id": "7", "on": true, "f": {"r": "x", "s": null}, "e": ""}'


@pytest.mark.parametrize("texts", [("a=1", "a=2"), ("a=1", "a.b=2"), ("a.b=1", "a=2"), ("=1",), ("a.=1",)])
def test_argument_that_is_given_twice_or_leads_nowhere_is_refused(texts: tuple[str, ...]) -> None:
    with pytest.raises(BadCall):
        given_arguments(*texts)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(value=json_values)
def test_what_is_written_reads_the_same(value: object) -> None:
    assert json.loads(write_json(parse(json.dumps(value)).root)) == value


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2026-11-21T10:00:00Z", "2026-11-21T10:00:00Z"),
        ("2026-11-21", "2026-11-21T00:00:00Z"),
        ("2026-11-21T10:00:00.25+01:00", "2026-11-21T09:00:00.25Z"),
        ("7d", "2026-11-14T10:00:00Z"),
        ("90s", "2026-11-21T09:58:30Z"),
    ],
)
def test_moments_and_ages_are_read(text: str, written: str) -> None:
    assert write_moment(read_moment_or_age(text, read_moment("2026-11-21T10:00:00Z"))) == written


@pytest.mark.parametrize("text", ["", "yesterday", "7", "-7d", "7y", "2026-13-01", "0001-01-01T00:00:00+14:00x"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(NoMoment):
        read_moment_or_age(text, 0)
