"""Sessions are sealed while calls, streams and approvals of theirs are under way: nobody notices, all is proved."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest
import typer
from typer.testing import CliRunner, Result

from countersign.cli import export, log, verify
from tests.fault.rig import RULES, TARGET, Rig, eventually, new_marker, running_rig
from tests.support.approvers import approval_service
from tests.support.auditors import session_service
from tests.support.clients import INITIALIZE, LEGACY, Rpc, call, post
from tests.support.targets import JSON_TYPE, Exchange, Steps, answers, event, final_event, result, speaks_mcp, tool_text

SEALED_S = 20.0
ASKING: Mapping[str, object] = {
    "name": "owners agree",
    "approve": {"groups": ["analysts"], "targets": [TARGET], "tools": ["drop"]},
    "by": {"groups": ["data-owners"]},
}

app = typer.Typer()
for room in (log, export, verify):
    room.register(app)


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    extra = {"recording": {"mode": "required", "seal_after": "1s"}, "approvals": {"hold": "30s"}}
    with running_rig(rules=(*RULES, ASKING), extra=extra) as running:
        yield running


class Shop:
    """A target that answers slowly once it is told to, streams step by step, and has legacy sessions."""

    def __init__(self) -> None:
        self.stream = Steps([event({"jsonrpc": "2.0", "method": "notifications/x"}), final_event(tool_text("told"))])
        self.release = asyncio.Event()
        self._others = speaks_mcp(self._call, tools=("query", "drop"))

    async def __call__(self, exchange: Exchange) -> None:
        """Be the script."""
        request = exchange.request
        if request.method == "initialize":
            legacy = result(exchange, {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {}})
            await exchange.head(length=len(legacy), content_type=JSON_TYPE, mcp_session_id="theirs")
            await exchange.body(legacy)
        elif request.verb == "DELETE":
            await exchange.head(200, length=0)
        else:
            await self._others(exchange)

    async def _call(self, exchange: Exchange) -> None:
        asked = json.dumps(exchange.request.message())
        if "streamed" in asked:
            await self.stream(exchange)
            return
        if "slow" in asked:
            await self.release.wait()
        await answers(tool_text("done"))(exchange)


def question(marker: str) -> Rpc:
    return call("query", {"marker": marker})


def sessions(rig: Rig, condition: str = "true") -> set[str]:
    found = rig.record.query("SELECT session_id::text, seal_index IS NULL FROM countersign.sessions")
    wanted = {"true": (True, False), "open": (True,), "sealed": (False,)}[condition]
    return {session for session, is_open in found if is_open in wanted}


async def until_all_are_sealed(rig: Rig, at_least: int = 1) -> set[str]:
    def all_sealed() -> bool:
        return len(sessions(rig, "sealed")) >= at_least and not sessions(rig, "open")

    await eventually(all_sealed, SEALED_S, "the seals of all sessions")
    return sessions(rig)


async def command(rig: Rig, *arguments: str, asks: bool = True) -> Result:
    given = [*arguments]
    if asks:
        given += ["--gateway", rig.gateway.url, "--token", rig.hold(rig.issuer.token("carol", rig.gateway.url))]
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, given))


async def test_nobody_notices_a_seal_and_everything_is_proved(rig: Rig, tmp_path: Path) -> None:
    shop, statuses = Shop(), list[int]()
    owner_token = rig.hold(rig.issuer.token("alice", rig.gateway.url, sub="dora", groups=["data-owners"]))
    async with (
        rig.target(shop),
        rig.caller() as slow,
        rig.caller() as streaming,
        rig.caller() as waiting,
        approval_service(rig.gateway.url, owner_token) as owner,
        session_service(rig.gateway.url, rig.hold(rig.issuer.token("carol", rig.gateway.url))) as auditor,
    ):
        listed = await slow.post(Rpc("tools/list"))
        opened = await post(rig.url, slow.token, INITIALIZE, era=LEGACY)
        legacy = {"mcp-session-id": opened.headers["mcp-session-id"]}
        statuses += [listed.status_code, opened.status_code]
        drop = call("drop", {"marker": new_marker()})
        async with asyncio.TaskGroup() as calls:
            late = calls.create_task(slow.post(question("slow")))
            told = calls.create_task(streaming.post(question("streamed")))
            agreed = calls.create_task(waiting.post(drop))
            shop.stream.release()
            approval = await owner.wait_for()
            await eventually(lambda: shop.stream.sent == 1)
            assert await auditor.list_sessions()
            await until_all_are_sealed(rig, at_least=5)

            again = await post(rig.url, slow.token, question("legacy"), era=LEGACY, headers=legacy)
            assert await auditor.list_sessions()
            assert "done" in (await waiting.post(question("beside"))).text
            await owner.decide(approval)
            shop.stream.release()
            shop.release.set()
        for answer, words in ((late.result(), "done"), (told.result(), "told"), (agreed.result(), "done")):
            assert words in answer.text
            statuses.append(answer.status_code)
        statuses.append(again.status_code)
        async with httpx.AsyncClient() as http:
            sent = {**INITIALIZE.headers(LEGACY), "authorization": f"Bearer {slow.token}", **legacy}
            statuses.append((await http.delete(rig.url, headers=sent)).status_code)
        for _ in range(3):
            after = await post(rig.url, slow.token, question("after"), era=LEGACY, headers=legacy)
            statuses.append(after.status_code)
    assert max(statuses) < 500, statuses
    await assert_all_is_proved(rig, tmp_path)


async def assert_all_is_proved(rig: Rig, folder: Path) -> None:
    done = await until_all_are_sealed(rig)
    continued = rig.record.query("SELECT count(*) FROM countersign.sessions WHERE continues IS NOT NULL")
    assert continued[0][0] >= 5
    after_seal = rig.record.query(
        "SELECT count(*) FROM countersign.events AS e JOIN countersign.sessions AS s USING (session_id)"
        " WHERE e.index > s.seal_index"
    )
    assert after_seal == [(0,)]
    recorded = rig.record.query("SELECT next_index FROM countersign.head")[0][0]

    async def is_published() -> bool:
        status = json.loads((await command(rig, "log", "status", "--json")).stdout)
        return bool(status["published_size"] >= recorded)

    await eventually(is_published, SEALED_S, "a checkpoint")
    policy = folder / "policy"
    told = await command(rig, "log", "policy", "--out", str(policy))
    assert told.exit_code == 0, told.output
    for session in sorted(done):
        file = folder / f"{session}.jsonl"
        exported = await command(rig, "export", "session", session, "--out", str(file))
        assert exported.exit_code == 0, exported.output
        proved = await command(rig, "verify", str(file), "--policy", str(policy), asks=False)
        assert (proved.exit_code, proved.stdout.startswith("VALID")) == (0, True), proved.output
    dump = folder / "dump"
    dumped = await command(rig, "log", "dump", str(dump))
    assert dumped.exit_code == 0, dumped.output
    whole = await command(rig, "verify", "--full", str(dump), "--policy", str(policy), asks=False)
    assert (whole.exit_code, whole.stdout.startswith("VALID")) == (0, True), whole.output
