"""`countersign log dump` goes on where it stopped, with this log alone, and never makes half a dump look whole."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import grpc
import pytest
import typer
from typer.testing import CliRunner, Result

from countersign.api.recorder.v1 import log_pb2, log_pb2_grpc
from countersign.audit import Invalid, verify_dump
from countersign.cli import log
from countersign.cli.log.dump_folder import DumpFolder
from countersign.cli.verify import _Folder
from countersign.tlog import KeyKind, SignerKey, TileId, entries_path, grow, leaf_hash, plan_consistency
from tests.support.audited import LOG, NOW_S, Record, policy

OTHER_LOG = SignerKey("other.example/record", KeyKind.NOTE, bytes([5]) * 32)

app = typer.Typer()
log.register(app)


class Made(Record):
    """A log that is complete: its tree is computed once."""

    def tiles(self) -> dict[TileId, bytes]:
        return _tiles(tuple(one.leaf for one in self.shown))


@cache
def _tiles(leaves: tuple[str, ...]) -> dict[TileId, bytes]:
    return grow(0, {}, [leaf_hash(leaf.encode()) for leaf in leaves]).tiles


@cache
def record(size: int, salt: str = "", forked_at: int = 0) -> Record:
    """A log of so many events; from ``forked_at`` on it is another one with each ``salt``."""
    made = Made()
    for at in range(size):
        made.event(f"s{at % 7}", name=salt if salt and at >= forked_at else None)
    return made


@dataclass
class Serving(log_pb2_grpc.LogServiceServicer):
    """Serves ``record``, or what ``files`` say; breaks off before file number ``cut``. ``asked`` are dumps' sizes."""

    record: Record
    key: SignerKey = LOG
    files: list[tuple[str, bytes]] | None = None
    cut: int | None = None
    old: bool = False
    asked: list[int] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)

    def GetLogStatus(self, request: object, context: grpc.ServicerContext) -> log_pb2.GetLogStatusResponse:
        raise NotImplementedError

    def GetCheckpoint(self, request: object, context: grpc.ServicerContext) -> log_pb2.GetCheckpointResponse:
        return log_pb2.GetCheckpointResponse(checkpoint=self.record.checkpoint(log=self.key))

    def GetInclusionProof(self, request: object, context: grpc.ServicerContext) -> log_pb2.GetInclusionProofResponse:
        raise NotImplementedError

    def GetConsistencyProof(
        self, request: log_pb2.GetConsistencyProofRequest, context: grpc.ServicerContext
    ) -> log_pb2.GetConsistencyProofResponse:
        hashes = plan_consistency(request.from_size, request.to_size).make(self.record.tiles())
        return log_pb2.GetConsistencyProofResponse(hashes=hashes)

    def ExportSession(self, request: object, context: grpc.ServicerContext) -> Iterator[log_pb2.ExportSessionResponse]:
        raise NotImplementedError

    def DumpLog(
        self, request: log_pb2.DumpLogRequest, context: grpc.ServicerContext
    ) -> Iterator[log_pb2.DumpLogResponse]:
        self.asked.append(request.from_size)
        skipped = set() if self.old else {entries_path(tile, 256) for tile in range(request.from_size // 256)}
        whole = self.record.dump() | {"checkpoint": self.record.checkpoint(log=self.key).encode()}
        files = self.files or [(path, content) for path, content in ordered(whole).items() if path not in skipped]
        for number, (path, content) in enumerate(files):
            half = content[: len(content) // 2 + 1]
            yield log_pb2.DumpLogResponse(path=path, content=half, total_bytes=10)
            if number == self.cut:
                context.abort(grpc.StatusCode.UNAVAILABLE, "it broke")
            self.sent.append(path)
            yield log_pb2.DumpLogResponse(path=path, content=content[len(half) :], total_bytes=10)


def ordered(files: dict[str, bytes]) -> dict[str, bytes]:
    """As the recorder sends them: the checkpoint comes last."""
    return {path: content for path, content in files.items() if path != "checkpoint"} | {
        "checkpoint": files["checkpoint"]
    }


@dataclass
class Gateway:
    service: Serving
    url: str
    folder: Path

    def dump(self, *arguments: str) -> Result:
        told = ["log", "dump", str(self.folder), *arguments, "--gateway", self.url, "--token", "some-credential"]
        return CliRunner().invoke(app, told)

    def broken_off(self, cut: int) -> None:
        """A dump that stopped in the middle of a file."""
        self.service.cut = cut
        told = self.dump()
        assert (told.exit_code, "the same command goes on" in told.stderr) == (3, True), told.output
        self.service.cut = None
        self.service.sent.clear()
        self.service.asked.clear()
        with pytest.raises(Invalid):
            self.valid()

    def valid(self) -> int:
        """How many events the dump has, which is valid."""
        return verify_dump(_Folder(self.folder), policy(), now_s=NOW_S).events


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    service = Serving(record(600))
    with ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool)
        log_pb2_grpc.add_LogServiceServicer_to_server(service, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield Gateway(service, f"http://127.0.0.1:{port}", tmp_path / "d")
        finally:
            server.stop(None).wait()


def left(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_dump_is_saved_as_files(gateway: Gateway) -> None:
    told = gateway.dump("--json")
    assert told.exit_code == 0, told.output
    facts = json.loads(told.stdout)
    assert (facts["whole"], facts["size"], facts["kept_events"], facts["files"]) == (True, 600, 0, 8)
    assert left(gateway.folder) == record(600).dump()
    assert gateway.valid() == 600


@pytest.mark.parametrize("cut", range(8))
def test_wherever_it_breaks_off_it_goes_on_with_a_log_that_grew_meanwhile(gateway: Gateway, cut: int) -> None:
    gateway.broken_off(cut)
    # As a process leaves it that is killed there.
    (gateway.folder / ".part").write_bytes(b"half")
    gateway.service.record = record(800)
    told = gateway.dump("--json")
    assert told.exit_code == 0, told.output
    # Two bundles are full, as far as they came; partial ones are others now.
    kept = min(cut, 2) * 256
    assert (gateway.service.asked, json.loads(told.stdout)["kept_events"]) == ([kept], kept)
    assert left(gateway.folder) == record(800).dump()
    assert gateway.valid() == 800


def test_it_breaks_off_again_and_again_and_is_whole_in_the_end(gateway: Gateway) -> None:
    for cut, size in enumerate([300, 520, 600, 800]):
        gateway.service.record = record(size)
        gateway.broken_off(min(cut + 1, 2))
    assert gateway.dump().exit_code == 0
    assert left(gateway.folder) == record(800).dump()


def test_a_gateway_that_knows_of_no_going_on_sends_all_again(gateway: Gateway) -> None:
    gateway.broken_off(2)
    gateway.service.old = True
    assert gateway.dump().exit_code == 0
    assert left(gateway.folder) == record(600).dump()


def test_what_was_whole_but_for_its_mark_is_made_whole(gateway: Gateway) -> None:
    assert gateway.dump().exit_code == 0
    (gateway.folder / "unfinished").write_bytes((gateway.folder / "checkpoint").read_bytes())
    gateway.broken_off(0)
    assert not (gateway.folder / "checkpoint").exists()
    assert gateway.dump().exit_code == 0
    assert gateway.valid() == 600


@pytest.mark.parametrize("name", ["tile/entries/000", "tile/entries/001"])
@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.replace(b"orders", b"orderz", 1),
        lambda content: content[:-1],
        lambda content: content + b"\x00\x00",
        lambda _: b"",
        lambda content: content + bytes(17 * 2**20),
    ],
    ids=["altered", "shorter", "longer", "empty", "far too long"],
)
def test_what_was_tampered_with_is_refused_by_name_until_it_is_removed(
    gateway: Gateway, name: str, change: Callable[[bytes], bytes]
) -> None:
    gateway.broken_off(4)
    file = gateway.folder / name
    file.write_bytes(change(file.read_bytes()))
    told = gateway.dump("--json")
    assert (told.exit_code, name in told.stderr, gateway.service.asked) == (1, True, [])
    assert name in json.loads(told.stdout)["problem"]
    file.unlink()
    assert gateway.dump().exit_code == 0
    assert left(gateway.folder) == record(600).dump()


def test_the_first_wrong_file_of_many_is_named(gateway: Gateway) -> None:
    gateway.service.record = record(256 * 7)
    gateway.broken_off(7)
    for tile in (3, 5):
        file = gateway.folder / entries_path(tile, 256)
        file.write_bytes(file.read_bytes().replace(b"orders", b"orderz", 1))
    told = gateway.dump()
    assert (told.exit_code, "tile/entries/003 is not as this log has it" in told.stderr) == (1, True)


@pytest.mark.parametrize(
    ("other", "key", "told"),
    [
        (record(600), OTHER_LOG, "another log: log.example/record"),
        (record(600, "fork", 599), LOG, "a fork"),
        (record(800, "fork", 520), LOG, "a fork"),
        (record(520), LOG, "a fork of it, or an old copy"),
    ],
    ids=["another log", "a fork", "a fork that is longer", "an old copy"],
)
def test_another_log_a_fork_and_an_old_copy_are_refused_by_name(
    gateway: Gateway, other: Record, key: SignerKey, told: str
) -> None:
    gateway.broken_off(4)
    before = left(gateway.folder)
    gateway.service.record, gateway.service.key = other, key
    refused = gateway.dump()
    assert (refused.exit_code, told in refused.stderr, gateway.service.asked) == (1, True, [])
    assert left(gateway.folder) == before


def test_events_of_another_log_under_a_mark_of_this_one_are_refused(gateway: Gateway) -> None:
    gateway.broken_off(4)
    for name, content in record(600, "fork").dump().items():
        if (gateway.folder / name).exists():
            (gateway.folder / name).write_bytes(content)
    told = gateway.dump()
    assert (told.exit_code, "tile/entries/000 is not as this log has it" in told.stderr) == (1, True)


@pytest.mark.parametrize(
    "kind", ["a stranger", "a link", "a linked folder", "all in a linked folder", "a pipe", "a mark that is none"]
)
def test_what_belongs_to_no_dump_is_refused_by_name(gateway: Gateway, tmp_path: Path, kind: str) -> None:
    gateway.broken_off(4)
    tile = gateway.folder / "tile"
    match kind:
        case "a stranger":
            name = tile / "entries" / "notes.txt"
            name.write_text("mine")
        case "a link":
            name = tile / "entries" / "000"
            name.rename(tmp_path / "elsewhere")
            name.symlink_to(tmp_path / "elsewhere")
        case "a linked folder":
            name = tile / "1"
            (tmp_path / "elsewhere").mkdir()
            name.symlink_to(tmp_path / "elsewhere")
        case "all in a linked folder":
            name = tile
            name.rename(tmp_path / "elsewhere")
            name.symlink_to(tmp_path / "elsewhere")
        case "a pipe":
            name = tile / "entries" / "000"
            name.unlink()
            os.mkfifo(name)
        case _:
            name = gateway.folder / "unfinished"
            name.write_text("nothing")
    told = gateway.dump()
    assert (told.exit_code, str(name.relative_to(gateway.folder)) in told.stderr) == (1, True), told.output


def test_a_dump_goes_into_no_folder_with_something_else_in_it(gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    gateway.folder = tmp_path
    assert gateway.dump().exit_code == 2
    gateway.folder = tmp_path / "mine"
    assert gateway.dump().exit_code == 2
    assert left(tmp_path) == {"mine": b"mine"}
    gateway.folder = tmp_path / "new"
    assert gateway.dump().exit_code == 0
    told = gateway.dump()
    assert (told.exit_code, "a dump that is whole" in told.stderr) == (2, True)
    assert left(gateway.folder) == record(600).dump()


def test_two_never_dump_into_one_folder(gateway: Gateway) -> None:
    gateway.folder.mkdir()
    held = os.open(gateway.folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        told = gateway.dump()
    finally:
        os.close(held)
    assert (told.exit_code, "another process" in told.stderr, left(gateway.folder)) == (2, True, {})


def test_a_file_system_without_locks_of_folders_will_do(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr(fcntl, "flock", refused)
    assert gateway.dump().exit_code == 0
    assert gateway.valid() == 600


@pytest.mark.parametrize(
    "path",
    [
        *("../evil", "/etc/evil", "tile/../../evil", "tile/0/000/../../../evil", "", "tile", "tile/0", "checkpoint/x"),
        *("tile/entries/x000/001", "tile/0/000.p/256", "tile/0/000\x00", "tile\\0\\000", "tile/0/000 ", "CHECKPOINT"),
        *("unfinished", ".part"),
    ],
    ids=range(16),
)
def test_a_gateway_chooses_no_path(gateway: Gateway, tmp_path: Path, path: str) -> None:
    gateway.service.files = [("tile/0/000", b"xx"), (path, b"xx")]
    assert gateway.dump().exit_code == 1
    assert left(tmp_path).keys() <= {"d/unfinished", "d/tile/0/000"}


WHOLE = list(ordered(record(600).dump()).items())


@pytest.mark.parametrize(
    "files",
    [
        WHOLE[:-1],
        WHOLE[1:],
        [*WHOLE[:3], *WHOLE[4:]],
        [*WHOLE[:3], WHOLE[0], *WHOLE[3:]],
        [WHOLE[1], WHOLE[0], *WHOLE[2:]],
        [WHOLE[-1], *WHOLE[:-1]],
        [*WHOLE[:-1], ("checkpoint", b"xx")],
        [*WHOLE[:-1], ("checkpoint", b"\xff\xff")],
        [*WHOLE[:-1], ("checkpoint", record(600).checkpoint(log=OTHER_LOG).encode())],
        [*WHOLE[:-1], ("checkpoint", record(520).checkpoint().encode())],
        [*WHOLE[:-1], ("checkpoint", b"x" * 2_000_000)],
    ],
    ids=[
        *("no checkpoint", "no first bundle", "a tile is missing", "a file twice", "out of order", "checkpoint first"),
        *("no checkpoint's text", "no text", "another log's", "an old one", "a long one"),
    ],
)
def test_a_gateway_that_sends_what_is_no_whole_dump_makes_none(
    gateway: Gateway, files: list[tuple[str, bytes]]
) -> None:
    gateway.service.files = files
    assert gateway.dump().exit_code == 1
    assert "checkpoint" not in left(gateway.folder)
    gateway.service.files = None
    assert gateway.dump().exit_code == 0
    assert left(gateway.folder) == record(600).dump()


def test_a_disk_that_is_full_leaves_a_dump_to_go_on_with(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    settle, settled = DumpFolder.settle, list[int]()

    def full(folder: DumpFolder) -> None:
        settled.append(1)
        if len(settled) == 6:
            raise OSError(28, "No space left on device")
        settle(folder)

    monkeypatch.setattr(DumpFolder, "settle", full)
    told = gateway.dump()
    assert (told.exit_code, "No space left" in told.stderr) == (2, True)
    assert not (gateway.folder / ".part").exists()
    assert gateway.dump().exit_code == 0
    assert left(gateway.folder) == record(600).dump()
