"""What is kept of real calls, through a real Envoy: auditors see it, and nobody but an operator holds it back."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import typer
from typer.testing import CliRunner, Result

from countersign.cli import keep
from countersign.demo.steps import SQL
from tests.e2e.conftest import World
from tests.support.clients import LEGACY, mcp_client

app = typer.Typer()
keep.register(app)


async def command(world: World, *arguments: str) -> Result:
    given = ["keep", *arguments, "--gateway", world.gateway.url, "--token", world.auditor_token()]
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, given))


async def test_auditors_see_what_is_kept_and_hold_nothing(world: World) -> None:
    async with mcp_client(world.orders, world.token("alice"), LEGACY) as client:
        await client.call_tool("query", {"sql": SQL})
    told = await command(world, "shelves", "--json")
    assert told.exit_code == 0, told.output
    shelves = {(one["target"], one["month"]): one for one in json.loads(told.stdout)["shelves"]}
    this = shelves["orders", f"{datetime.now(UTC):%Y-%m}"]
    assert int(this["size_bytes"]) > 0
    assert not {"due_at", "erased_at"} & set(this)

    refused = await command(world, "hold", "--subject", "alice", "--issuer", world.issuer.url, "--reason", "case 17")
    assert (refused.exit_code, "operators" in refused.stderr) == (1, True), refused.output
    none = await command(world, "holds")
    assert (none.exit_code, "nothing is held" in none.stderr) == (0, True), none.output
