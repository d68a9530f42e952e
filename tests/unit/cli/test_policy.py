"""`countersign policy explain | test | backtest` over files, and over a record in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from xml.etree import ElementTree as Xml

import grpc
import pytest
from typer.testing import CliRunner, Result

from countersign.api.recorder.v1 import session_pb2, session_pb2_grpc
from countersign.cli.main import app
from countersign.cli.policy.backtest import _redefined
from countersign.model.decision import Outcome
from countersign.model.event import Event, Finding
from countersign.recorder.asked import calls
from countersign.recorder.entry import accept
from countersign.recorder.sessions import to_fact
from countersign.rehearsal.ruling import Ruling
from countersign.runtime.recording import to_message
from tests.support.events import ALICE, START_US, decision, new_id, request, response
from tests.support.gateway import free_port
from tests.support.memory_store import MemoryStore
from tests.unit.config.files import edited, loaded
from tests.unit.rehearsal.policies import NO_EXPORTS, READ, Rule, write

TOKEN = "".join(["to", "ken"])
BOUNDS = ["--since", "2026-09-21", "--until", "2026-09-22"]
LIMITED: Rule = {**READ, "args": {"limit": {"max": 100}}}
HEAVY: Rule = {"name": "enough", "deny": {"tools": ["query"]}, "when": "usage.rows_1h > 100"}


# 21 September 2026, UTC: when all of it happened.
SEEN_US = 1_790_000_000_000_000


@dataclass
class Scripted(session_pb2_grpc.SessionServiceServicer):
    """Answers from a store; ``breaks`` streams break off after their first answer, ``status`` refuses all."""

    store: MemoryStore = field(default_factory=MemoryStore)
    status: grpc.StatusCode | None = None
    breaks: int = 0
    asked: list[session_pb2.StreamCallsRequest] = field(default_factory=list)

    def record(self, *events: Event) -> None:
        seen = [replace(event, time_us=event.time_us - START_US + SEEN_US) for event in events]
        asyncio.run(self.store.append([accept(to_message(event), clock_us=lambda: SEEN_US) for event in seen]))

    def ListSessions(
        self, request: session_pb2.ListSessionsRequest, context: grpc.ServicerContext
    ) -> session_pb2.ListSessionsResponse:
        raise NotImplementedError

    def GetSession(
        self, request: session_pb2.GetSessionRequest, context: grpc.ServicerContext
    ) -> session_pb2.GetSessionResponse:
        raise NotImplementedError

    def StreamCalls(
        self, request: session_pb2.StreamCallsRequest, context: grpc.ServicerContext
    ) -> Iterator[session_pb2.StreamCallsResponse]:
        self.asked.append(request)
        if self.status is not None:
            context.abort(self.status, "no")
        if request.filter.event_id:
            yield from self._one(request.filter.event_id, context)
            return
        start, end = request.from_index, len(self.store.rows)
        while start < end:
            page = asyncio.run(self.store.facts(calls(request), start=start, stop=end))
            start = page.next_index
            yield session_pb2.StreamCallsResponse(facts=map(to_fact, page.facts), next_index=start, end_index=end)
            if self.breaks:
                self.breaks -= 1
                context.abort(grpc.StatusCode.UNAVAILABLE, "gone")

    def _one(self, event_id: str, context: grpc.ServicerContext) -> Iterator[session_pb2.StreamCallsResponse]:
        found = [fact for fact in self._facts() if fact.call.event.event_id == event_id]
        if not found:
            context.abort(grpc.StatusCode.NOT_FOUND, "filter.event_id: no such call")
        yield session_pb2.StreamCallsResponse(facts=found)

    def ReplaySession(
        self, request: session_pb2.ReplaySessionRequest, context: grpc.ServicerContext
    ) -> Iterator[session_pb2.ReplaySessionResponse]:
        for fact in self._facts():
            if fact.call.event.session_id == request.session_id:
                yield session_pb2.ReplaySessionResponse(event=fact.call)

    def _facts(self) -> list[session_pb2.CallFact]:
        everything = session_pb2.StreamCallsRequest()
        everything.since.FromSeconds(0)
        everything.until.FromSeconds(2**33)
        found: list[session_pb2.CallFact] = []
        start = 0
        while start < len(self.store.rows):
            page = asyncio.run(self.store.facts(calls(everything), start=start, stop=len(self.store.rows)))
            found += map(to_fact, page.facts)
            start = page.next_index
        return found


@pytest.fixture
def service() -> Scripted:
    return Scripted()


@pytest.fixture
def options(service: Scripted, tmp_path: Path) -> Iterator[list[str]]:
    with ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool)
        session_pb2_grpc.add_SessionServiceServicer_to_server(service, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        file = tmp_path / "token"
        file.write_text(TOKEN + "\n")
        yield ["--gateway", f"http://127.0.0.1:{port}", "--token-file", str(file)]
        server.stop(None).wait()


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["policy", *map(str, arguments)])


def traffic(service: Scripted, count: int = 5) -> list[Event]:
    """Reads that were allowed, each answered with 40 rows, and an export that was denied."""
    events = []
    for number in range(count):
        asked = request(
            time_us=START_US + number * 1_000_000,
            body=b'{"name": "query", "arguments": {"limit": 1000}}',
        )
        told = response(asked.session_id, call_id=asked.call_id, time_us=asked.time_us + 500_000, row_count=40)
        events += [asked, told]
    export = request(name="export_table", decision=decision(Outcome.DENY, "no exports"))
    service.record(*events, export)
    return [event for event in events if event.principal is not None]


ALICE_READS = ["--as", "alice", "--groups", "analysts", "--target", "orders", "--tool", "query"]


def test_explain_shows_every_rule_and_the_first_thing_that_did_not_match(tmp_path: Path) -> None:
    file = write(tmp_path, LIMITED, NO_EXPORTS, HEAVY)
    result = run(
        "explain", "-c", file, *ALICE_READS, "--arg", "limit=500", "--at", "2026-01-01", "--usage", "rows_1h=7"
    )
    assert result.exit_code == 0
    assert "at 2026-01-01T00:00:00Z" in result.stdout
    lines = {line.split("  ")[0]: line for line in result.stdout.splitlines()}
    assert "args.limit: 500" in lines["analysts read"]
    assert "tools: " in lines["no exports"]
    assert "when: " in lines["enough"]
    assert "deny  no rule allows it" in result.stdout


def test_explain_as_json_holds_the_decision_and_the_rules(tmp_path: Path) -> None:
    file = write(tmp_path)
    result = run("explain", "-c", file, *ALICE_READS, "--from", "192.0.2.7", "--json")
    told = json.loads(result.stdout)
    assert told["decision"]["outcome"] == "allow"
    assert told["decision"]["masks"] == ["pii"]
    assert [(rule["name"], rule["matched"]) for rule in told["rules"]] == [
        ("analysts read", True),
        ("no exports", False),
    ]
    assert (told["from"], told["recorded_decision"]) == ("192.0.2.7", None)


def test_explain_takes_whoever_is_acted_for_for_an_agent(tmp_path: Path) -> None:
    asked: tuple[str | Path, ...] = ("explain", "-c", write(tmp_path), *ALICE_READS)
    asked += ("--actor", "bot", "--actor", "planner")
    told = json.loads(run(*asked, "--json").stdout)["principal"]
    assert (told["kind"], told["actors"]) == ("agent", ["bot", "planner"])
    assert "alice through bot, planner (agent" in run(*asked).stdout


def test_explain_reads_arguments_from_a_file_and_from_standard_input(tmp_path: Path) -> None:
    file, arguments = write(tmp_path, LIMITED), tmp_path / "args.json"
    arguments.write_text('{"limit": 5}')
    given = ["policy", "explain", "-c", str(file), *ALICE_READS, "--json", "--args-json"]
    for source, text in ((str(arguments), None), ("-", '{"limit": 5}')):
        result = CliRunner().invoke(app, [*given, source], input=text)
        assert json.loads(result.stdout)["decision"]["outcome"] == "allow"


@pytest.mark.parametrize(
    "wrong",
    [
        "--as alice",
        "--as alice --target nowhere --tool query",
        "--as alice --target orders",
        "--as alice --target orders --tool query --prompt x",
        "--as alice --target orders --method tools/list --tool query",
        "--as alice --target orders --tool query --arg limit",
        "--as alice --target orders --tool query --arg a=1 --args-json x",
        "--as alice --target orders --tool query --args-json /nowhere",
        "--as alice --target orders --tool query --at noon",
        "--as alice --target orders --tool query --from here",
        "--as alice --target orders --tool query --usage rows=1",
        "--as alice --target orders --tool query --usage rows_1h=-1",
        "--as alice --target orders --tool query --issuer https://nobody.example",
        "--as alice --event 7",
        "--session 7",
        "--call 7",
        "--event 7 --session 7 --call 7",
        "--event 7",
    ],
)
def test_explain_refuses_a_wrong_command_line_in_one_line(tmp_path: Path, wrong: str) -> None:
    result = run("explain", "-c", write(tmp_path), *wrong.split())
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize("command", [["explain", *ALICE_READS, "-c"], ["backtest", "--token", TOKEN]])
def test_a_refused_policy_is_told_with_its_places(tmp_path: Path, command: list[str]) -> None:
    file = write(tmp_path, {**READ, "mask": ["nothing"]})
    result = run(*command, file)
    assert result.exit_code == 2
    assert "there is no mask `nothing`" in result.stderr


def test_explain_of_a_recorded_call_says_what_was_decided_and_what_is_other_now(
    tmp_path: Path, service: Scripted, options: list[str]
) -> None:
    asked = request(findings=(Finding("EMAIL", "$.arguments.mail", 2),), body=b'{"name": "query", "arguments": {}}')
    service.record(asked)
    result = run("explain", "-c", write(tmp_path), "--event", asked.event_id, *options)
    assert result.exit_code == 0
    assert "then, by version v1: allow" in result.stdout
    assert "but version v1 judged the call" in result.stdout
    assert "EMAIL (2) at $.arguments.mail" in result.stdout
    assert "from 192.0.2.7" in result.stdout
    by_call = ["--session", asked.session_id, "--call", asked.call_id]
    assert run("explain", "-c", tmp_path / "gateway.yaml", *by_call, *options).stdout == result.stdout


def test_explain_of_a_recorded_call_counts_what_was_used_before(
    tmp_path: Path, service: Scripted, options: list[str]
) -> None:
    asked = traffic(service)[3]
    result = run("explain", "-c", write(tmp_path, READ, HEAVY), "--event", asked.event_id, "--json", *options)
    told = json.loads(result.stdout)
    assert (told["usage"]["calls_1h"], told["usage"]["rows_1h"]) == (3, 120)
    assert told["decision"]["rules"] == ["enough"]
    assert told["recorded_decision"]["outcome"] == "allow"


def test_explain_of_a_batch_asks_which_of_its_calls(tmp_path: Path, service: Scripted, options: list[str]) -> None:
    first = request()
    second = request(first.session_id, call_id=first.call_id)
    service.record(first, second)
    batch = ["--session", first.session_id, "--call", first.call_id]
    result = run("explain", "-c", write(tmp_path), *batch, *options)
    assert result.exit_code == 2
    assert first.event_id in result.stderr
    assert second.event_id in result.stderr


def test_explain_of_a_call_that_is_not_there_is_exit_code_1(tmp_path: Path, options: list[str]) -> None:
    file = write(tmp_path)
    for named in (["--event", new_id()], ["--session", new_id(), "--call", new_id()]):
        result = run("explain", "-c", file, *named, *options)
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
        assert "no such call" in result.stderr


CASES = """\
config: gateway.yaml
cases:
  - name: analysts read
    principal: {subject: alice, groups: [analysts]}
    call: {target: orders, tool: query}
    expect: {outcome: allow, rule: analysts read}
  - name: nobody exports
    principal: {subject: alice, groups: [analysts]}
    call: {target: orders, tool: export_table}
    expect: {outcome: OUTCOME}
