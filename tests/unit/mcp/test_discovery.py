"""A client is told that calls may become tasks, and of what its target said nothing is another."""

from __future__ import annotations

import json
from typing import Any

import pytest

from countersign.jsontext import apply_edits, parse
from countersign.mcp import advertise_tasks, classify

TASKS = "io.modelcontextprotocol/tasks"


def answered(text: str, method: str | None = "server/discover") -> str:
    document = parse(text)
    return apply_edits(text, advertise_tasks(document, classify(document), method))


def discovered(capabilities: str) -> str:
    return f'{{"jsonrpc":"2.0","id":1, "result":{{"supportedVersions":["2026-07-28"],"capabilities" :{capabilities}}}}}'


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("{}", f'{{"extensions":{{"{TASKS}":{{}}}}}}'),
        ('{ "tools":{} }', f'{{"extensions":{{"{TASKS}":{{}}}}, "tools":{{}} }}'),
        ('{"extensions":{}}', f'{{"extensions":{{"{TASKS}":{{}}}}}}'),
        ('{"extensions":{"a/b":{"n":1.0}}}', f'{{"extensions":{{"{TASKS}":{{}},"a/b":{{"n":1.0}}}}}}'),
    ],
)
def test_tasks_are_declared_beside_what_the_target_declares(said: str, told: str) -> None:
    assert answered(discovered(said)) == discovered(told)
    assert json.loads(told)["extensions"][TASKS] == {}


@pytest.mark.parametrize(
    "said",
    [
        f'{{"extensions":{{"{TASKS}":{{}}}}}}',
        f'{{"extensions":{{"{TASKS}":{{"own":true}}}}}}',
        '{"extensions":{"io.modelcontextprotocol\\/tasks":null}}',
        '{"extensions":[]}',
        "[]",
        "null",
    ],
)
def test_what_the_target_declares_itself_or_oddly_stays(said: str) -> None:
    assert answered(discovered(said)) == discovered(said)


@pytest.mark.parametrize(
    "message",
    [
        {"result": {"supportedVersions": []}},
        {"error": {"code": -32601, "message": "no such method"}},
        {"result": {"result": {"capabilities": {}}}},
    ],
)
def test_other_answers_stay(message: dict[str, Any]) -> None:
    text = json.dumps({"jsonrpc": "2.0", "id": 1, **message})
    assert answered(text) == text


@pytest.mark.parametrize("method", ["tools/call", "initialize", None])
def test_answers_to_other_methods_stay(method: str | None) -> None:
    assert answered(discovered("{}"), method) == discovered("{}")
