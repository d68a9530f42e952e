"""``countersign verify``: the words and the exit codes of a check, offline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from countersign.cli.main import app
from tests.support.audited import LOG, ORIGIN, POLICY_TEXT, Record, session_id, small_record

RECORD = small_record()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A policy, the exports of a sealed and of an open session, and a dump."""
    (tmp_path / "policy").write_text(POLICY_TEXT)
    (tmp_path / "sealed").write_bytes(RECORD.export("a"))
    (tmp_path / "open").write_bytes(RECORD.export("b", unsealed=True))
    dump(RECORD, tmp_path / "dump")
    return tmp_path


def dump(record: Record, folder: Path) -> None:
    for path, content in record.dump().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["verify", *arguments, "--policy", str(folder / "policy")])


def test_a_true_export_is_valid(folder: Path) -> None:
    result = run(folder, str(folder / "sealed"))
    assert result.exit_code == 0
    told = " ".join(result.stdout.split())
    assert told.startswith(f"VALID: session {session_id('a')} is whole, unaltered and in order log {ORIGIN}, 7 events")
    assert f"signed {LOG.verifier} witnessed w1, 2026-09-21 14:13:20 UTC" in told
    assert "sealed idle; 0 allowed requests without an answer bodies 2 proven, 0 not shown" in told
    facts = json.loads(run(folder, str(folder / "sealed"), "--json").stdout)
    assert (facts["verdict"], facts["events"], facts["origin"], facts["size"]) == ("VALID", 4, ORIGIN, 7)
    assert facts["witnessed"] == [{"witness": "w1", "time_s": 1_790_000_000}]


def test_a_session_without_a_seal_is_not_valid_but_unsealed(folder: Path) -> None:
    result = run(folder, str(folder / "open"))
    assert result.exit_code == 3
    assert result.stdout.startswith("UNSEALED: ")
    assert "VALID" not in result.stdout
    assert json.loads(run(folder, str(folder / "open"), "--json").stdout)["verdict"] == "UNSEALED"


def test_the_first_thing_wrong_is_named_and_no_terminal_obeys_it(folder: Path) -> None:
    bad = RECORD.export("a").replace(b"orders", b"0rders", 1)
    (folder / "bad").write_bytes(bad)
    event_id = json.loads(RECORD.of("a")[0].leaf)["event_id"]
    result = run(folder, str(folder / "bad"))
    assert (result.exit_code, result.stdout.split(":")[:2]) == (
        1,
        ["INVALID", f" line 2, event 1 of the log, id {event_id}"],
    )
    facts = json.loads(run(folder, str(folder / "bad"), "--json").stdout)
    assert (facts["verdict"], facts["line"]) == ("INVALID", 2)
    name = "\x1b]0;owned\x07"
    (folder / "dump" / "tile" / name).write_bytes(b"")
    result = run(folder, "--full", str(folder / "dump"))
    assert result.exit_code == 1
    assert "\\x1b]0;owned\\x07" in result.stdout
    assert "\x1b" not in result.stdout + run(folder, "--full", str(folder / "dump"), "--json").stdout


def test_bodies_that_nothing_proves_are_said_to_be_so(folder: Path) -> None:
    record = Record()
    old = record.event("a", recorded_us=None)
    record.seal("a")
    record.shown[0] = type(old)(old.index, old.leaf, body=b"anything")
    (folder / "old").write_bytes(record.export("a"))
    result = run(folder, str(folder / "old"))
    assert result.exit_code == 0
    assert "1 NOT PROVEN" in result.stdout


def test_a_policy_without_witnesses_is_said_to_be_one(folder: Path) -> None:
    (folder / "policy").write_text(f"log {LOG.verifier}\nquorum none\n")
    assert "your policy asks for no witness" in run(folder, str(folder / "sealed")).stdout


@pytest.mark.parametrize("kept", ["dump", "sealed", "checkpoint"])
def test_a_dump_goes_on_from_what_was_kept(folder: Path, kept: str) -> None:
    (folder / "checkpoint").write_text(RECORD.checkpoint(3))
    result = run(folder, "--full", str(folder / "dump"), "--previous", str(folder / kept))
    assert result.exit_code == 0
    assert result.stdout.startswith(f"VALID: the log {ORIGIN} is whole and unaltered")
    assert f"the first {3 if kept == 'checkpoint' else 7} events are those" in result.stdout
    assert "1 sealed and whole, 1 not sealed" in result.stdout


def test_a_dump_that_lost_events_since_is_invalid(folder: Path) -> None:
    dump(Record(RECORD.shown[:5]), folder / "shorter")
    result = run(folder, "--full", str(folder / "shorter"), "--previous", str(folder / "sealed"), "--json")
    assert result.exit_code == 1
    assert "events were removed" in json.loads(result.stdout)["problem"]


def test_a_pipe_in_a_dump_does_not_make_it_wait(folder: Path) -> None:
    (folder / "dump" / "tile" / "0" / "000.p" / "7").unlink()
    os.mkfifo(folder / "dump" / "tile" / "0" / "000.p" / "7")
    result = run(folder, "--full", str(folder / "dump"))
    assert (result.exit_code, result.stdout) == (1, "INVALID: tile/0/000.p/7: this file is missing\n")


CALLS = {
    "no such file": ("{0}/missing",),
    "no such policy": ("{0}/sealed", "--policy", "{0}/missing"),
    "a policy that is none": ("{0}/sealed", "--policy", "{0}/sealed"),
    "a policy without a log": ("{0}/sealed", "--policy", "{0}/empty"),
    "a folder without --full": ("{0}/dump",),
    "a file with --full": ("--full", "{0}/sealed"),
    "--previous without --full": ("{0}/sealed", "--previous", "{0}/sealed"),
    "no such previous": ("--full", "{0}/dump", "--previous", "{0}/missing"),
    "nothing": (),
}


@pytest.mark.parametrize("arguments", CALLS.values(), ids=CALLS)
def test_a_call_that_checks_nothing_is_neither_valid_nor_invalid(folder: Path, arguments: tuple[str, ...]) -> None:
    (folder / "empty").write_text("quorum none\n")
    result = run(folder, *[each.format(folder) for each in arguments])
    if "--policy" in arguments:
        given = [each.format(folder) for each in arguments]
        result = CliRunner().invoke(app, ["verify", *given])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr


def test_it_needs_no_service_and_no_network() -> None:
    program = (
        "import sys\n"
        "from typer.main import get_group\n"
        "from countersign.cli.main import app\n"
        "get_group(app).commands['verify']\n"
        "print(*sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in ended.stdout.split()}
    assert not loaded & {"grpc", "psycopg", "opentelemetry", "envoy", "httpx", "google", "pydantic"}
    ours = {".".join(name.split(".")[:2]) for name in ended.stdout.split() if name.startswith("countersign.")}
    assert ours <= {f"countersign.{room}" for room in ("audit", "cli", "model", "runtime", "tlog")}
