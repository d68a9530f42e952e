"""What the bridge remembers of servers says nothing of those who asked them."""

from __future__ import annotations

import json

from countersign.bridge.refusals import KnownLegacy
from countersign.bridge.requests import read_post
from countersign.bridge.streams import Event
from tests.unit.bridge.rig import config_of, scripted

TARGET = config_of(scripted()).targets["git"]


def test_a_server_known_to_be_legacy_is_so_in_our_words_and_not_in_those_that_it_had_for_somebody_else() -> None:
    known = KnownLegacy()
    mine, his = (
        read_post(f'{{"jsonrpc":"2.0","id":"{who}","method":"server/discover","params":{{}}}}'.encode(), 64)
        for who in ("alice", "bob")
    )
    assert known.answer(TARGET, his) is None
    error = {"code": -32601, "message": "alice's client has no such method", "data": {"from": "alice"}}
    said = json.dumps({"jsonrpc": "2.0", "id": "alice", "error": error}).encode()
    assert known.learn(TARGET, mine, Event(1, said, last=True, status=404))
    found = known.answer(TARGET, his)
    assert found is not None
    status, body = found
    error = {"code": -32601, "message": "Method not found"}
    assert (status, json.loads(body)) == (404, {"jsonrpc": "2.0", "id": "bob", "error": error})
