"""A caller knows its answer by the id that it sent, whatever that looks like; the record keeps none that masks find."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from countersign.runtime.rulebook import Rulebook
from tests.unit.masker.exchanging import EVENTS, JSON, MAIL, Bench, released

GATEWAY = """
version: 1
gateway: {url: "https://gateway.test"}
identity: {oidc: [{issuer: "https://idp.test"}]}
targets: {orders: {mcp: "http://127.0.0.1:9000/mcp"}}
rules:
  - {name: read, allow: {groups: [analysts], targets: [orders], tools: [query]}, mask: [pii]}
masks: {pii: {detect: [email], fields: [id]}}
"""


@pytest.fixture(scope="module")
def rulebook(tmp_path_factory: pytest.TempPathFactory, rules_cache: Path) -> Rulebook:
    path = tmp_path_factory.mktemp("ids") / "gateway.yaml"
    path.write_text(GATEWAY)
    return Rulebook(path, {}, rules_cache, reads=())


@pytest.fixture
def bench(rulebook: Rulebook) -> Bench:
    return Bench(rulebook)


def answer(id_json: str, rows: int) -> bytes:
    said = json.dumps([{"id": "x", f"mail {number}": MAIL} for number in range(rows)])
    return f'{{"result":{{"rows":{said}}},"jsonrpc":"2.0", "id" : {id_json} }}'.encode()


@pytest.mark.parametrize("id_json", ["7", f'"{MAIL}"', '"x"'])
@pytest.mark.parametrize("content_type", [JSON, EVENTS])
# With very many findings not every place is remembered.
@pytest.mark.parametrize("rows", [1, 100])
async def test_an_answer_has_the_id_of_its_request(bench: Bench, id_json: str, content_type: str, rows: int) -> None:
    data = answer(id_json, rows)
    await bench.head(content_type, id_json=id_json)
    shown = released(await bench.body(b"data: " + data + b"\n\n" if content_type == EVENTS else data, ends=True))
    message = json.loads(shown.removeprefix(b"data: "))
    assert message["id"] == json.loads(id_json)
    assert {row["id"] for row in message["result"]["rows"]} == {"[ID]"}
    assert shown.count(MAIL.encode()) == id_json.count(MAIL)
    assert MAIL.encode() not in b"".join(event.body for event in bench.sink.durable)


async def test_an_error_of_its_own_status_has_the_id_of_its_request(bench: Bench) -> None:
    await bench.head(JSON, 400, id_json="7")
    error = {"jsonrpc": "2.0", "id": 7, "error": {"code": -32602, "message": MAIL, "data": {"id": 7}}}
    message = json.loads(released(await bench.body(json.dumps(error).encode(), ends=True)))
    assert (message["id"], message["error"]["message"]) == (7, "[EMAIL]")
    assert message["error"]["data"] != {"id": 7}


async def test_no_id_but_the_callers_own_is_let_through(bench: Bench) -> None:
    await bench.head(EVENTS, id_json="1")
    request = {"jsonrpc": "2.0", "id": MAIL, "method": "ping"}
    shown = released(await bench.body(b"data: " + json.dumps(request).encode() + b"\n\n"))
    assert b"ping" in shown
    assert MAIL.encode() not in shown
