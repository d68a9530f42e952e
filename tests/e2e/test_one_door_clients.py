"""The one door as others' clients see it: the TypeScript SDKs and the Inspector, of both eras."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.matrix.cells import CLIENTS, drive
from tests.matrix.steps import Door, Run, Step
from tests.support.door_targets import running_server
from tests.support.gateway import Setup, Upstream
from tests.support.in_turn import InTurn
from tests.support.issuer import running_issuer

TARGETS = ("old", "new")
RULES = ({"name": "analysts use all", "allow": {"groups": ["analysts"], "targets": ["*"]}},)


@pytest.fixture(scope="module")
def door(in_turn: InTurn) -> Iterator[Door]:
    with (
        running_issuer() as issuer,
        running_server("old", "legacy") as (old, _),
        running_server("new", "modern") as (new, _),
    ):
        extra = {"new_tools": "allow"}
        targets = {name: Upstream(f"{server.url}/mcp", extra=extra) for name, server in (("old", old), ("new", new))}
        gateway = in_turn.take(Setup(issuer.url, targets, RULES, hub=True))
        yield Door(url=gateway.door, token=issuer.token("alice", gateway.door))


def steps() -> list[Step]:
    found = [
        Step("tools", "lists", "list", {"what": "tools"}),
        Step("resources", "lists", "list", {"what": "resources"}),
        Step("prompts", "lists", "list", {"what": "prompts"}),
    ]
    for target in TARGETS:
        found += [
            Step(
                f"{target} call",
                "calls",
                "call",
                {"tool": f"{target}__where", "arguments": {"text": "läuft"}, "progress": False},
            ),
            Step(f"{target} read", "resources", "read", {"uri": f"{target}+file:///{target}/notes"}),
            Step(f"{target} prompt", "prompts", "prompt", {"prompt": f"{target}__greet", "arguments": {"who": "you"}}),
        ]
    return found


@pytest.mark.parametrize("name", ["fastmcp", "sdk1", "sdk2", "inspector"])
def test_others_clients_use_all_targets_through_one_door(door: Door, name: str) -> None:
    client = next(each for each in CLIENTS if each.name == name)
    runs = [Run(mode, mode, door, steps()).written() for mode in client.modes]
    saw = drive(client, runs)
    for run in runs:
        seen = {each.step: json.dumps(each.what, ensure_ascii=False) for each in saw if each.run == run["name"]}
        for target in TARGETS:
            assert f'"{target}__where"' in seen["tools"], seen
            assert f'"{target}+file:///{target}/notes"' in seen["resources"]
            assert f'"{target}__greet"' in seen["prompts"]
            assert f"{target} läuft" in seen[f"{target} call"]
            assert f"notes of {target}" in seen[f"{target} read"]
            assert f"{target} greets you" in seen[f"{target} prompt"]
