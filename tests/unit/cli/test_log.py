"""`countersign log` and `countersign export session` against a gateway that may lie, break off, or choose paths."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
import typer
from typer.testing import CliRunner, Result

from countersign.api.recorder.v1 import log_pb2, log_pb2_grpc
from countersign.cli import export, log
from countersign.cli.export.session import _places
from countersign.tlog import KeyKind, parse_policy
from tests.support.logs import SomeLog, signer

app = typer.Typer()
for room in (log, export):
    room.register(app)

LOG = SomeLog(5)
FIRST, SECOND = (signer(f"w{number}.example", KeyKind.COSIGNATURE, seed=number) for number in (7, 8))
ID, OTHER = "0b7a3a1e-0000-4000-8000-000000000001", "0b7a3a1e-0000-4000-8000-000000000002"
CLEAR_SCREEN = "\x1b[2J"


@dataclass
class Scripted(log_pb2_grpc.LogServiceServicer):
    """Says what a test put in; ``status`` is what its streams break off with."""

    standing: log_pb2.GetLogStatusResponse = field(
        default_factory=lambda: log_pb2.GetLogStatusResponse(
            origin=LOG.key.name, recorded_size=5, integrated_size=5, published_size=5, keys=[str(LOG.key.verifier)]
        )
    )
    note: str = LOG.checkpoint(5)
    pieces: list[bytes] = field(default_factory=lambda: [b"one\n", b"two\n"])
    broken: grpc.StatusCode | None = None
    asked: list[log_pb2.ExportSessionRequest] = field(default_factory=list)

    def GetLogStatus(self, request: object, context: grpc.ServicerContext) -> log_pb2.GetLogStatusResponse:
        return self.standing

    def GetCheckpoint(self, request: object, context: grpc.ServicerContext) -> log_pb2.GetCheckpointResponse:
        return log_pb2.GetCheckpointResponse(checkpoint=self.note)

    def ExportSession(
        self, request: log_pb2.ExportSessionRequest, context: grpc.ServicerContext
    ) -> Iterator[log_pb2.ExportSessionResponse]:
        self.asked.append(request)
        for piece in self.pieces:
            yield log_pb2.ExportSessionResponse(content=piece)
        self._end(context)

    def DumpLog(self, request: object, context: grpc.ServicerContext) -> Iterator[log_pb2.DumpLogResponse]:
        raise NotImplementedError

    def GetInclusionProof(self, request: object, context: grpc.ServicerContext) -> log_pb2.GetInclusionProofResponse:
        raise NotImplementedError

    def GetConsistencyProof(
        self, request: object, context: grpc.ServicerContext
    ) -> log_pb2.GetConsistencyProofResponse:
        raise NotImplementedError

    def _end(self, context: grpc.ServicerContext) -> None:
        if self.broken is not None:
            context.abort(self.broken, f"it broke{CLEAR_SCREEN}")


@dataclass
class Gateway:
    service: Scripted
    url: str

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, [*arguments, "--gateway", self.url, "--token", "some-credential"])


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    service = Scripted()
    with ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool)
        log_pb2_grpc.add_LogServiceServicer_to_server(service, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield Gateway(service, f"http://127.0.0.1:{port}")
        finally:
            server.stop(None).wait()


def left(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_session_is_saved_where_it_was_said(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert gateway.run("export", "session", ID).exit_code == 0
    assert gateway.run("export", "session", ID, "-o", "deep/one.jsonl", "--unsealed", "--without-bodies").exit_code == 0
    assert gateway.run("export", "session", ID, OTHER, ID, "-o", "many").exit_code == 0
    assert gateway.run("export", "session", ID, "-o", "-").stdout_bytes == b"one\ntwo\n"
    assert left(tmp_path) == [f"{ID}.jsonl", "deep/one.jsonl", f"many/{ID}.jsonl", f"many/{OTHER}.jsonl"]
    assert Path("deep/one.jsonl").read_bytes() == b"one\ntwo\n"
    assert [(one.unsealed, one.without_bodies) for one in gateway.service.asked[:2]] == [(False, False), (True, True)]
    before = len(gateway.service.asked)
    assert gateway.run("export", "session", OTHER, ID, "-o", "many").exit_code == 2
    assert len(gateway.service.asked) == before


@pytest.mark.parametrize(
    "arguments",
    [("../../x",), (ID.upper(),), ("",), (ID, OTHER, "-o", "-"), (ID, OTHER, "-o", "taken"), (ID, "-o", "taken")],
    ids=["path", "other form", "empty", "many into one", "many into a file", "over a file"],
)
def test_what_cannot_be_saved_is_told_before_anything_is_asked(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("taken").write_text("mine")
    assert gateway.run("export", "session", *arguments).exit_code == 2
    assert (left(tmp_path), Path("taken").read_text(), gateway.service.asked) == (["taken"], "mine", [])


def test_an_export_is_for_its_owner_and_follows_nobody_s_link(gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine")
    (tmp_path / ".x.part").symlink_to(tmp_path / "victim")
    assert gateway.run("export", "session", ID, "-o", str(tmp_path / "x")).exit_code == 0
    assert (tmp_path / "x").read_bytes() == b"one\ntwo\n"
    assert (tmp_path / "x").stat().st_mode & 0o077 == 0
    assert (tmp_path / "victim").read_text() == "mine"


def test_an_export_is_not_for_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    with pytest.raises(typer.Exit):
        _places([ID], Path("-"))


def test_an_export_that_breaks_off_leaves_no_file(gateway: Gateway, tmp_path: Path) -> None:
    gateway.service.broken = grpc.StatusCode.DATA_LOSS
    told = gateway.run("export", "session", ID, "-o", str(tmp_path / "x"))
    assert (told.exit_code, left(tmp_path)) == (1, [])
    assert "it broke" in told.stderr
    assert CLEAR_SCREEN not in told.output


def test_a_policy_asks_for_what_the_gateway_asks_for(gateway: Gateway) -> None:
    standing = gateway.service.standing
    assert parse_policy(gateway.run("log", "policy").stdout).quorum == "none"
    standing.witnesses.add(name="w1", key=str(FIRST.verifier))
    standing.witnesses_needed = 1
    assert parse_policy(gateway.run("log", "policy").stdout).quorum == "w1"
    # Named as badly as may be.
    standing.witnesses.add(name="witnesses", key=str(SECOND.verifier))
    standing.witnesses_needed = 2
    policy = parse_policy(gateway.run("log", "policy").stdout)
    assert (policy.groups[policy.quorum].need, set(policy.witnesses.values())) == (2, {FIRST.verifier, SECOND.verifier})
    assert policy.logs == (LOG.key.verifier,)


@pytest.mark.parametrize("key", ["", "nonsense", str(LOG.key.verifier), f"{FIRST.verifier}\nquorum none"], ids=range(4))
def test_what_is_no_key_of_a_witness_makes_no_policy(gateway: Gateway, key: str, tmp_path: Path) -> None:
    gateway.service.standing.witnesses.add(name="w1", key=key)
    gateway.service.standing.witnesses_needed = 1
    told = gateway.run("log", "policy", "--out", str(tmp_path / "p"))
    assert (told.exit_code, left(tmp_path)) == (1, [])


def test_a_checkpoint_is_kept_as_it_came_and_replaces_nothing(gateway: Gateway, tmp_path: Path) -> None:
    out = tmp_path / "c"
    assert gateway.run("log", "checkpoint").stdout == gateway.service.note
    assert gateway.run("log", "checkpoint", "--out", str(out)).exit_code == 0
    assert out.read_text() == gateway.service.note
    assert gateway.run("log", "checkpoint", "--out", str(out)).exit_code == 2
    gateway.service.note = f"{CLEAR_SCREEN}\n"
    told = gateway.run("log", "checkpoint")
    assert (told.exit_code, CLEAR_SCREEN in told.output) == (1, False)


def test_a_log_that_stopped_is_told_loudly_and_without_control_characters(gateway: Gateway) -> None:
    standing = gateway.service.standing
    assert gateway.run("log", "status").exit_code == 0
    standing.stopped = f"an old copy{CLEAR_SCREEN}"
    standing.witnesses.add(name="w1", problem=f"it is away{CLEAR_SCREEN}")
    told = gateway.run("log", "status")
    assert (told.exit_code, "STOPPED" in told.stdout, "it is away" in told.stdout) == (1, True, True)
    assert CLEAR_SCREEN not in told.output
    assert gateway.run("log", "status", "--json").exit_code == 1
