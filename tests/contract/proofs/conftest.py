"""A recorder over a real database, with a real witness, for all tests of a module; and who reads its proofs."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
import psycopg
import pytest

from countersign.api.recorder.v1 import log_pb2, log_pb2_grpc
from countersign.audit import SessionReport, verify_export
from countersign.config.types import Recording, Witness
from countersign.model.principal import Principal
from countersign.recorder import RecorderPart
from countersign.recorder.door import PRINCIPAL_METADATA
from countersign.recorder.witnesses import Witnesses
from countersign.runtime.listening import bound
from countersign.runtime.recording import Recorder
from countersign.runtime.web import WebServer
from countersign.tlog import KeyKind, TrustPolicy, parse_policy
from countersign.witness.app import witness_app
from countersign.witness.judging import Witness as Judge
from countersign.witness.remembered import Remembered
from tests.support.events import ALICE, new_id, request, response
from tests.support.gateway import free_port
from tests.support.log_keys import log_of
from tests.support.logs import signer
from tests.support.postgres import Postgres
from tests.support.postgres import postgres as postgres
from tests.support.recorders import SEALER, running_recorder, running_sender, until

CAROL = replace(ALICE, subject="carol", groups=("auditors",))
WITNESS = signer("witness.test/w1", KeyKind.COSIGNATURE, seed=9)
DEADLINE_S = 60.0


class SomeWitness:
    """A witness of the log at an address that stays; it can be away."""

    def __init__(self, dsn: str, folder: Path) -> None:
        self._folder = folder
        self._address = f"127.0.0.1:{free_port()}"
        self._logs = log_of(dsn).verifiers
        self.named = Witness("w1", f"http://{self._address}", str(WITNESS.verifier))

    @asynccontextmanager
    async def awake(self) -> AsyncIterator[None]:
        """It answers inside the block."""
        remembered = Remembered(self._folder, {key.name for key in self._logs})
        judge = Judge(WITNESS, self._logs, remembered, lambda: int(time.time()))
        listener = bound(self._address)
        server = WebServer(witness_app(judge), listener)
        running = asyncio.ensure_future(server.listen())
        try:
            await until(lambda: server.serving)
            yield
        finally:
            server.end()
            await running
            listener.close()
            remembered.close()


@dataclass
class Asking:
    """An auditor's LogService, and what the recorder is."""

    dsn: str
    part: RecorderPart
    address: str
    sender: Recorder
    stub: log_pb2_grpc.LogServiceAsyncStub
    policy: TrustPolicy
    who: Principal = CAROL

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return ((PRINCIPAL_METADATA, SEALER.seal_principal(self.who)),)

    async def recorded(self, events: int = 6, session: str = "") -> str:
        """Record a session of some events; return its id."""
        session = session or new_id()
        for number in range(events // 2):
            await self.sender.record(request(session))
            await self.sender.record(response(session, body=b'{"n":%d}' % number * (1 + 400 * (number % 2))))
        return session

    async def published(self, size: int = 0) -> int:
        """Return the size of the first checkpoint that shows all that is recorded now, and ``size`` events at least."""
        async with await psycopg.AsyncConnection.connect(self.dsn) as connection:
            found = await (await connection.execute("SELECT next_index FROM countersign.head")).fetchone()
        assert found is not None
        wanted = max(size, found[0])
        await until(lambda: self.part.log.published_size >= wanted, within_s=DEADLINE_S)
        return self.part.log.published_size

    async def export(self, session: str, **how: bool) -> bytes:
        asked = log_pb2.ExportSessionRequest(session_id=session, **how)
        call = self.stub.ExportSession(asked, metadata=self.metadata, timeout=DEADLINE_S)
        return b"".join([piece.content async for piece in call])

    async def sealed(self, session: str) -> bytes:
        """Return the export of a session once its seal is published."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                return await self.export(session)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.FAILED_PRECONDITION or time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.1)

    def verified(self, content: bytes) -> SessionReport:
        return verify_export(io.BytesIO(content), self.policy, now_s=int(time.time()))


@asynccontextmanager
async def asking(
    dsn: str, witness: SomeWitness, *, seal_after_s: float = 3_600.0, most_unpublished: int = 100_000
) -> AsyncIterator[Asking]:
    recording = Recording(
        seal_after_s=seal_after_s, most_unpublished=most_unpublished, witnesses=(witness.named,), witnesses_needed=1
    )
    (key,) = log_of(dsn).verifiers
    policy = parse_policy(f"log {key}\nwitness w1 {WITNESS.verifier}\nquorum w1\n")
    cosigner = Witnesses(lambda: recording)
    async with (
        running_recorder(dsn, recording=lambda: recording, cosigner=cosigner) as (part, address),
        running_sender(address, timeout_s=DEADLINE_S) as sender,
        grpc.aio.insecure_channel(address) as channel,
    ):
        yield Asking(dsn, part, address, sender, log_pb2_grpc.LogServiceStub(channel), policy)


@pytest.fixture(scope="module")
def dsn(postgres: Postgres) -> str:
    return postgres.database()


@pytest.fixture(scope="module")
def witness(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> SomeWitness:
    return SomeWitness(dsn, tmp_path_factory.mktemp("witness"))
