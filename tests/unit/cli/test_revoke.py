"""`countersign revoke` and `countersign revocations` against a scripted RevocationService."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
import typer
from typer.testing import CliRunner, Result

from countersign.api.access.v1 import revocations_pb2, revocations_pb2_grpc
from countersign.api.recorder.v1 import event_pb2, session_pb2, session_pb2_grpc
from countersign.cli import revocations, revoke
from countersign.cli.sign_ins import Kept, SignedIn, SignIns

app = typer.Typer()
revoke.register(app)
revocations.register(app)

ISSUER = "https://idp.test"
SESSION_ID = "5f0c9f4e-6c0a-5d0e-9a53-3b1f6f2f7c11"
BECAUSE = ("--reason", "case 17")
MADE = revocations_pb2.Revocation(
    revocation_id="11111111-1111-4111-8111-111111111111",
    kind=revocations_pb2.REVOCATION_KIND_PRINCIPAL,
    issuer=ISSUER,
    value="mallory\x1b[2J",
    issued_before_s=1_790_000_000,
    reason="case \u202e17",
    revoked_us=1_790_000_001_000_000,
    by_issuer=ISSUER,
    by_subject="olga",
)


def jwt(**claims: object) -> str:
    """What a bearer token looks like; nobody signed it."""
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({"alg": "ES256"}, claims)
    ]
    return ".".join([*parts, "c2ln"])


TOKEN = jwt(iss=ISSUER, sub="olga", jti="mine", sid="my-sign-in", iat=int(time.time()) - 60)


@dataclass
class Scripted(revocations_pb2_grpc.RevocationServiceServicer):
    """Tells what a test put in; keeps what was asked."""

    found: list[revocations_pb2.Revocation] = field(default_factory=list)
    status: grpc.StatusCode | None = None
    revoked: list[revocations_pb2.Revocation] = field(default_factory=list)
    lifted: list[revocations_pb2.LiftRevocationRequest] = field(default_factory=list)
    listed: list[revocations_pb2.ListRevocationsRequest] = field(default_factory=list)

    def _begin(self, context: grpc.ServicerContext) -> None:
        assert ("authorization", f"Bearer {TOKEN}") in list(context.invocation_metadata())
        if self.status is not None:
            context.abort(self.status, "no such revocation is in force\x1b[2J")

    def Revoke(
        self, request: revocations_pb2.RevokeRequest, context: grpc.ServicerContext
    ) -> revocations_pb2.RevokeResponse:
        self._begin(context)
        self.revoked.append(request.revocation)
        return revocations_pb2.RevokeResponse(revocation=MADE)

    def LiftRevocation(
        self, request: revocations_pb2.LiftRevocationRequest, context: grpc.ServicerContext
    ) -> revocations_pb2.LiftRevocationResponse:
        self._begin(context)
        self.lifted.append(request)
        return revocations_pb2.LiftRevocationResponse()

    def ListRevocations(
        self, request: revocations_pb2.ListRevocationsRequest, context: grpc.ServicerContext
    ) -> revocations_pb2.ListRevocationsResponse:
        self._begin(context)
        self.listed.append(request)
        start = int(request.page_token or 0)
        page = self.found[start : start + request.page_size]
        more = start + len(page) < len(self.found)
        token = str(start + len(page)) if more else ""
        return revocations_pb2.ListRevocationsResponse(revocations=page, next_page_token=token)


OF_A_LONG_TOKEN = "9a1e4c52-1f64-4c0f-8f0b-0a4c9f6f1f11"


class Sessions(session_pb2_grpc.SessionServiceServicer):
    """One session, of mallory."""

    def GetSession(
        self, request: session_pb2.GetSessionRequest, context: grpc.ServicerContext
    ) -> session_pb2.GetSessionResponse:
        token_id = "t" * 500 if request.session_id == OF_A_LONG_TOKEN else "token-m"
        whose = event_pb2.Principal(issuer=ISSUER, subject="mallory", token_id=token_id)
        return session_pb2.GetSessionResponse(
            session=session_pb2.Session(session_id=request.session_id, principal=whose)
        )

    def ListSessions(
        self, request: session_pb2.ListSessionsRequest, context: grpc.ServicerContext
    ) -> session_pb2.ListSessionsResponse:
        raise NotImplementedError

    def ReplaySession(
        self, request: session_pb2.ReplaySessionRequest, context: grpc.ServicerContext
    ) -> Iterator[session_pb2.ReplaySessionResponse]:
        raise NotImplementedError

    def StreamCalls(
        self, request: session_pb2.StreamCallsRequest, context: grpc.ServicerContext
    ) -> Iterator[session_pb2.StreamCallsResponse]:
        raise NotImplementedError


@dataclass
class Bench:
    """The service and the options that reach it."""

    service: Scripted
    options: list[str]

    def run(self, *arguments: str, answer: str = "") -> Result:
        return CliRunner().invoke(app, [*arguments, *self.options], input=answer)

    @property
    def revoked(self) -> revocations_pb2.Revocation:
        [one] = self.service.revoked
        return one


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    service = Scripted()
    with ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool)
        revocations_pb2_grpc.add_RevocationServiceServicer_to_server(service, server)
        session_pb2_grpc.add_SessionServiceServicer_to_server(Sessions(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        file = tmp_path / "token"
        file.write_text(TOKEN)
        yield Bench(service, ["--gateway", f"http://127.0.0.1:{port}", "--token-file", str(file)])
        server.stop(None).wait()


@pytest.mark.parametrize(
    ("asked", "kind", "issuer", "value"),
    [
        (("principal", "mallory", "--issuer", ISSUER), "PRINCIPAL", ISSUER, "mallory"),
        (("token", "jti-1", "--issuer", ISSUER), "TOKEN", ISSUER, "jti-1"),
        (("sign-in", "sid-1", "--issuer", ISSUER), "SIGN_IN", ISSUER, "sid-1"),
        (("session", SESSION_ID), "SESSION", "", SESSION_ID),
        (("issuer", "https://other.test", "--yes"), "ISSUER", "https://other.test", ""),
        (("principal", "--of-session", SESSION_ID), "PRINCIPAL", ISSUER, "mallory"),
        (("token", "--of-session", SESSION_ID), "TOKEN", ISSUER, "token-m"),
    ],
    ids=["principal", "token", "sign-in", "session", "issuer", "whose session", "token of a session"],
)
def test_each_kind_is_asked_for(bench: Bench, asked: tuple[str, ...], kind: str, issuer: str, value: str) -> None:
    result = bench.run("revoke", *asked, *BECAUSE)
    assert (result.exit_code, result.stdout) == (0, f"revoked: {MADE.revocation_id}\n")
    number = revocations_pb2.RevocationKind.Value(f"REVOCATION_KIND_{kind}")
    wanted = revocations_pb2.Revocation(kind=number, issuer=issuer, value=value, reason="case 17")
    assert bench.revoked == wanted


def test_what_a_session_tells_only_the_beginning_of_is_not_revoked_for_the_whole(bench: Bench) -> None:
    result = bench.run("revoke", "token", "--of-session", OF_A_LONG_TOKEN, *BECAUSE)
    assert result.exit_code != 0
    assert "too long" in result.stderr
    assert bench.service.revoked == []


def test_who_is_signed_in_needs_no_token(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = bench.options[1]
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with SignIns(tmp_path / "countersign").changing() as kept:
        kept[gateway] = SignedIn(gateway, gateway, "refresh", {gateway: Kept(TOKEN, time.time() + 600)})
    asked = ("revoke", "principal", "mallory", "--issuer", ISSUER, *BECAUSE, "--gateway", gateway)
    result = CliRunner().invoke(app, asked)
    assert (result.exit_code, result.stdout) == (0, f"revoked: {MADE.revocation_id}\n")


@pytest.mark.parametrize(
    "asked",
    [
        ("principal", "mallory", *BECAUSE),
        ("principal", "--issuer", ISSUER, *BECAUSE),
        ("principal", "mallory", "--issuer", ISSUER, "--of-session", SESSION_ID, *BECAUSE),
        ("principal", "mallory", "--issuer", ISSUER),
        ("sign-in", "sid", *BECAUSE),
        ("principal", "mallory", "--issuer", ISSUER, "--until", "tomorrow", *BECAUSE),
        ("principal", "mallory", "--issuer", ISSUER, "--issued-before", "99999999d", *BECAUSE),
        ("issuer", ISSUER, "--json", *BECAUSE),
        ("token", TOKEN, "--issuer", ISSUER, *BECAUSE),
    ],
    ids=[
        *("no issuer", "nobody", "twice", "no reason", "a sign-in of nobody", "no time", "before all time"),
        *("JSON asks nothing", "a token itself"),
    ],
)
def test_what_is_unclear_is_not_sent(bench: Bench, asked: tuple[str, ...]) -> None:
    result = bench.run("revoke", *asked)
    assert result.exit_code == 2
    assert bench.service.revoked == []
    assert TOKEN not in result.output


def test_times_are_read_ahead_and_back(bench: Bench) -> None:
    began_s = time.time()
    of = ("revoke", "principal", "mallory", "--issuer", ISSUER, *BECAUSE)
    assert bench.run(*of, "--issued-before", "2h", "--until", "30d").exit_code == 0
    assert bench.run(*of, "--issued-before", "2026-11-21T10:00:00Z", "--until", "2031-01-01").exit_code == 0
    assert bench.run(*of, "--issued-before", "now").exit_code == 0
    spans, fixed, now = bench.service.revoked
    assert -5 < spans.issued_before_s - (began_s - 7_200) < 60
    assert -5 < spans.until_us / 1e6 - (began_s + 30 * 86_400) < 60
    assert fixed.issued_before_s == datetime(2026, 11, 21, 10, tzinfo=UTC).timestamp()
    assert fixed.until_us == datetime(2031, 1, 1, tzinfo=UTC).timestamp() * 1_000_000
    # What was issued within this very second is struck, too.
    assert now.issued_before_s > began_s
    assert not now.until_us


@pytest.mark.parametrize(
    ("asked", "asks"),
    [
        (("principal", "olga", "--issuer", ISSUER), True),
        (("token", "mine", "--issuer", ISSUER), True),
        (("sign-in", "my-sign-in", "--issuer", ISSUER), True),
        (("principal", "olga", "--issuer", ISSUER, "--issued-before", "now"), True),
        (("principal", "olga", "--issuer", ISSUER, "--issued-before", "1h"), False),
        (("principal", "olga", "--issuer", "https://other.test"), False),
        (("issuer", "https://other.test"), True),
        (("issuer", ISSUER, "--issued-before", "1h"), True),
    ],
    ids=[
        "oneself",
        "own token",
        "own sign-in",
        "before now",
        "before own",
        "namesake",
        "everybody",
        "old of everybody",
    ],
)
def test_it_asks_before_one_locks_oneself_out(bench: Bench, asked: tuple[str, ...], asks: bool) -> None:
    assert bench.run("revoke", *asked, *BECAUSE, answer="n\n").exit_code == (1 if asks else 0)
    assert len(bench.service.revoked) == (0 if asks else 1)
    if asks:
        assert bench.run("revoke", *asked, *BECAUSE, answer="y\n").exit_code == 0
        assert bench.run("revoke", *asked, *BECAUSE, "--yes").exit_code == 0
        assert len(bench.service.revoked) == 2


def test_what_is_in_force_is_listed_and_obeys_no_terminal(bench: Bench) -> None:
    assert "nothing is revoked" in bench.run("revocations", "list").stderr
    told = revocations_pb2.Revocation(
        revocation_id=SESSION_ID, issuer=ISSUER, until_us=2**62, by_issuer="https://idp\x1b.test"
    )
    bench.service.found = [MADE, told]
    shown = bench.run("revocations", "list").stdout
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "mallory\\x1b[2J" in shown
    assert "before 2026-09-21" in shown
    assert "told by https://idp\\x1b.test" in shown
    listed = json.loads(bench.run("revocations", "list", "--json").stdout)["revocations"]
    assert [one["revocation_id"] for one in listed] == [MADE.revocation_id, SESSION_ID]


def test_all_pages_are_listed_up_to_the_limit(bench: Bench) -> None:
    bench.service.found = [MADE] * 1_200
    found = json.loads(bench.run("revocations", "list", "--limit", "1100", "--value", "v", "--json").stdout)
    assert len(found["revocations"]) == 1_100
    assert [one.page_size for one in bench.service.listed] == [500, 500, 100]
    assert {one.value for one in bench.service.listed} == {"v"}


def test_a_revocation_is_lifted_with_a_reason(bench: Bench) -> None:
    assert bench.run("revocations", "lift", MADE.revocation_id).exit_code == 2
    result = bench.run("revocations", "lift", MADE.revocation_id, "--reason", "found")
    assert (result.exit_code, result.stdout) == (0, f"lifted: {MADE.revocation_id}\n")
    assert bench.service.lifted == [
        revocations_pb2.LiftRevocationRequest(revocation_id=MADE.revocation_id, reason="found")
    ]


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, 1, "operators revoke and lift"),
        (grpc.StatusCode.NOT_FOUND, 1, "no such revocation is in force\\x1b[2J: see"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 1, "no such revocation"),
        (grpc.StatusCode.UNAUTHENTICATED, 1, "does not accept the token"),
        (grpc.StatusCode.INVALID_ARGUMENT, 2, "refuses the request"),
        (grpc.StatusCode.UNAVAILABLE, 3, "does not answer"),
    ],
    ids=lambda value: value.name if isinstance(value, grpc.StatusCode) else "",
)
def test_what_goes_wrong_is_one_line_and_an_exit_code(
    bench: Bench, status: grpc.StatusCode, code: int, says: str
) -> None:
    bench.service.status = status
    result = bench.run("revocations", "lift", MADE.revocation_id, "--reason", "found")
    assert result.exit_code == code
    assert says in result.stderr
    assert result.stderr.count("\n") == 1
    assert TOKEN not in result.output
