"""Real calls, exported by an auditor with the command, are proved by whoever has the file and the policy alone."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from countersign.api.recorder.v1 import session_pb2
from countersign.cli import export, log, verify
from countersign.demo.steps import SQL
from tests.e2e.conftest import World
from tests.support.auditors import session_service
from tests.support.clients import LEGACY, mcp_client

app = typer.Typer()
for room in (log, export, verify):
    room.register(app)

SEALED_S = 60.0


async def command(world: World | None, *arguments: str, person: str = "carol") -> Result:
    """Run a command; without a ``world`` it is told of no gateway and has no token."""
    given = [*arguments]
    if world is not None:
        given += ["--gateway", world.gateway.url, "--token", world.auditor_token(person)]
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, given))


async def newest(world: World) -> session_pb2.Session:
    async with session_service(world.gateway.url, world.auditor_token()) as sessions:
        return (await sessions.list_sessions(session_pb2.SessionFilter(subject="alice", target="orders")))[0]


async def shown(world: World) -> None:
    """Return once the log has a checkpoint: the first one takes a second or so."""
    deadline = time.monotonic() + SEALED_S
    while (told := await command(world, "log", "checkpoint")).exit_code:
        assert time.monotonic() < deadline, told.output
        await asyncio.sleep(0.1)


async def test_a_session_is_proved_offline_once_its_client_ended_it(world: World, tmp_path: Path) -> None:
    async with mcp_client(world.orders, world.token("alice"), LEGACY) as client:
        await client.call_tool("query", {"sql": SQL})
        session = await newest(world)
        policy, file, dump = tmp_path / "policy", tmp_path / "session.jsonl", tmp_path / "dump"
        told = await command(world, "log", "policy", "--out", str(policy))
        assert told.exit_code == 0, told.output

        await shown(world)
        export_it = ("export", "session", session.session_id, "--out", str(file))
        early = await command(world, *export_it)
        assert (early.exit_code, "it is sealed" in early.stderr) == (1, True), early.output
        assert not list(tmp_path.glob("*session*"))

    deadline = time.monotonic() + SEALED_S
    while (done := await command(world, *export_it)).exit_code and time.monotonic() < deadline:
        assert "sealed" in done.stderr, done.output
        await asyncio.sleep(0.5)
    assert done.exit_code == 0, done.output

    proved = await command(None, "verify", str(file), "--policy", str(policy), "--json")
    assert proved.exit_code == 0, proved.output
    facts = json.loads(proved.stdout)
    assert (facts["verdict"], facts["session_id"]) == ("VALID", session.session_id)
    assert facts["events"] >= 6, "initialize, its answer, tools/call, its answer, DELETE, its answer, the seal"
    leaves = [json.loads(json.loads(line)["leaf"]) for line in file.read_text().splitlines()[1:-2]]
    assert "query" in {leaf["name"] for leaf in leaves if leaf["method"] == "tools/call"}
    assert b"@example." not in file.read_bytes()

    changed = tmp_path / "changed.jsonl"
    changed.write_bytes(file.read_bytes().replace(b"analysts read", b"analysts reap"))
    lie = await command(None, "verify", str(changed), "--policy", str(policy))
    assert (lie.exit_code, lie.stdout.startswith("INVALID")) == (1, True), lie.output

    again = await command(world, *export_it)
    assert (again.exit_code, "exists" in again.stderr) == (2, True), again.output

    kept = tmp_path / "checkpoint"
    assert (await command(world, "log", "checkpoint", "--out", str(kept))).exit_code == 0
    whole = await command(world, "log", "dump", str(dump))
    assert whole.exit_code == 0, whole.output
    full = await command(
        None, "verify", "--full", str(dump), "--policy", str(policy), "--previous", str(kept), "--json"
    )
    assert full.exit_code == 0, full.output
    assert json.loads(full.stdout)["verdict"] == "VALID"
    twice = await command(world, "log", "dump", str(dump))
    assert (twice.exit_code, "not empty" in twice.stderr) == (2, True), twice.output

    # As if it had broken off with its last files.
    (dump / "checkpoint").rename(dump / "unfinished")
    cut = await command(None, "verify", "--full", str(dump), "--policy", str(policy))
    assert (cut.exit_code, "checkpoint" in cut.stdout) == (1, True), cut.output
    gone_on = await command(world, "log", "dump", str(dump), "--json")
    assert (gone_on.exit_code, json.loads(gone_on.stdout)["whole"]) == (0, True), gone_on.output
    full = await command(None, "verify", "--full", str(dump), "--policy", str(policy), "--previous", str(kept))
    assert full.exit_code == 0, full.output


@pytest.mark.parametrize("person", ["alice", "bob"])
async def test_nobody_but_auditors_gets_proofs(world: World, person: str, tmp_path: Path) -> None:
    for arguments in (
        ("log", "status"),
        ("log", "policy"),
        ("log", "checkpoint"),
        ("log", "dump", str(tmp_path / "dump")),
        ("export", "session", "00000000-0000-4000-8000-000000000000", "--out", str(tmp_path / "x")),
    ):
        told = await command(world, *arguments, person=person)
        assert (told.exit_code, "not an auditor" in told.stderr) == (1, True), told.output
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


async def test_an_auditor_sees_how_the_log_stands(world: World) -> None:
    await shown(world)
    deadline = time.monotonic() + SEALED_S
    # What is told was looked at a second ago.
    while not (status := json.loads((await command(world, "log", "status", "--json")).stdout))["published_size"]:
        assert time.monotonic() < deadline
    assert (status["stopped"], status["witnesses_needed"], status["witnesses"]) == (None, 0, [])
    assert 0 < status["published_size"] <= status["integrated_size"] <= status["recorded_size"]
    text = await command(world, "log", "status")
    assert status["origin"] in text.stdout
    assert status["keys"][0] in text.stdout
