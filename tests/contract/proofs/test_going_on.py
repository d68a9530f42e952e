"""A dump that broke off goes on, against a real recorder: nothing is sent again, and what was changed is found."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from countersign.api.recorder.v1 import log_pb2
from countersign.audit import DumpReport, verify_dump
from countersign.cli.log.dump import _dumped
from countersign.cli.log.dump_folder import BadDump, dump_folder
from countersign.cli.log.service import Log
from countersign.cli.verify import _Folder
from tests.contract.proofs.conftest import DEADLINE_S, Asking, SomeWitness, asking


class Cut(Exception):
    """The way to the gateway broke off."""


class Cutting(Log):
    """Asks the recorder as an auditor does through the gateway; a dump breaks off after ``most`` pieces."""

    def __init__(self, channel: grpc.Channel, asking: Asking, most: int) -> None:
        super().__init__(channel, "")
        (principal,) = asking.metadata
        self._metadata = (principal,)
        self._most = most
        self.sent: list[str] = []

    def dump(self, from_size: int = 0) -> Iterator[log_pb2.DumpLogResponse]:
        for piece in super().dump(from_size):
            if len(self.sent) == self._most:
                raise Cut
            self.sent.append(piece.path)
            yield piece


async def dumped(asking: Asking, path: Path, most: int = 10**9) -> list[str]:
    """Dump in another thread, as a command would; return the paths of what was sent."""

    def work() -> list[str]:
        with grpc.insecure_channel(asking.address) as channel, dump_folder(path) as folder:
            log = Cutting(channel, asking, most)
            try:
                _dumped(folder, path, log)
            except Cut:
                assert most < 10**9
            return log.sent

    return await asyncio.to_thread(work)


def valid(asking: Asking, path: Path) -> DumpReport:
    return verify_dump(_Folder(path), asking.policy, now_s=int(time.time()))


async def test_a_dump_goes_on_behind_what_is_proved_to_be_of_the_log(
    dsn: str, witness: SomeWitness, tmp_path: Path
) -> None:
    async with witness.awake(), asking(dsn, witness) as log:
        await log.recorded(600)
        await log.published(600)
        first = await dumped(log, tmp_path / "d", most=3)
        await log.recorded(300)
        size = await log.published()
        second = await dumped(log, tmp_path / "d")
        assert not {"tile/entries/000", "tile/entries/001"} & set(second)
        assert {"tile/entries/000", "tile/entries/001"} <= set(first)
        assert valid(log, tmp_path / "d").events >= size

        # One that was changed meanwhile, by somebody who can make a file look new.
        await dumped(log, tmp_path / "e", most=4)
        file = tmp_path / "e" / "tile" / "entries" / "001"
        file.write_bytes(file.read_bytes().replace(b"orders", b"orderz", 1))
        with pytest.raises(BadDump, match="tile/entries/001 is not as this log has it"):
            await dumped(log, tmp_path / "e")
        file.unlink()
        await dumped(log, tmp_path / "e")
        assert valid(log, tmp_path / "e").events >= size


@pytest.mark.parametrize(
    ("from_size", "status"),
    [(255, grpc.StatusCode.INVALID_ARGUMENT), (2**32, grpc.StatusCode.FAILED_PRECONDITION)],
    ids=["within a bundle", "above the checkpoint"],
)
async def test_a_dump_begins_with_a_bundle_that_there_is(
    dsn: str, witness: SomeWitness, from_size: int, status: grpc.StatusCode
) -> None:
    async with witness.awake(), asking(dsn, witness) as log:
        await log.recorded(2)
        await log.published()
        call = log.stub.DumpLog(log_pb2.DumpLogRequest(from_size=from_size), metadata=log.metadata, timeout=DEADLINE_S)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await anext(aiter(call))
    assert refused.value.code() is status
