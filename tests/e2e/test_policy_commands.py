"""`countersign policy` on what really happened: a gateway with its record, and other rules tried on it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from countersign.api.recorder.v1 import session_pb2
from countersign.rehearsal.moments import write_moment
from tests.e2e.conftest import World
from tests.support.auditors import session_service
from tests.support.clients import call, post

SQL = "SELECT email FROM customers LIMIT 3"


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


async def policy(world: World, *arguments: str | Path, person: str = "carol") -> Ended:
    """Run `countersign policy` as a user would, with a person's token in the environment."""
    command = [sys.executable, "-m", "countersign.cli.main", "policy", *map(str, arguments)]
    environment = {
        **os.environ,
        "COUNTERSIGN_GATEWAY": world.gateway.url,
        "COUNTERSIGN_TOKEN": world.auditor_token(person),
    }
    done = await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def edited(world: World, folder: Path, **rules: Mapping[str, object]) -> Path:
    """The gateway's own file with more rules, as somebody would try them."""
    document = json.loads(world.gateway.config.read_text())
    document["rules"] += [
        {"name": name.replace("_", " "), **json.loads(json.dumps(rule))} for name, rule in rules.items()
    ]
    # What a copy names relatively would be looked for beside it.
    for target in document["targets"].values():
        target.pop("credential", None)
    path = folder / "new.yaml"
    path.write_text(json.dumps(document))
    return path


def now() -> str:
    return write_moment(time.time_ns() // 1_000)


async def asked(world: World, tool: str, **arguments: object) -> None:
    answer = await post(world.orders, world.token("alice"), call(tool, arguments))
    assert answer.status_code == 200


async def bounds(world: World) -> list[str]:
    """Make a few calls; return options that select these and no others."""
    since = now()
    await asked(world, "query", sql=SQL)
    await asked(world, "query", sql="SELECT 1")
    await asked(world, "export_table", table="customers")
    return ["--since", since, "--until", now(), "--target", "orders", "--subject", "alice"]


NO_CUSTOMERS = {"deny": {"tools": ["query"]}, "when": 'args.sql.contains("customers")'}


async def test_the_rules_in_force_would_decide_as_they_did(world: World) -> None:
    selected = await bounds(world)
    done = await policy(world, "backtest", world.gateway.config, *selected, "--fail-on-change", "--json")
    assert (done.code, done.err) == (0, "")
    told = json.loads(done.out)
    assert (told["calls"]["judged"], told["calls"]["changed"], told["calls"]["set_aside"]) == (3, 0, {})


async def test_a_new_rule_shows_which_recorded_calls_it_would_change(world: World, tmp_path: Path) -> None:
    selected = await bounds(world)
    new = edited(world, tmp_path, no_customers=NO_CUSTOMERS)
    done = await policy(world, "backtest", new, *selected, "--fail-on-change", "--json")
    assert done.code == 1
    told = json.loads(done.out)
    [change] = told["changes"]
    assert (change["name"], change["calls"], change["effect"]) == ("query", 1, "denied")
    assert (change["was"]["rules"], change["would_be"]["rules"]) == (["analysts read"], ["no customers"])
    assert change["principal"]["subject"] == "alice"
    again = await policy(world, "backtest", new, *selected, "--json")
    assert again.out == done.out
    shown = await policy(world, "backtest", new, *selected)
    assert "3 calls judged, 1 would change" in shown.out
    assert change["examples"][0] in shown.out

    explained = await policy(world, "explain", "-c", new, "--event", change["examples"][0], "--json")
    assert explained.code == 0
    why = json.loads(explained.out)
    assert why["recorded_decision"]["rules"] == ["analysts read"]
    assert why["decision"]["rules"] == ["no customers"]
    assert why["from"]
    assert any("judged the call" in note for note in why["notes"])


async def test_use_is_counted_again_as_it_was(world: World, tmp_path: Path) -> None:
    selected = await bounds(world)
    new = edited(world, tmp_path, enough={"deny": {"tools": ["query"]}, "when": "usage.calls_24h >= 1"})
    told = json.loads((await policy(world, "backtest", new, *selected, "--json")).out)
    changed = sum(change["calls"] for change in told["changes"])
    # The first of them may have been the first of the day.
    assert changed in (1, 2)
    events = [event for change in told["changes"] for event in change["examples"]]
    why = json.loads((await policy(world, "explain", "-c", new, "--event", events[-1], "--json")).out)
    assert why["usage"]["calls_24h"] >= 1
    assert why["decision"]["rules"] == ["enough"]


async def test_two_files_are_compared_on_recorded_calls(world: World, tmp_path: Path) -> None:
    selected = await bounds(world)
    ask = {"approve": {"principals": ["alice"], "tools": ["query"]}, "by": {"groups": ["owners"]}}
    new = edited(world, tmp_path, ask_first=ask)
    done = await policy(world, "backtest", new, "-c", world.gateway.config, *selected, "--json")
    assert (done.code, done.err) == (0, "")
    told = json.loads(done.out)
    assert [(one["effect"], one["calls"]) for one in told["changes"]] == [("approval", 2)]


async def test_masked_arguments_are_said_to_be_masked(world: World, tmp_path: Path) -> None:
    since = now()
    mail = "jane.doe" + "@" + "example.com"
    await asked(world, "query", sql=f"SELECT * FROM customers WHERE email = '{mail}'")
    selected = ["--since", since, "--until", now(), "--target", "orders", "--subject", "alice"]
    new = edited(world, tmp_path, no_customers=NO_CUSTOMERS)
    done = await policy(world, "backtest", new, *selected, "--json")
    told = json.loads(done.out)
    assert told["calls"]["judged_on_masked_arguments"] == 1
    [change] = told["changes"]
    explained = await policy(world, "explain", "-c", new, "--event", change["examples"][0])
    assert "masked before it was recorded" in explained.out
    assert mail not in explained.out + done.out


@pytest.mark.parametrize("person", ["alice", "bob"])
async def test_nobody_but_auditors_learns_what_was_called(world: World, person: str) -> None:
    refused = await policy(world, "backtest", world.gateway.config, "--since", "1h", person=person)
    assert (refused.code, refused.out) == (4, "")
    assert "not an auditor" in refused.err


async def test_what_a_backtest_reads_is_itself_on_record(world: World) -> None:
    since = now()
    done = await policy(world, "backtest", world.gateway.config, "--since", since, "--subject", "nobody-of-that-name")
    assert (done.code, done.err) == (0, "")
    async with session_service(world.gateway.url, world.auditor_token()) as sessions:
        reads = await sessions.list_sessions(session_pb2.SessionFilter(subject="carol", target="countersign"))
        bodies = [one.event.body for read in reads for one in await sessions.replay(read.session_id)]
    assert any(b"nobody-of-that-name" in body for body in bodies)
