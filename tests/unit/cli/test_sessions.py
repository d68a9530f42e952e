"""`countersign sessions` and `countersign replay` against a scripted SessionService."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
import typer
from google.protobuf.timestamp_pb2 import Timestamp
from typer.testing import CliRunner, Result

from countersign.api.recorder.v1 import event_pb2, session_pb2, session_pb2_grpc
from countersign.cli import sessions
from countersign.model.decision import Outcome
from countersign.model.event import Event, Finding
from countersign.runtime.recording import to_message
from tests.support.events import approval, decision, new_id, request, response
from tests.support.gateway import free_port

app = typer.Typer()
sessions.register(app)
TOKEN = "".join(["to", "ken"])


@dataclass
class Scripted(session_pb2_grpc.SessionServiceServicer):
    """Answers from what a test put in, or with a status; keeps what was asked."""

    sessions: list[session_pb2.Session] = field(default_factory=list)
    events: list[event_pb2.Event] = field(default_factory=list)
    status: grpc.StatusCode | None = None
    asked: list[session_pb2.ListSessionsRequest] = field(default_factory=list)
    replayed: list[session_pb2.ReplaySessionRequest] = field(default_factory=list)
    credentials: list[str] = field(default_factory=list)

    def _begin(self, context: grpc.ServicerContext) -> None:
        self.credentials += [str(value) for key, value in context.invocation_metadata() if key == "authorization"]
        if self.status is not None:
            context.abort(self.status, "filter.since: not a time\x1b[2J")

    def ListSessions(
        self, request: session_pb2.ListSessionsRequest, context: grpc.ServicerContext
    ) -> session_pb2.ListSessionsResponse:
        self._begin(context)
        self.asked.append(request)
        start = int(request.page_token or 0)
        # Smaller pages than asked for, so that the command has to turn them.
        stop = start + min(2, request.page_size)
        more = str(stop) if stop < len(self.sessions) else ""
        return session_pb2.ListSessionsResponse(sessions=self.sessions[start:stop], next_page_token=more)

    def GetSession(
        self, request: session_pb2.GetSessionRequest, context: grpc.ServicerContext
    ) -> session_pb2.GetSessionResponse:
        raise NotImplementedError

    def ReplaySession(
        self, request: session_pb2.ReplaySessionRequest, context: grpc.ServicerContext
    ) -> Iterator[session_pb2.ReplaySessionResponse]:
        self._begin(context)
        self.replayed.append(request)
        for sequence, event in enumerate(self.events):
            yield session_pb2.ReplaySessionResponse(event=event_pb2.RecordedEvent(sequence=sequence, event=event))

    def StreamCalls(
        self, request: session_pb2.StreamCallsRequest, context: grpc.ServicerContext
    ) -> Iterator[session_pb2.StreamCallsResponse]:
        raise NotImplementedError


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


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def session(subject: str) -> session_pb2.Session:
    principal = event_pb2.Principal(issuer="https://issuer.example", subject=subject)
    return session_pb2.Session(session_id=new_id(), principal=principal, target="orders", denied_count=7)


def recorded(*events: Event) -> list[event_pb2.Event]:
    return [to_message(event) for event in events]


def test_sessions_are_listed_over_all_pages_up_to_the_limit(service: Scripted, options: list[str]) -> None:
    service.sessions = [session(name) for name in ("alice", "bob", "carol", "dora", "emil")]
    result = run("sessions", "--limit", "3", *options)
    assert result.exit_code == 0
    assert [one.session_id in result.stdout for one in service.sessions] == [True] * 3 + [False] * 2
    assert all(word in result.stdout for word in ("alice", "carol", "orders"))
    assert service.credentials[0] == f"Bearer {TOKEN}"


def test_json_holds_the_sessions_under_the_names_of_the_api(service: Scripted, options: list[str]) -> None:
    service.sessions = [session("alice")]
    result = run("sessions", "--json", *options)
    assert json.loads(result.stdout)["sessions"][0]["session_id"] == service.sessions[0].session_id


def test_filters_are_passed_on(service: Scripted, options: list[str]) -> None:
    words = (
        "--subject alice --target orders --name query --outcome deny --since 2026-11-21T10:00:00Z --until 2026-11-22"
    )
    assert run("sessions", *words.split(), *options).exit_code == 0
    assert service.asked[0].filter == session_pb2.SessionFilter(
        subject="alice",
        target="orders",
        name="query",
        outcome=event_pb2.OUTCOME_DENY,
        since=Timestamp(seconds=1_795_255_200),
        until=Timestamp(seconds=1_795_305_600),
    )


def test_replay_shows_each_call_with_who_rule_findings_and_status(service: Scripted, options: list[str]) -> None:
    one = new_id()
    service.events = recorded(
        request(one),
        response(one, findings=(Finding("EMAIL", "$.a", 2),), body=b'{"mail":"[email]"}', duration_us=1500),
        request(one, name="export_table", decision=decision(Outcome.DENY, "no exports"), status=200),
    )
    result = run("replay", one, "--from", "2", "--pace", *options)
    assert result.exit_code == 0
    [first, _, answer, body, denied, _] = result.stdout.splitlines()
    assert all(word in first for word in ("alice", "tools/call query", "allow", "analysts read"))
    assert all(word in answer for word in ("200", "1.5 ms", "EMAIL (2)"))
    assert "[email]" in body
    assert all(word in denied for word in ("export_table", "deny", "no exports"))
    [asked] = service.replayed
    assert (asked.session_id, asked.from_sequence, asked.original_pace) == (one, 2, True)


def test_replay_says_what_the_target_got_instead(service: Scripted, options: list[str]) -> None:
    service.events = recorded(request(values_put_back=True), request(request_masked=True), request())
    result = run("replay", new_id(), *options)
    calls = [line for line in result.stdout.splitlines() if "tools/call" in line]
    assert ["with values for tokens" in line for line in calls] == [True, False, False]
    assert ["sent masked" in line for line in calls] == [False, True, False]


def test_replay_tells_what_became_of_an_approval_and_by_whom(service: Scripted, options: list[str]) -> None:
    one, asked_for = new_id(), new_id()
    waiting = request(one, decision=decision(Outcome.APPROVE, "owners agree"), approval_id=asked_for)
    events = [
        waiting,
        approval(one, "agreed", approval_id=asked_for, reason="seen the ticket"),
        approval(one, "decision_refused", approval_id=asked_for),
        approval(one, "expired", approval_id=asked_for, principal=None),
    ]
    service.events = recorded(*events)
    [call, _, agreed, refused, expired] = run("replay", one, *options).stdout.splitlines()
    assert all(word in call for word in ("alice", "waits for approval", "owners agree", f"approval {asked_for[:8]}"))
    assert all(word in agreed for word in (asked_for[:8], "agreed by bob", "seen the ticket"))
    assert "decision refused by bob" in refused
    assert expired.endswith("expired")


def test_replay_as_json_is_one_object_a_line(service: Scripted, options: list[str]) -> None:
    service.events = recorded(request(), request())
    result = run("replay", new_id(), "--json", *options)
    assert [json.loads(line)["event"]["event_id"] for line in result.stdout.splitlines()] == [
        event.event_id for event in service.events
    ]


@pytest.mark.parametrize("hostile", ["\x1b]0;title\x07", "\x1b[2J", "\r\nfaked line", "\u202ereversed", "\x9b1m"])
def test_recorded_text_cannot_steer_the_terminal(service: Scripted, options: list[str], hostile: str) -> None:
    one = request(name=hostile, reason=hostile, body=hostile.encode(), findings=(Finding(hostile),))
    service.events = recorded(one, response(one.session_id, reason=hostile, body=hostile.encode()))
    for form in ([], ["--json"]):
        result = run("replay", one.session_id, *form, *options)
        assert result.exit_code == 0
        assert all(char.isprintable() or char == "\n" for char in result.stdout)
        assert "\nfaked" not in result.stdout


@pytest.mark.parametrize(
    ("status", "code", "remedy"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, 1, "get a new one"),
        (grpc.StatusCode.PERMISSION_DENIED, 1, "not an auditor"),
        (grpc.StatusCode.NOT_FOUND, 1, "no such session"),
        (grpc.StatusCode.INVALID_ARGUMENT, 2, "filter.since: not a time\\x1b"),
        (grpc.StatusCode.UNAVAILABLE, 3, "does not answer"),
        (grpc.StatusCode.INTERNAL, 1, "INTERNAL"),
    ],
)
def test_each_refusal_is_one_line_with_a_remedy_and_its_exit_code(
    service: Scripted, options: list[str], status: grpc.StatusCode, code: int, remedy: str
) -> None:
    service.status = status
    for command in (["sessions"], ["replay", new_id()]):
        result = run(*command, *options)
        assert result.exit_code == code
        assert remedy in result.stderr
        assert result.stderr.count("\n") == 1


def test_nobody_there_is_exit_code_3() -> None:
    result = run("sessions", "--gateway", f"http://127.0.0.1:{free_port()}", "--token", TOKEN)
    assert (result.exit_code, result.stderr.count("\n")) == (3, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        ["sessions"],
        ["sessions", "--token", "two words"],
        ["sessions", "--token", "new\nline"],
        ["sessions", "--token-file", "/nowhere/at/all"],
        ["sessions", "--token", TOKEN, "--gateway", "ftp://host"],
        ["sessions", "--token", TOKEN, "--gateway", "http://host:port"],
        ["sessions", "--token", TOKEN, "--gateway", "http://host/path"],
        ["sessions", "--token", TOKEN, "--since", "yesterday"],
        ["sessions", "--token", TOKEN, "--outcome", "maybe"],
        ["replay", "--token", TOKEN],
    ],
)
def test_wrong_command_line_is_exit_code_2_and_shows_no_token(wrong: list[str]) -> None:
    result = run(*wrong)
    assert result.exit_code == 2
    assert not any(token in result.output for token in (TOKEN + "\n", "two words", "new\nline"))
