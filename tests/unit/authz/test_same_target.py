"""Authz and the hub find one and the same target in a request at the one door, or authz finds that there is none."""

from __future__ import annotations

import json
from itertools import product

import pytest

from countersign.authz.nameless import named_target
from countersign.hub.wording import ABOUT_ONE, target_of
from countersign.jsontext import parse
from countersign.mcp import HttpRequest, McpRefused, read_request
from countersign.model.door_names import NotNamed

HEADERS = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
STARTS = (
    "orders",
    "Orders",
    "ORDERS",
    "\uff4frders",
    "orders\u200b",
    " orders",
    "3scale",
    "mcp",
    "orders%5f",
    "",
    "o:r",
    "o+r",
)
ENDS = (
    "__query",
    "___",
    "__",
    "_\u005f_x__y",
    "+file:///a",
    "+",
    "+mcp+x:y",
    "+3scale+x:y",
    ":1",
    ":",
    "::",
    "%3a1",
    "__a+b:c",
)
PLACES = {
    "tools/call": ("name",),
    "prompts/get": ("name",),
    "resources/read": ("uri",),
    "resources/subscribe": ("uri",),
    "resources/unsubscribe": ("uri",),
    "tasks/get": ("taskId",),
    "tasks/update": ("taskId",),
    "tasks/cancel": ("taskId",),
    "tasks/result": ("taskId",),
    "completion/complete": ("ref", "name"),
}


def _params(method: str, text: str, decoy: str) -> dict[str, object]:
    *above, key = PLACES[method]
    params: dict[str, object] = {"name": decoy, "uri": decoy, "taskId": decoy, "ref": decoy}
    if above:
        return {**params, "ref": {"type": "ref/prompt", "uri": decoy, "name": text}}
    return {**params, key: text}


@pytest.mark.parametrize("method", [*sorted(PLACES), "completion/complete of a resource"])
def test_whoever_is_judged_to_be_asked_is_asked(method: str) -> None:
    method, _, of_resource = method.partition(" of ")
    assert method in ABOUT_ONE
    same = 0
    for start, end in product(STARTS, ENDS):
        params = _params(method, start + end, "other__x")
        if of_resource:
            params["ref"] = {"type": "ref/resource", "name": "other__x", "uri": start + end}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        try:
            message = read_request("mcp", HttpRequest("POST", HEADERS, body), max_depth=64).messages[0]
        except McpRefused:
            continue
        read = parse(json.dumps(params)).root
        assert isinstance(read, dict)
        try:
            found: str | None = target_of(method, read)[0]
        except NotNamed:
            found = None
        try:
            assert named_target(message) == found
        except NotNamed:
            assert found is None
        same += 1
    assert same


def test_all_methods_about_one_target_are_tried() -> None:
    assert PLACES.keys() == ABOUT_ONE
