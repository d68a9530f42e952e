"""`countersign keep` against a scripted KeepingService."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
import typer
from google.protobuf.timestamp_pb2 import Timestamp
from typer.testing import CliRunner, Result

from countersign.api.recorder.v1 import keeping_pb2, keeping_pb2_grpc
from countersign.cli import keep

app = typer.Typer()
keep.register(app)
TOKEN = "-".join(["credential", "canary"])


def stamp(text: str) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(datetime.fromisoformat(text).replace(tzinfo=UTC))
    return made


HOLD = keeping_pb2.Hold(
    hold_id="11111111-1111-4111-8111-111111111111",
    principal=keeping_pb2.HeldPrincipal(issuer="https://idp.test", subject="alice\x1b[2J"),
    reason="case 17",
    placed_by="olga",
    placed_at=stamp("2026-11-22T10:00:00"),
)


@dataclass
class Scripted(keeping_pb2_grpc.KeepingServiceServicer):
    """Tells what a test put in; keeps what was asked."""

    holds: list[keeping_pb2.Hold] = field(default_factory=list)
    shelves: list[keeping_pb2.Shelf] = field(default_factory=list)
    status: grpc.StatusCode | None = None
    placed: list[keeping_pb2.PlaceHoldRequest] = field(default_factory=list)
    released: list[keeping_pb2.ReleaseHoldRequest] = field(default_factory=list)

    def _begin(self, context: grpc.ServicerContext) -> None:
        assert ("authorization", f"Bearer {TOKEN}") in list(context.invocation_metadata())
        if self.status is not None:
            context.abort(self.status, "there is no such session\x1b[2J")

    def PlaceHold(
        self, request: keeping_pb2.PlaceHoldRequest, context: grpc.ServicerContext
    ) -> keeping_pb2.PlaceHoldResponse:
        self._begin(context)
        self.placed.append(request)
        return keeping_pb2.PlaceHoldResponse(hold=HOLD)

    def ReleaseHold(
        self, request: keeping_pb2.ReleaseHoldRequest, context: grpc.ServicerContext
    ) -> keeping_pb2.ReleaseHoldResponse:
        self._begin(context)
        self.released.append(request)
        return keeping_pb2.ReleaseHoldResponse()

    def ListHolds(
        self, request: keeping_pb2.ListHoldsRequest, context: grpc.ServicerContext
    ) -> keeping_pb2.ListHoldsResponse:
        self._begin(context)
        return keeping_pb2.ListHoldsResponse(holds=self.holds)

    def ListShelves(
        self, request: keeping_pb2.ListShelvesRequest, context: grpc.ServicerContext
    ) -> keeping_pb2.ListShelvesResponse:
        self._begin(context)
        return keeping_pb2.ListShelvesResponse(shelves=self.shelves)


@dataclass
class Bench:
    """The service and the options that reach it."""

    service: Scripted
    options: list[str]

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, ["keep", *arguments, *self.options])


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    service = Scripted()
    with ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool)
        keeping_pb2_grpc.add_KeepingServiceServicer_to_server(service, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        file = tmp_path / "token"
        file.write_text(TOKEN)
        yield Bench(service, ["--gateway", f"http://127.0.0.1:{port}", "--token-file", str(file)])
        server.stop(None).wait()


def test_a_session_or_a_principal_is_held(bench: Bench) -> None:
    assert bench.run("hold", "--session", "s-1", "--reason", "case 17").stdout == f"held: {HOLD.hold_id}\n"
    result = bench.run("hold", "--subject", "alice", "--issuer", "i", "--reason", "case 17", "--json")
    assert json.loads(result.stdout)["hold_id"] == HOLD.hold_id
    assert bench.service.placed == [
        keeping_pb2.PlaceHoldRequest(session_id="s-1", reason="case 17"),
        keeping_pb2.PlaceHoldRequest(
            principal=keeping_pb2.HeldPrincipal(issuer="i", subject="alice"), reason="case 17"
        ),
    ]


@pytest.mark.parametrize(
    "options",
    [[], ["--session", "s", "--subject", "a", "--issuer", "i"], ["--subject", "a"], ["--issuer", "i"]],
    ids=["nothing", "both", "no issuer", "no subject"],
)
def test_what_is_to_be_held_is_said_in_one_way(bench: Bench, options: list[str]) -> None:
    result = bench.run("hold", *options, "--reason", "x")
    assert result.exit_code == 2
    assert bench.service.placed == []


def test_a_hold_is_released_with_a_reason(bench: Bench) -> None:
    assert bench.run("release", HOLD.hold_id).exit_code == 2
    result = bench.run("release", HOLD.hold_id, "--reason", "closed")
    assert (result.exit_code, result.stdout) == (0, f"released: {HOLD.hold_id}\n")
    assert bench.service.released == [keeping_pb2.ReleaseHoldRequest(hold_id=HOLD.hold_id, reason="closed")]


def test_holds_are_shown_and_obey_no_terminal(bench: Bench) -> None:
    assert "nothing is held" in bench.run("holds").stderr
    bench.service.holds = [HOLD]
    shown = bench.run("holds").stdout
    assert "alice\\x1b[2J of https://idp.test" in shown
    assert "2026-11-22 10:00" in shown
    assert "\x1b" not in shown
    assert json.loads(bench.run("holds", "--json").stdout)["holds"][0]["reason"] == "case 17"


def test_shelves_say_what_is_kept_until_when(bench: Bench) -> None:
    assert "no bodies yet" in bench.run("shelves").stderr
    bench.service.shelves = [
        keeping_pb2.Shelf(target="orders", month="2026-11", due_at=stamp("2027-03-01T00:00:00"), size_bytes=2_000_000),
        keeping_pb2.Shelf(month="2026-11", size_bytes=1),
        keeping_pb2.Shelf(target="orders", month="2026-01", erased_at=stamp("2026-06-02T00:00:05")),
        keeping_pb2.Shelf(size_bytes=7),
    ]
    kept, others, erased, held = bench.run("shelves").stdout.splitlines()[1:]
    assert kept.split() == ["2026-11", "orders", "2.0", "MB", "2027-03-01", "00:00"]
    assert others.split() == ["2026-11", "(others)", "1", "byte", "for", "ever"]
    assert erased.split() == ["2026-01", "orders", "2026-06-02", "00:00"]
    assert held.split() == ["on", "hold", "7", "bytes", "released"]


def test_what_the_gateway_refuses_is_one_line_and_an_exit_code(bench: Bench) -> None:
    bench.service.status = grpc.StatusCode.NOT_FOUND
    result = bench.run("hold", "--session", "s", "--reason", "x")
    assert result.exit_code == 1
    assert "no such session\\x1b[2J" in result.stderr
    bench.service.status = grpc.StatusCode.PERMISSION_DENIED
    assert "operators" in bench.run("hold", "--session", "s", "--reason", "x").stderr


def test_new_keys_are_made_for_this_month_and_then_the_next(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    for _ in range(2):
        assert CliRunner().invoke(app, ["keep", "new-key", "--dir", str(folder)]).exit_code == 0
    named = CliRunner().invoke(app, ["keep", "new-key", "2099-12", "--dir", str(folder)])
    assert named.stdout == f"wrote {folder / '2099-12.key'}\n"
    assert len(list(folder.glob("*.key"))) == 3
    again = CliRunner().invoke(app, ["keep", "new-key", "2099-12", "--dir", str(folder)])
    assert (again.exit_code, "never written over" in again.stderr) == (1, True)
    assert CliRunner().invoke(app, ["keep", "new-key", "2099-13", "--dir", str(folder)]).exit_code == 2