"""


@pytest.mark.parametrize(("outcome", "code"), [("deny", 0), ("allow", 1), ("alow", 2)])
def test_cases_pass_fail_or_are_wrong(tmp_path: Path, outcome: str, code: int) -> None:
    write(tmp_path)
    file, junit = tmp_path / "cases.yaml", tmp_path / "out.xml"
    file.write_text(CASES.replace("OUTCOME", outcome))
    result = run("test", file, "--junit", junit)
    assert result.exit_code == code
    assert junit.exists() == (code != 2)
    if code == 0:
        assert "2 of 2 cases pass" in result.stdout
    elif code == 1:
        assert "FAIL  nobody exports (line 7)\n        - outcome: allow\n        + outcome: deny\n" in result.stdout
        assert Xml.parse(junit).getroot().get("failures") == "1"
        assert json.loads(run("test", file, "--json").stdout)["failed"] == 1
    else:
        assert result.stderr.startswith(f"{file}:10:")


def test_cases_may_be_tried_on_another_policy_and_need_one(tmp_path: Path) -> None:
    file = tmp_path / "cases.yaml"
    file.write_text(CASES.replace("OUTCOME", "deny").replace("config: gateway.yaml\n", ""))
    other = write(tmp_path, {**READ, "allow": {"groups": ["nobody"]}}, NO_EXPORTS, name="other.yaml")
    assert run("test", file, "-c", other).exit_code == 1
    nothing = run("test", file)
    assert (nothing.exit_code, nothing.stderr.count("\n")) == (2, 1)
    assert run("test", file, "-c", other, "--junit", tmp_path).exit_code == 2
    assert run("test", tmp_path / "none.yaml").exit_code == 2


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
