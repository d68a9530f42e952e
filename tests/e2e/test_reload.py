"""An edit of gateway.yaml takes force while calls go on; a broken one changes nothing and is told."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import grpc
import httpx
import pytest

from countersign.api.access.v1 import status_pb2, status_pb2_grpc
from countersign.config.version import version_of
from tests.fault.rig import RULES, TARGET, Caller, Rig, eventually, new_marker, question, running_rig
from tests.fault.traffic import assert_promises, traffic
from tests.support.gateway import Upstream
from tests.support.targets import Steps, answers, event, final_event, scripted_target, tool_text

TAKEN_S = 15.0
SUPPORT: Mapping[str, object] = {
    "name": "support asks",
    "allow": {"groups": ["support"], "targets": [TARGET], "tools": ["query"]},
    "mask": ["secrets", "pii"],
}


@pytest.fixture(scope="module")
def started() -> Iterator[Rig]:
    with running_rig() as running:
        yield running


@pytest.fixture
async def rig(started: Rig) -> Rig:
    """The rig with its first configuration in force, whatever the test before did."""
    await edited(started)
    return started


async def edited(
    rig: Rig, rules: tuple[Mapping[str, object], ...] = RULES, targets: Mapping[str, Upstream] | None = None
) -> None:
    """Edit gateway.yaml, and return when every part follows it: each counts from its own look at the file."""
    known = rig.gateway.setup.targets[TARGET]
    rig.gateway.reconfigure(replace(rig.gateway.setup, rules=rules, targets={TARGET: known, **(targets or {})}))
    version = version_of(rig.gateway.config.read_bytes())
    await eventually(lambda: in_force(rig) == version, TAKEN_S, "a word about the edit")
    for part in ("authz", "masker"):
        await eventually(partial(follows, rig, part, version), TAKEN_S, f"{part}'s own look")


def in_force(rig: Rig) -> str:
    """The version that ``up`` told of last."""
    return str(re.findall(r"policy version (\w+)", rig.gateway.output())[-1])


async def follows(rig: Rig, part: str, version: str) -> bool:
    """Whether a part judges by a version: one that it misses is none that it could take in later."""
    async with grpc.aio.insecure_channel(f"unix:{rig.gateway.state}/run/{part}.sock") as channel:
        status = status_pb2_grpc.StatusServiceStub(channel)
        told = await status.GetStatus(status_pb2.GetStatusRequest(), timeout=TAKEN_S)
    return told.policy_version == version


async def eventually_answers(caller: Caller, denied: bool) -> None:
    """Return when calls of this caller are denied, or no longer so."""

    async def so() -> bool:
        answer = await caller.ask()
        assert answer.status_code == 200, answer.text
        return bool(answer.json()["result"]["isError"]) is denied

    await eventually(so, TAKEN_S, "the edit")


async def test_a_rule_takes_force_and_goes_again_without_a_restart(rig: Rig) -> None:
    # Not what they start themselves: the database has a process for each connection.
    up = rig.gateway.processes()[0]
    parts = {process.pid for process in up.children()}
    async with rig.target(answers(tool_text("fine"))) as target, httpx.AsyncClient() as http:
        bob = Caller(http, rig.url, rig.token("bob"))
        await eventually_answers(bob, denied=True)
        assert bytes(target.raw) == b""
        await edited(rig, (*RULES, SUPPORT))
        await eventually_answers(bob, denied=False)
        await edited(rig)
        await eventually_answers(bob, denied=True)
    assert {process.pid for process in up.children()} == parts


async def test_a_target_takes_force_without_a_restart(rig: Rig) -> None:
    rule: Mapping[str, object] = {
        "name": "all targets",
        "allow": {"groups": ["analysts"], "targets": ["second"], "tools": ["*"]},
        "mask": ["pii"],
    }
    async with scripted_target(answers(tool_text("second"))) as second, httpx.AsyncClient() as http:
        url = rig.gateway.endpoint("second")
        caller = Caller(http, url, rig.hold(rig.issuer.token("alice", url)))
        assert (await caller.ask()).status_code == 404
        upstream = Upstream(second.url)
        rig.hold(upstream.credential)
        await edited(rig, (*RULES, rule), {"second": upstream})

        async def served() -> bool:
            answer = await caller.ask()
            # Until all parts know the target it may be missing, or not yet judged; it is never let through unjudged.
            assert answer.status_code in (200, 404, 502, 503), answer.text
            return answer.status_code == 200

        await eventually(served, TAKEN_S, "the new target")
        assert second.received[-1].header("authorization") == f"Bearer {upstream.credential}"
        await edited(rig)

        async def gone() -> bool:
            return (await caller.ask()).status_code == 404

        await eventually(gone, TAKEN_S, "the end of the target")


BROKEN = {
    "no YAML": b"version: 1\nrules: [",
    "nothing": b"",
    "an unknown key": b'{"version": 1, "ruls": []}',
    "not UTF-8": b"\xff\xfe",
}


@pytest.mark.parametrize("how", BROKEN)
async def test_a_broken_edit_changes_nothing_and_is_told(rig: Rig, how: str) -> None:
    good = rig.gateway.config.read_bytes()
    said = len(rig.gateway.output())
    async with rig.target(answers(tool_text("fine"))), rig.caller() as alice, httpx.AsyncClient() as http:
        bob = Caller(http, rig.url, rig.token("bob"))
        replaced(rig.gateway.config, BROKEN[how])
        await eventually(lambda: "REFUSED" in rig.gateway.output()[said:], TAKEN_S, "the refusal")
        for part in ("authz", "masker"):
            await eventually(partial(refused, rig.gateway.state / "logs" / f"{part}.log"), TAKEN_S, f"{part}'s log")
        assert str(rig.gateway.config) in rig.gateway.output()[said:], "it says where"
        await eventually_answers(alice, denied=False)
        await eventually_answers(bob, denied=True)
        assert "REFUSED" in rig.gateway.output()[said:]
        assert rig.gateway.output()[said:].count("REFUSED") == 1, "told once, not at every look"
        replaced(rig.gateway.config, good.replace(b'"version": 1', b'"version":  1'))
        await eventually(lambda: "took force" in rig.gateway.output()[said:], TAKEN_S, "the mended file")
        await eventually_answers(alice, denied=False)


async def test_a_broken_edit_that_is_taken_back_is_told_too(rig: Rig) -> None:
    good = rig.gateway.config.read_bytes()
    said = len(rig.gateway.output())
    replaced(rig.gateway.config, BROKEN["nothing"])
    await eventually(lambda: "REFUSED" in rig.gateway.output()[said:], TAKEN_S, "the refusal")
    replaced(rig.gateway.config, good)
    await eventually(lambda: "was taken back" in rig.gateway.output()[said:], TAKEN_S, "the word that all is well")


def replaced(config: Path, content: bytes) -> None:
    temporary = config.with_suffix(".edited")
    temporary.write_bytes(content)
    temporary.replace(config)


def refused(log: Path) -> bool:
    """Whether the last line about gateway.yaml in a log tells of a refusal."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if "gateway.yaml" in line]
    return bool(lines) and "refused" in lines[-1]["message"]


