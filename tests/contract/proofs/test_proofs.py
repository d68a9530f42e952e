"""What proves the record, from a real recorder with a real witness: true for auditors, silent for others."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import grpc
import psycopg
import pytest

from countersign.api.recorder.v1 import event_pb2, log_pb2
from countersign.audit import Invalid, verify_dump
from countersign.recorder import audit
from countersign.recorder.proofs import server
from countersign.runtime.recording import NotRecorded
from countersign.tlog import leaf_hash, verify_consistency, verify_inclusion
from tests.contract.proofs.conftest import DEADLINE_S, Asking, SomeWitness, asking
from tests.support.events import ALICE, new_id, request
from tests.support.recorders import running_sender, until


@dataclass
class Dump:
    """The files of a dump; see ``audit.Files``."""

    files: Mapping[str, bytes]

    def read(self, path: str, most: int) -> bytes:
        return self.files[path][: most + 1]

    def tiles(self) -> list[str]:
        return [path for path in self.files if path != "checkpoint"]


async def dumped(log: Asking) -> Dump:
    files: dict[str, bytes] = {}
    last, total = "", 0
    call = log.stub.DumpLog(log_pb2.DumpLogRequest(), metadata=log.metadata, timeout=DEADLINE_S)
    async for piece in call:
        assert piece.path == last or piece.path not in files, "the pieces of a file follow each other"
        last, total = piece.path, piece.total_bytes
        files[last] = files.get(last, b"") + piece.content
    assert last == "checkpoint", "a dump that is cut has none"
    held = sum(map(len, files.values()))
    assert held * 0.7 < total < held * 1.3
    return Dump(files)


async def refused(call: object) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call  # type: ignore[misc]  # calls of stubs are awaitable, which their types do not say
    return error.value.code(), error.value.details() or ""


async def test_what_is_signed_and_cosigned_is_exported_and_found_valid(dsn: str, witness: SomeWitness) -> None:
    async with witness.awake(), asking(dsn, witness, seal_after_s=0.5) as log:
        session, other = await log.recorded(6), await log.recorded(2)
        content = await log.sealed(session)
        report = log.verified(content)
        assert (report.session_id, report.events, report.seal_reason) == (session, 7, "idle")
        assert report.seal is not None
        assert (report.seal.event_count, report.bodies.proven, report.bodies.absent) == (6, 6, 0)
        assert [one.name for one in report.trusted.cosigned] == ["w1"]
        without = log.verified(await log.export(session, without_bodies=True))
        assert (without.events, without.bodies.proven, without.bodies.absent) == (7, 0, 6)
        # Nobody else's key, and no other quorum, would do.
        with pytest.raises(Invalid):
            log.verified(content.replace(session.encode(), other.encode()))

        # The session goes on in another one.
        await log.recorded(2, session)
        await log.published()
        with pytest.raises(Invalid):
            log.verified(content[:-2] + b"\n")
        dump = await dumped(log)
        previous = json.loads(content.splitlines()[-2])["checkpoint"]
        whole = verify_dump(dump, log.policy, now_s=int(time.time()), previous=previous)
        assert whole.sealed_sessions >= 1
        assert whole.previous is not None


async def test_one_event_is_proved_and_so_is_that_nothing_was_removed(dsn: str, witness: SomeWitness) -> None:
    async with witness.awake(), asking(dsn, witness) as log:
        event = request()
        await log.sender.record(event)
        first = await log.published()
        asked = log_pb2.GetInclusionProofRequest(event_id=event.event_id)
        proof = await log.stub.GetInclusionProof(asked, metadata=log.metadata, timeout=DEADLINE_S)
        tree = log.policy.open(proof.checkpoint, now_s=int(time.time())).checkpoint
        leaf = leaf_hash(proof.leaf.encode())
        verify_inclusion(leaf, proof.index, tree.size, list(proof.hashes), tree.root)
        assert json.loads(proof.leaf)["event_id"] == event.event_id
        same = await log.stub.GetInclusionProof(
            log_pb2.GetInclusionProofRequest(index=proof.index), metadata=log.metadata, timeout=DEADLINE_S
        )
        assert same.leaf == proof.leaf

        before = await log.stub.GetCheckpoint(log_pb2.GetCheckpointRequest(), metadata=log.metadata)
        await log.recorded(40)
        await log.published(first + 40)
        old = log.policy.open(before.checkpoint, now_s=int(time.time())).checkpoint
        grown = await log.stub.GetConsistencyProof(
            log_pb2.GetConsistencyProofRequest(from_size=old.size), metadata=log.metadata
        )
        new = log.policy.open(grown.checkpoint, now_s=int(time.time())).checkpoint
        verify_consistency(old.size, old.root, new.size, new.root, list(grown.hashes))
        assert new.size >= old.size + 40
        within = await log.stub.GetConsistencyProof(
            log_pb2.GetConsistencyProofRequest(from_size=1, to_size=old.size), metadata=log.metadata
        )
        zero = await log.stub.GetInclusionProof(log_pb2.GetInclusionProofRequest(index=0), metadata=log.metadata)
        verify_consistency(1, leaf_hash(zero.leaf.encode()), old.size, old.root, list(within.hashes))

        status = await log.stub.GetLogStatus(log_pb2.GetLogStatusRequest(), metadata=log.metadata)
        assert (status.witnesses_needed, status.stopped, list(status.keys)) == (1, "", [str(log.policy.logs[0])])
        assert [(one.name, one.problem) for one in status.witnesses] == [("w1", "")]
        assert status.published_size <= status.integrated_size <= status.recorded_size


async def test_what_is_asked_wrongly_or_too_early_is_told_so(dsn: str, witness: SomeWitness) -> None:
    async with witness.awake(), asking(dsn, witness) as log:
        session = await log.recorded(2)
        size = await log.published()
        ahead = size + 1_000
        for asked, code in (
            (log_pb2.GetInclusionProofRequest(), grpc.StatusCode.INVALID_ARGUMENT),
            (log_pb2.GetInclusionProofRequest(event_id="x"), grpc.StatusCode.INVALID_ARGUMENT),
            (log_pb2.GetInclusionProofRequest(event_id=new_id()), grpc.StatusCode.NOT_FOUND),
            (log_pb2.GetInclusionProofRequest(index=ahead), grpc.StatusCode.FAILED_PRECONDITION),
            (log_pb2.GetInclusionProofRequest(index=2**64 - 1), grpc.StatusCode.FAILED_PRECONDITION),
        ):
            told = await refused(log.stub.GetInclusionProof(asked, metadata=log.metadata, timeout=DEADLINE_S))
            assert told[0] is code, (asked, told)
        for about, code in (
            (log_pb2.GetConsistencyProofRequest(from_size=ahead), grpc.StatusCode.FAILED_PRECONDITION),
            (log_pb2.GetConsistencyProofRequest(to_size=2**64 - 1), grpc.StatusCode.FAILED_PRECONDITION),
            (log_pb2.GetConsistencyProofRequest(from_size=2, to_size=1), grpc.StatusCode.INVALID_ARGUMENT),
        ):
            told = await refused(log.stub.GetConsistencyProof(about, metadata=log.metadata, timeout=DEADLINE_S))
            assert told[0] is code, (about, told)
        for wanted, code, why in (
            ("x", grpc.StatusCode.INVALID_ARGUMENT, "session_id: not a UUID"),
            (new_id(), grpc.StatusCode.NOT_FOUND, "no such session"),
            (session, grpc.StatusCode.FAILED_PRECONDITION, "it is sealed 3600 s after its last event"),
        ):
            told = await refused(log.export(wanted))
            assert (told[0], why in told[1]) == (code, True), told
        report = log.verified(await log.export(session, unsealed=True))
        assert (report.events, report.seal) == (2, None)


async def test_nobody_but_auditors_is_told_anything_and_all_who_ask_are_recorded(
    dsn: str, witness: SomeWitness, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with witness.awake(), asking(dsn, witness) as log:
        session = await log.recorded(2)
        await log.published()
        other = replace(log, who=ALICE)
        assert (await refused(other.export(session, unsealed=True)))[0] is grpc.StatusCode.PERMISSION_DENIED
        assert (await refused(other.stub.GetCheckpoint(log_pb2.GetCheckpointRequest(), metadata=other.metadata)))[
            0
        ] is grpc.StatusCode.PERMISSION_DENIED
        unknown = log.stub.GetLogStatus(log_pb2.GetLogStatusRequest(), timeout=DEADLINE_S)
        assert (await refused(unknown))[0] is grpc.StatusCode.UNAUTHENTICATED
        await log.export(session, unsealed=True)
        monkeypatch.setattr(server, "MAX_STREAMS", 0)
        assert (await refused(log.export(session)))[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        found = await connection.execute(
            "SELECT s.subject, e.method, e.name, e.outcome FROM countersign.events AS e"
            " JOIN countersign.sessions AS s USING (session_id) WHERE e.kind = %s AND e.name = %s",
            (event_pb2.EVENT_KIND_AUDIT_READ, session),
        )
        rows = await found.fetchall()
    assert ("alice", "ExportSession", session, 2) in rows
    assert ("carol", "ExportSession", session, 1) in rows


async def test_without_the_witness_nothing_is_shown_and_in_the_end_nothing_recorded(
    dsn: str, witness: SomeWitness, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asking(dsn, witness, most_unpublished=40) as log:
        await until(lambda: log.part.log.recorded_size > 0)
        begun = log.part.log
        room = 40 - (begun.recorded_size - begun.published_size)
        session = new_id()
        recorded = 0
        async with running_sender(log.address, timeout_s=1.5) as impatient:
            # The log is looked at twice a second: by then some more may have passed.
            while recorded < room + 100:
                try:
                    await impatient.record(request(session))
                except NotRecorded:
                    break
                recorded += 1
        assert 0 < recorded < room + 100
        monkeypatch.setattr(audit, "_WAIT_S", 0.2)
        status = await log.stub.GetLogStatus(log_pb2.GetLogStatusRequest(), metadata=log.metadata)
        assert ["it cannot be reached" in one.problem for one in status.witnesses] == [True]
        assert (await refused(log.export(session, unsealed=True)))[0] is grpc.StatusCode.UNAVAILABLE
        monkeypatch.undo()
        view = log.part.log
        assert (view.published_size, view.integrated_size >= begun.recorded_size + recorded) == (
            begun.published_size,
            True,
        )
        async with witness.awake():
            await log.sender.record(request(session))
            await log.published(view.recorded_size + 1)
            report = log.verified(await log.export(session, unsealed=True))
            assert report.events > recorded


async def test_an_export_waits_for_the_checkpoint_that_shows_what_was_recorded_just_now(
    dsn: str, witness: SomeWitness
) -> None:
    async with witness.awake(), asking(dsn, witness) as log:
        for _ in range(5):
            report = log.verified(await log.export(await log.recorded(2), unsealed=True))
            assert 1 <= report.events <= 2


async def test_nothing_above_the_checkpoint_is_shown(dsn: str, witness: SomeWitness) -> None:
    async with witness.awake(), asking(dsn, witness) as log:
        session = await log.recorded(4)
        shown = await log.published()
    async with asking(dsn, witness) as log:
        # The witness is away: what is recorded now is in the tree, and no checkpoint shows it.
        await log.recorded(4, session)
        await until(lambda: log.part.log.integrated_size >= shown + 4)
        report = log.verified(await log.export(session, unsealed=True))
        assert report.events == 4
        later = await log.recorded(2)
        code, why = await refused(log.export(later, unsealed=True))
        assert (code, "no checkpoint shows the session yet" in why) == (grpc.StatusCode.FAILED_PRECONDITION, True)
        dump = await dumped(log)
        tree = log.policy.open(dump.files["checkpoint"], now_s=int(time.time())).checkpoint
        verify_dump(dump, log.policy, now_s=int(time.time()))
        assert tree.size < log.part.log.recorded_size
        assert later.encode() not in b"".join(dump.files.values())
