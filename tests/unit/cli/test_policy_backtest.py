"""`countersign policy backtest` over a record in memory."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from countersign.api.recorder.v1 import session_pb2
from countersign.cli.policy.backtest import _redefined
from countersign.rehearsal.ruling import Ruling
from tests.support.events import ALICE, decision, request
from tests.support.gateway import free_port
from tests.unit.cli.policy_record import BOUNDS, HEAVY, LIMITED, TOKEN, Scripted, run, traffic
from tests.unit.cli.policy_record import options as options
from tests.unit.cli.policy_record import service as service
from tests.unit.config.files import edited, loaded
from tests.unit.rehearsal.policies import NO_EXPORTS, READ, write


def test_backtest_shows_what_would_change_by_rule_principal_and_tool(
    tmp_path: Path, service: Scripted, options: list[str]
) -> None:
    reads = traffic(service)
    result = run("backtest", write(tmp_path, LIMITED, NO_EXPORTS), *BOUNDS, *options)
    assert result.exit_code == 0
    assert "compared with what was decided then" in result.stdout
    assert "calls from 2026-09-21T00:00:00Z until 2026-09-22T00:00:00Z" in result.stdout
    assert "6 calls judged, 5 would change" in result.stdout
    assert all(title in result.stdout for title in ("BY RULE", "BY PRINCIPAL", "BY TOOL"))
    assert "allow (analysts read) masks pii -> deny" in result.stdout
    assert reads[0].event_id in result.stdout


def test_backtest_gives_the_same_bytes_for_the_same_record_also_when_the_stream_breaks(
    tmp_path: Path, service: Scripted, options: list[str]
) -> None:
    traffic(service)
    file = write(tmp_path, READ, HEAVY)
    first = run("backtest", file, *BOUNDS, "--json", *options)
    service.breaks = 2
    assert run("backtest", file, *BOUNDS, "--json", *options).stdout == first.stdout
    told = json.loads(first.stdout)
    assert (told["calls"]["judged"], told["calls"]["changed"]) == (6, 2)
    assert told["by_tool"] == [
        {
            "target": "orders",
            "method": "tools/call",
            "name": "query",
            "denied": 2,
            "allowed": 0,
            "approval": 0,
            "masks": 0,
        }
    ]


def test_backtest_compares_two_files(tmp_path: Path, service: Scripted, options: list[str]) -> None:
    traffic(service)
    old = write(tmp_path, name="old.yaml")
    new = write(tmp_path, masks={"pii": {"detect": ["us_ssn"]}})
    same = run("backtest", new, "-c", old, *BOUNDS, "--fail-on-change", *options)
    assert same.exit_code == 0
    assert "masks of the same name that are not the same: pii" in same.stdout
    limited = write(tmp_path, LIMITED, NO_EXPORTS)
    assert run("backtest", limited, "-c", old, *BOUNDS, "--fail-on-change", *options).exit_code == 1


def test_backtest_reads_a_day_more_only_for_rules_that_ask_for_use_and_no_bodies_of_it(
    tmp_path: Path, service: Scripted, options: list[str]
) -> None:
    run("backtest", write(tmp_path), *BOUNDS, "--target", "orders", "--subject", "alice", *options)
    run("backtest", write(tmp_path, READ, HEAVY), *BOUNDS, *options)
    plain, with_use = service.asked
    assert plain.since == plain.bodies_since == with_use.bodies_since
    assert plain.since.seconds - with_use.since.seconds == 24 * 3_600 + 1_800
    assert plain.filter == session_pb2.CallFilter(target="orders", subject="alice")


@pytest.mark.parametrize("hostile", ["\x1b]0;title\x07", "\r\nfaked line", "\u202ereversed", "\x9b1m", "[red]x"])
def test_recorded_names_cannot_steer_the_terminal(
    tmp_path: Path, service: Scripted, options: list[str], hostile: str
) -> None:
    service.record(request(name=hostile, principal=replace(ALICE, subject=hostile), decision=decision(rule=hostile)))
    for form in ([], ["--json"]):
        result = run("backtest", write(tmp_path), *BOUNDS, *form, *options)
        assert "1" in result.stdout
        assert all(char.isprintable() or char == "\n" for char in result.stdout)
        assert "\nfaked" not in result.stdout
    assert "[red]x" in run("backtest", write(tmp_path), *BOUNDS, *options).stdout or hostile != "[red]x"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, 4),
        (grpc.StatusCode.PERMISSION_DENIED, 4),
        (grpc.StatusCode.UNAVAILABLE, 3),
        (grpc.StatusCode.UNIMPLEMENTED, 3),
        (grpc.StatusCode.INTERNAL, 4),
    ],
)
def test_backtest_that_cannot_read_the_record_never_ends_as_if_it_had(
    tmp_path: Path, service: Scripted, options: list[str], status: grpc.StatusCode, code: int
) -> None:
    service.status = status
    result = run("backtest", write(tmp_path), *BOUNDS, "--fail-on-change", *options)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (code, "", 1)


@pytest.mark.parametrize("wrong", ["--since never", "--since 1d --until 2d", "--until x", "--limit 0"])
def test_backtest_refuses_a_wrong_command_line(tmp_path: Path, wrong: str) -> None:
    assert run("backtest", write(tmp_path), "--token", TOKEN, *wrong.split()).exit_code == 2


def test_backtest_needs_a_token_and_a_gateway(tmp_path: Path) -> None:
    file = write(tmp_path)
    assert run("backtest", file).exit_code == 2
    nobody = run("backtest", file, "--token", TOKEN, "--gateway", f"http://127.0.0.1:{free_port()}")
    assert nobody.exit_code == 3


def test_a_mask_whose_detector_is_another_one_counts_as_redefined(tmp_path: Path) -> None:
    stated = edited("{detect: [secrets]}", "{detect: [secrets, badge]}\ndetectors: {badge: {pattern: 'A-[0-9]{4}'}}")
    old = Ruling(loaded(tmp_path, stated))
    assert _redefined(old, Ruling(loaded(tmp_path, f"{stated}# the same\n"))) == ()
    assert _redefined(old, Ruling(loaded(tmp_path, stated.replace("A-", "B-")))) == ("secrets",)