async def test_a_part_that_starts_while_the_file_is_broken_does_not_open_the_gateway(rig: Rig) -> None:
    good = rig.gateway.config.read_bytes()
    async with rig.target(answers(tool_text("fine"))) as target, rig.caller() as caller:
        await eventually_answers(caller, denied=False)
        replaced(rig.gateway.config, BROKEN["no YAML"])
        reached = len(target.received)
        dead = rig.gateway.kill("authz")
        answer = await caller.ask()
        assert answer.status_code == 503
        assert len(target.received) == reached
        await eventually(lambda: "authz cannot start" in rig.gateway.output(), TAKEN_S, "why authz cannot start")
        replaced(rig.gateway.config, good)
        await rig.until_restarted("authz", dead)
        await eventually_answers(caller, denied=False)


async def test_an_open_stream_survives_an_edit(rig: Rig) -> None:
    canary, marker = rig.canary(), new_marker()
    note = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": canary}}
    steps = Steps([event(note), event(note), final_event(tool_text(canary))])
    async with (
        rig.target(steps) as target,
        rig.caller() as caller,
        httpx.AsyncClient() as http,
        caller.stream(question(marker)) as answer,
    ):
        pieces = answer.aiter_bytes()
        steps.release()
        got = await anext(pieces)
        await edited(rig, (*RULES, SUPPORT))
        target.script = answers(tool_text("fine"))
        await eventually_answers(Caller(http, rig.url, rig.token("bob")), denied=False)
        steps.release(2)
        async with asyncio.timeout(10):
            async for piece in pieces:
                got += piece
    assert got.count(b"[EMAIL]") == 3
    assert canary.encode() not in got
    kinds = [row.kind for row in rig.record.call(marker)]
    assert kinds == ["request", "stream_event", "stream_event", "stream_event", "stream_end"]


async def test_no_call_fails_because_of_an_edit(rig: Rig) -> None:
    async with rig.target(answers(tool_text("fine"))) as target:
        async with traffic(rig) as state:
            for rules in ((*RULES, SUPPORT), RULES, (*RULES, SUPPORT)):
                await edited(rig, rules)
                await state.until_answered()
        assert_promises(rig, state, target, set())
        assert state.cut == []
        assert state.refused == {}
