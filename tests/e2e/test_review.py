"""`countersign review` on what really happened: use, review, paste the narrower rules, sign, and read it again."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import grpc
import typer
from typer.testing import CliRunner

from countersign.api.recorder.v1 import event_pb2
from countersign.cli import policy, review
from countersign.config import document
from countersign.config.problem import Problems
from tests.e2e.conftest import World
from tests.support.auditors import session_service
from tests.support.clients import call, post

app = typer.Typer()
app.callback()(lambda: None)
review.register(app)
policy.register(app)


async def run(world: World, *arguments: str | Path, person: str = "carol") -> tuple[int, str, str]:
    """Run `countersign` with a person's token in the environment."""
    environment = {
        "COUNTERSIGN_GATEWAY": world.gateway.url,
        "COUNTERSIGN_TOKEN": world.auditor_token(person),
        "COLUMNS": "200",
    }
    runner = CliRunner(env=environment)
    done = await asyncio.to_thread(lambda: runner.invoke(app, [*map(str, arguments)]))
    return done.exit_code, done.stdout, done.stderr


async def test_a_review_is_made_pasted_signed_and_replayed(world: World, tmp_path: Path) -> None:
    for tool, arguments in (("query", {"sql": "SELECT 1"}), ("export_table", {"table": "customers"})):
        answer = await post(world.orders, world.token("alice"), call(tool, arguments))
        assert answer.status_code == 200
    # What a copy names relatively would be looked for beside it.
    stated = json.loads(world.gateway.config.read_text())
    for target in stated["targets"].values():
        target.pop("credential", None)
    # Others use this gateway as well, and perhaps all that its rules grant.
    unused = {"name": "nobody is one of these", "allow": {"groups": ["retired"], "targets": ["orders"]}}
    stated["rules"].append(unused)
    old, new, file = tmp_path / "gateway.yaml", tmp_path / "new.yaml", tmp_path / "review.json"
    old.write_text(json.dumps(stated))

    code, _, error = await run(world, "review", "--since", "1h", "--config", old, "--format", "json", "-o", file)
    assert code == 0, error
    report = json.loads(file.read_text())
    alice = next(line for line in report["people"] if (line["subject"], line["target"]) == ("alice", "orders"))
    assert {"query": 1, "export_table": 0}.items() <= {
        one["name"]: min(one["counts"]["allowed"], 1) for one in alice["used"]
    }.items()
    told = report["narrower"]
    assert (told["refused"], told["changed"], told["from_allowed_to_denied"]) == ("", 0, 0)
    assert told["judged"] > 0
    assert any(line["rule"] == unused["name"] for line in report["grants"])

    rules = document.read(told["yaml"], Problems("pasted"))
    assert rules is not None
    pasted = rules.plain()
    assert isinstance(pasted, dict)
    new.write_text(json.dumps(stated | pasted))
    code, out, error = await run(
        world, "policy", "backtest", new, "-c", old, "--since", report["since"], "--until", report["until"],
        "--fail-on-change", "--json",
    )  # fmt: skip
    assert code == 0, out + error
    assert json.loads(out)["calls"]["judged"] > 0

    code, out, error = await run(world, "review", "sign", file, alice["id"], "--flag", "--note", "left the team")
    assert code == 0, error
    event_id = out.strip().rpartition(" ")[2]
    code, out, _ = await run(world, "review", "verdicts", file, "--json")
    [verdict] = map(json.loads, out.splitlines())
    assert (verdict["event_id"], verdict["line"], verdict["section"]) == (event_id, alice["id"], "people")

    code, out, error = await run(world, "review", "verdicts", file)
    assert (code, "flagged" in out, "left the team" in out, "are not signed" in error) == (0, True, True, True)

    code, out, _ = await run(world, "review", "--since", "1h", "--config", old)
    assert (code, "Rules to paste" in out, "alice" in out) == (0, True, True)
    for form, begins in (("html", "<!doctype html>"), ("md", "# Access review"), ("csv", "section,line,principal")):
        code, out, _ = await run(world, "review", "--since", "1h", "--format", form)
        assert (code, out.startswith(begins), "alice" in out) == (0, True, True)

    async with session_service(world.gateway.url, world.auditor_token()) as sessions:
        mine = [one for one in await sessions.list_sessions() if one.principal.subject == "carol"]
        events = [event.event for one in mine for event in await sessions.replay(one.session_id)]
    [signed] = [event for event in events if event.event_id == event_id]
    assert (signed.kind, signed.method, signed.reason) == (
        event_pb2.EVENT_KIND_REVIEWED,
        "flagged",
        "left the team",
    )

    refused = await run(world, "review", "sign", file, "0" * 16, "--certify")
    assert (refused[0], "no line" in refused[2]) == (2, True)
    file.write_text(file.read_text().replace("alice", "alicf"))
    changed = await run(world, "review", "sign", file, alice["id"], "--certify")
    assert (changed[0], "changed" in changed[2]) == (2, True)
    nobody = await run(world, "review", "--since", "1h", person="alice")
    assert nobody[0] == 1
    assert grpc.StatusCode.PERMISSION_DENIED.name not in nobody[1]
