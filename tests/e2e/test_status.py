"""`countersign status` says what is in force where, and why an edit is not."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from countersign.config.version import version_of
from tests.support.clients import Rpc, post
from tests.support.gateway import Gateway, Setup, Upstream, running_gateway, wait_until
from tests.support.issuer import running_issuer
from tests.support.targets import answers, scripted_target, speaks_mcp, tool_text

SEEN_S = 15.0
SETUP = Setup("https://idp.test", {"orders": Upstream("http://127.0.0.1:9/mcp")})


def asked(gateway: Gateway, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "countersign.cli.main", "status", "--state", str(gateway.state), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def told(gateway: Gateway) -> dict[str, Any]:
    answer = asked(gateway, "--json")
    parsed: dict[str, Any] = json.loads(answer.stdout)
    assert answer.returncode == bool(parsed["problems"])
    return parsed


async def test_status_follows_the_life_of_an_edit() -> None:
    with running_gateway(SETUP) as gateway:
        first = version_of(gateway.config.read_bytes())
        now = await asyncio.to_thread(told, gateway)
        assert now["problems"] == []
        assert {part["policyVersion"] for part in now["parts"].values()} == {first}
        assert set(now["parts"]) == {"recorder", "authz", "masker"}
        # The log that `up` made is the gateway's host's.
        assert now["parts"]["recorder"]["log"] == "127.0.0.1: 0 events, 0 of them published"

        nameless = [{"allow": {"groups": ["analysts"], "targets": [f"elsewhere-{i}"]}} for i in range(14)]
        gateway.reconfigure(replace(SETUP, rules=[*SETUP.rules, *nameless]))

        def everybody_refused() -> bool:
            return all(part.get("refused") for part in told(gateway)["parts"].values())

        await asyncio.to_thread(wait_until, everybody_refused, SEEN_S, lambda: AssertionError(told(gateway)))
        refused = await asyncio.to_thread(told, gateway)
        assert {part["policyVersion"] for part in refused["parts"].values()} == {first}
        person = asked(gateway)
        assert person.returncode == 1
        assert "log 127.0.0.1: 0 events" in person.stdout
        assert "the version before it stays in force" in person.stdout
        assert "gateway.yaml:" in person.stdout
        assert "... and " in person.stdout

        gateway.reconfigure(SETUP)
        await asyncio.to_thread(
            wait_until, lambda: not told(gateway)["problems"], SEEN_S, lambda: AssertionError(told(gateway))
        )


async def test_a_rule_about_a_tool_that_is_not_offered_is_warned_of_once_that_is_known() -> None:
    with running_issuer() as issuer:
        async with scripted_target(speaks_mcp(answers(tool_text("fine")), tools=("query", "list_tables"))) as target:
            misspelt = {"name": "misspelt", "deny": {"targets": ["orders"], "tools": ["list_table"]}}
            setup = Setup(issuer.url, {"orders": Upstream(target.url)}, [*SETUP.rules, misspelt])
            with running_gateway(setup) as gateway:

                def warned() -> list[str]:
                    return [*told(gateway)["parts"]["authz"].get("warnings", [])]

                before = await asyncio.to_thread(warned)
                assert any("operators" in warning for warning in before)
                assert not any("misspelt" in warning for warning in before)
                token = issuer.token("alice", gateway.endpoint())
                listed = await post(gateway.endpoint(), token, Rpc("tools/list", {}))
                assert listed.status_code == 200
                await asyncio.to_thread(
                    wait_until,
                    lambda: any("`misspelt`" in line and "did you mean `list_tables`?" in line for line in warned()),
                    SEEN_S,
                    lambda: AssertionError(warned()),
                )
                assert "warning: " in (await asyncio.to_thread(asked, gateway)).stdout


def test_nobody_there_is_told_from_trouble(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "countersign.cli.main", "status", "--state", str(tmp_path)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode == 3
    assert "away" in answer.stdout


def test_a_service_alone_needs_the_key_and_shows_none_of_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "countersign.cli.main", "status", "--service"]
    for given, code in ((["authz=127.0.0.1:9"], 2), (["authz"], 2)):
        answer = subprocess.run([*command, *given], capture_output=True, text=True, timeout=60, check=False, env={})
        assert answer.returncode == code
        assert "COUNTERSIGN_KEY_FILE" in answer.stderr or "NAME=HOST:PORT" in answer.stderr
