"""`countersign approvals`: what is shown is decided; what the server says arrives; no text commands a terminal."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner, Result

from countersign.api.approvals.v1 import approval_pb2, approvals_pb2
from countersign.cli import approvals
from countersign.cli.approvals.shown import approval_table, needs, outcome, short_ids, span
from countersign.model.approval import ApprovalState, Requirement
from tests.support.gateway import free_port
from tests.unit.cli.approving import FIRST, GLASS, LATER_US, NOW_US, SECOND, Scripted, approval, serving

app = typer.Typer()
app.callback()(lambda: None)
approvals.register(app)
TOKEN = "-".join(["credential", "canary"])


@dataclass
class Bench:
    """The service and the options that reach it."""

    service: Scripted
    options: list[str]

    def run(self, *arguments: str, typed: str | None = None) -> Result:
        found = CliRunner().invoke(app, ["approvals", *arguments, *self.options], input=typed, terminal_width=200)
        assert "\x1b" not in found.output
        assert "\u202e" not in found.output
        assert TOKEN not in found.output
        return found


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    service = Scripted()
    service.put(approval())
    file = tmp_path / "token"
    file.write_text(TOKEN)
    with serving(service) as port:
        yield Bench(service, ["--gateway", f"http://127.0.0.1:{port}", "--token-file", str(file)])


def test_what_is_open_is_listed_page_by_page(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    bench.service.put(approval(SECOND, state=ApprovalState.APPROVED, grant_until_us=LATER_US))
    result = bench.run("list", "--to-decide", "--mine", "--state", "pending", "--state", "approved")
    first, second = (line.split() for line in result.stdout.splitlines()[1:])
    assert first[:6] == [FIRST, "pending", "ann", "through", "bot", r"orders/query\x1b[2J"]
    assert first[6:10] == ["1", "of", "2", "from"]
    assert second[:2] == [SECOND, "approved"]
    asked = bench.service.listed[0]
    assert (asked.to_decide, asked.mine, asked.page_size) == (True, True, 100)
    assert list(asked.states) == [approval_pb2.APPROVAL_STATE_PENDING, approval_pb2.APPROVAL_STATE_APPROVED]
    assert bench.service.credentials == {f"Bearer {TOKEN}"}


def test_no_more_are_listed_than_asked_for(bench: Bench) -> None:
    bench.service.put(approval(SECOND))
    listed = json.loads(bench.run("list", "--limit", "1", "--json").stdout)["approvals"]
    assert [one["id"] for one in listed] == [FIRST]


def test_nothing_that_waits_is_said(bench: Bench) -> None:
    bench.service.approvals.clear()
    result = bench.run("list")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "nothing waits" in result.stderr


def test_all_that_matters_is_shown(bench: Bench) -> None:
    lines = bench.run("show", FIRST[:8]).stdout.splitlines()
    for shown in (
        r"ann through bot wants to call query\x1b[2J on orders",
        '    "sql": "delete from t"',
        "sql (postgres): mass_write · t · no bound",
        r"  delete from t\x1b]0;x\x07",
        r"  Runs SQL\u202e.",
        "why:     Rule `writes` asks for 2 different people of data-owners (for one call).",
        "needs:   1 of 2 from data-owners",
        r"decided: carol agreed at 2026-09-21 14:13:20 UTC: fine\x1b[1A",
        f"id:      {FIRST}, version 1",
        "digest:  0001020304050607",
        "You may decide.",
    ):
        assert shown in lines


def test_whoever_may_not_decide_is_told_why(bench: Bench) -> None:
    bench.service.why_not = "you may not decide about it: you asked for it\x1b[2J"
    assert r"You may not decide: you asked for it\x1b[2J." in bench.run("show", FIRST).stdout
    result = bench.run("approve", FIRST, "--yes")
    assert result.exit_code == 1
    assert not bench.service.decided


@pytest.mark.parametrize(("verb", "agrees", "said"), [("approve", True, "approved; its"), ("deny", False, "denied")])
def test_a_decision_is_about_the_version_that_was_shown(bench: Bench, verb: str, agrees: bool, said: str) -> None:
    bench.service.put(approval(version=7))
    result = bench.run(verb, FIRST[:8], "--note", "because", typed="y\n")
    assert result.exit_code == 0
    assert "sql (postgres): mass_write" in result.stdout.split(f"{verb.capitalize()} this call?")[0]
    assert said in result.stdout
    (asked,) = bench.service.decided
    assert (asked.approval_id, asked.version, asked.agrees, asked.note) == (FIRST, 7, agrees, "because")


@pytest.mark.parametrize("typed", ["n\n", "\n", ""], ids=["no", "enter", "nothing"])
def test_only_a_yes_decides(bench: Bench, typed: str) -> None:
    result = bench.run("approve", FIRST, typed=typed)
    assert result.exit_code == 1
    assert "nothing was decided" in result.stderr
    assert not bench.service.decided


def test_a_note_that_a_rule_wants_is_asked_for(bench: Bench) -> None:
    bench.service.put(approval(requirements=(Requirement("writes", ("data-owners",), 2, note_required=True),)))
    assert bench.run("approve", FIRST, typed="y\nit is due\n").exit_code == 0
    assert bench.service.decided[0].note == "it is due"


def test_a_version_that_was_not_seen_is_not_decided_about(bench: Bench) -> None:
    bench.service.put(approval(version=2))
    result = bench.run("approve", FIRST, "--yes", "--version", "1")
    assert result.exit_code == 1
    assert "changed since it was shown" in result.stderr
    assert not bench.service.decided


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, 1, r"the server's own words\x1b[2J"),
        (grpc.StatusCode.FAILED_PRECONDITION, 1, r"the server's own words\x1b[2J"),
        (grpc.StatusCode.ABORTED, 1, "changed since it was shown (the server's own words"),
        (grpc.StatusCode.INVALID_ARGUMENT, 2, "the server's own words"),
        (grpc.StatusCode.UNAUTHENTICATED, 1, "does not accept the token"),
        (grpc.StatusCode.UNAVAILABLE, 3, r"cannot do it now: the server's own words\x1b[2J"),
    ],
    ids=lambda value: value.name.lower() if isinstance(value, grpc.StatusCode) else "",
)
def test_what_the_server_refuses_is_said_in_its_words(
    bench: Bench, status: grpc.StatusCode, code: int, said: str
) -> None:
    bench.service.status = status
    result = bench.run("deny", FIRST, "--yes")
    assert result.exit_code == code
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_what_nobody_may_see_is_not_found(bench: Bench) -> None:
    result = bench.run("show", "ffffffff")
    assert result.exit_code == 1
    assert "there is no such approval" in result.stderr


def test_what_envoy_says_for_nobody_is_read(bench: Bench) -> None:
    bench.service.status, bench.service.said = (
        grpc.StatusCode.UNAVAILABLE,
        '{"error":{"message":"nobody\\u001b is in"}}',
    )
    assert r"cannot do it now: nobody\x1b is in" in bench.run("deny", FIRST, "--yes").stderr


def test_nobody_answers(bench: Bench) -> None:
    bench.options[1] = f"http://127.0.0.1:{free_port()}"
    for command in (["list"], ["watch"]):
        assert bench.run(*command).exit_code == 3


def test_programs_get_json_and_are_asked_nothing(bench: Bench) -> None:
    assert bench.run("approve", FIRST, "--json").exit_code == 2
    shown = json.loads(bench.run("show", FIRST, "--json").stdout)
    assert (shown["state"], shown["version"], shown["may_decide"]) == ("pending", 1, True)
    assert shown["digest"] == bytes(range(32)).hex()
    assert shown["summary"]["statements"][0]["bound"] == "no bound"
    decided = json.loads(bench.run("approve", FIRST, "--json", "--yes", "--version", "1").stdout)
    assert decided["state"] == "approved"


def test_the_glass_is_broken_with_a_reason_and_where_a_rule_allows_it(bench: Bench) -> None:
    assert "no rule lets" in bench.run("break-glass", FIRST, "--reason", "orders are down", "--yes").stderr
    bench.service.put(approval(break_glass=GLASS))
    assert bench.run("break-glass", FIRST, "--yes").exit_code == 2
    asked = bench.run("break-glass", FIRST, typed="orders are down\nn\n")
    assert asked.exit_code == 1
    assert "by rule `night`, with a reason, and ops would be alerted" in asked.stdout
    assert not bench.service.broken
    assert bench.run("break-glass", FIRST, typed="orders are down\ny\n").exit_code == 0
    assert (bench.service.broken[0].reason, bench.service.broken[0].version) == ("orders are down", 1)


def test_what_was_asked_for_is_taken_back(bench: Bench) -> None:
    result = bench.run("cancel", FIRST[:8])
    assert (result.exit_code, result.stdout) == (0, "cancelled\n")


def test_a_principal_is_revoked_after_a_yes(bench: Bench) -> None:
    who = ("revoke", "mallory", "--issuer", "https://idp.test", "--reason", "left")
    assert bench.run(*who, typed="n\n").exit_code == 1
    assert not bench.service.revoked
    assert f"cancelled {FIRST}" in bench.run(*who, typed="y\n").stdout
    asked = bench.service.revoked[0]
    assert (asked.principal.issuer, asked.principal.subject, asked.reason) == ("https://idp.test", "mallory", "left")


def test_notifications_that_were_given_up_are_seen(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    bench.service.deliveries = [
        approvals_pb2.Delivery(
            approval_id=FIRST,
            channel="ops",
            state=approvals_pb2.DELIVERY_STATE_DEAD,
            attempts=8,
            problem="HTTP 500\x1b[2J",
            created_us=NOW_US,
        )
    ]
    row = bench.run("deliveries", FIRST[:8]).stdout.splitlines()[1]
    assert row.split()[:4] == [FIRST[:8], "ops", "dead", "8"]
    assert r"HTTP 500\x1b[2J" in row
    assert json.loads(bench.run("deliveries", "--json").stdout)["deliveries"][0]["state"] == "dead"


def test_short_ids_are_unique() -> None:
    third = "9" + FIRST[1:]
    assert short_ids([approval(), approval(SECOND), approval(third)]) == {
        FIRST: FIRST,
        SECOND: SECOND,
        third: third[:8],
    }


@pytest.mark.parametrize("width", [80, 200])
def test_a_live_row_is_one_line(width: int) -> None:
    groups = Requirement("writes", ("data-owners", "security-team", "leads-of-all-departments"), 2)
    rows = [approval(), approval("9" + FIRST[1:], target="customer-database-of-all", requirements=(groups,))]
    console = Console(width=width, file=io.StringIO())
    lines = console.render_lines(approval_table(rows, NOW_US, chosen=1, width=width))
    assert len(lines) == 3
    shown = ["".join(part.text for part in line) for line in lines]
    assert all(each.startswith(one.id[:8]) for each, one in zip(shown[1:], rows, strict=True))


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-5, "0s"), (59, "59s"), (61, "1m 01s"), (3_600, "1h 00m"), (49 * 3_600, "2d 1h")],
)
def test_spans_are_said_in_two_units(seconds: int, said: str) -> None:
    assert span(seconds * 1_000_000) == said


def test_what_is_needed_is_said_for_each_rule() -> None:
    both = (Requirement("writes", ("data-owners",), 2), Requirement("big", ("leads", "security"), 1))
    assert needs(approval(requirements=both)) == "1 of 2 from data-owners, 0 of 1 from leads or security"
    assert needs(approval(requirements=())) == "its caller, breaking the glass"
    assert needs(approval(state=ApprovalState.DENIED)) == ""


def test_what_became_of_it_is_said() -> None:
    assert outcome(approval(), LATER_US - 60_000_000) == "recorded; 1 of 2 from data-owners; 1m 00s left"
    denied = approval(state=ApprovalState.DENIED, reason="no\x1b[2J")
    assert outcome(denied, NOW_US) == r"denied: no\x1b[2J"
