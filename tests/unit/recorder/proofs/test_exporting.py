"""Exports and dumps as the recorder makes them, page by page: to the byte what an auditor's own tools would make."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

import pytest

from countersign.audit import verify_dump, verify_export
from countersign.recorder.log.ports import Published
from countersign.recorder.ports import SealRow, SessionRow, StoredEvent
from countersign.recorder.proofs.dumping import files, total_bytes
from countersign.recorder.proofs.errors import Incomplete, NotPublished
from countersign.recorder.proofs.exporting import PIECE_BYTES, SessionExport
from countersign.recorder.proofs.ports import Leaf
from countersign.recorder.proofs.proving import Prover
from countersign.recorder.who import NOBODY
from countersign.tlog import TileId
from tests.support.audited import NOW_S, ORIGIN, Folder, Record, policy, session_id, small_record
from tests.support.cost import cpu_s

PAGE = 3
NEVER = datetime.fromtimestamp(0, UTC)


class Stored:
    """A record as the recorder's stores give it, at most three events a page; ``lost`` indices are gone."""

    def __init__(self, record: Record, *, page: int = PAGE) -> None:
        self.record = record
        self.page = page
        self.lost: set[int] = set()
        self.kept = dict(record.tiles())

    def published(self, size: int | None = None) -> Published:
        size = len(self.record.shown) if size is None else size
        return Published(ORIGIN, size, self.record.checkpoint(size), NOW_S * 1_000_000)

    def row(self, session: str) -> SessionRow:
        indices = self.record.sessions[session]
        last = self.record.shown[indices[-1]]
        seal = SealRow(last.index, bytes(32), 0, NEVER, "idle") if '"seal":' in last.leaf else None
        times = (0, 0, len(indices), 0, 0, 0, 0)
        return SessionRow(UUID(session_id(session)), indices[0], NOBODY, "orders", *times, seal=seal)

    async def session(self, _: UUID) -> SessionRow | None:
        raise NotImplementedError

    async def events(self, session: UUID, *, start: int, stop: int) -> list[StoredEvent]:
        (name,) = [name for name in self.record.sessions if session_id(name) == str(session)]
        found = [
            StoredEvent(one.index, sequence, NEVER, one.leaf, one.body, one.salt or b"")
            for sequence, one in enumerate(self.record.of(name))
            if start <= sequence < stop and one.index not in self.lost
        ]
        return found[: self.page]

    async def tiles(self, wanted: Collection[TileId]) -> Mapping[TileId, bytes]:
        return {tile: self.kept[tile] for tile in wanted if tile in self.kept}

    async def leaf(self, index: int) -> Leaf | None:
        raise NotImplementedError

    async def leaf_of(self, event_id: UUID) -> Leaf | None:
        raise NotImplementedError

    async def leaves(self, start: int, stop: int) -> Sequence[str]:
        return [one.leaf for one in self.record.shown[start:stop] if one.index not in self.lost]

    async def mean_bytes(self, size: int) -> float:
        return sum(len(one.leaf) for one in self.record.shown[:size]) / size

    async def close(self) -> None:
        raise NotImplementedError


async def whole(pieces: AsyncIterator[bytes]) -> bytes:
    found = [piece async for piece in pieces]
    assert max(map(len, found)) <= PIECE_BYTES
    return b"".join(found)


async def exported(stored: Stored, session: str, *, size: int | None = None, **how: bool) -> bytes:
    prover = Prover(Tree(stored), stored.published(size))
    export = SessionExport(stored.row(session), prover, unsealed=how.get("unsealed", False), seal_after_s=60)
    return await whole(export.pieces(stored, bodies=how.get("bodies", True)))


class Tree:
    """A ``TreeReader`` over the tiles of a record."""

    def __init__(self, stored: Stored) -> None:
        self._stored = stored

    async def tiles(self, wanted: Collection[TileId]) -> Mapping[TileId, bytes]:
        return await self._stored.tiles(wanted)

    async def published(self, origin: str) -> Published | None:
        return self._stored.published()


def long_record(events: int = 700) -> Record:
    record = Record()
    for number in range(events):
        record.event("a" if number % 3 else "b", b"%d" % number)
    record.seal("a")
    return record


@pytest.mark.parametrize("page", [1, 3])
async def test_an_export_is_what_its_format_says_however_it_is_paged(page: int) -> None:
    for record in (small_record(), long_record(60)):
        stored = Stored(record, page=page)
        assert await exported(stored, "a") == record.export("a")
        assert await exported(stored, "b", unsealed=True) == record.export("b", unsealed=True)


async def test_a_body_of_many_pieces_is_sent_in_pieces() -> None:
    record = Record()
    record.event("a", b"x" * (2 * PIECE_BYTES))
    record.seal("a")
    assert await exported(Stored(record), "a") == record.export("a")


async def test_what_is_left_out_or_erased_is_not_shown_and_all_is_proved_still() -> None:
    record = small_record()
    content = await exported(Stored(record), "a", bodies=False)
    assert b'"body"' not in content
    assert b'"salt"' not in content
    report = verify_export(io.BytesIO(content), policy(), now_s=NOW_S)
    assert (report.events, report.bodies.absent) == (4, 2)


async def test_a_session_whose_seal_no_checkpoint_shows_is_not_exported_as_whole() -> None:
    record = small_record()
    stored = Stored(record)
    with pytest.raises(NotPublished, match="it is sealed 60 s after its last event"):
        await exported(stored, "b")
    with pytest.raises(NotPublished, match="no checkpoint shows the seal yet"):
        await exported(stored, "a", size=5)
    for size, events in ((2, 1), (3, 2), (5, 3)):
        content = await exported(stored, "a", size=size, unsealed=True)
        report = verify_export(io.BytesIO(content), policy(), now_s=NOW_S)
        assert (report.events, report.seal) == (events, None)
    with pytest.raises(NotPublished, match="no checkpoint shows the session yet"):
        await exported(stored, "a", size=1, unsealed=True)


@pytest.mark.parametrize("lost", [1, 2, 4, 5])
async def test_an_event_that_is_gone_is_told(lost: int) -> None:
    stored = Stored(small_record())
    stored.lost = {lost}
    with pytest.raises(Incomplete):
        await exported(stored, "a")


async def test_a_tile_that_is_gone_or_short_is_told() -> None:
    stored = Stored(long_record())
    for content in (b"", bytes(32 * 100)):
        stored.kept[TileId(0, 1)] = content
        with pytest.raises(Incomplete):
            await exported(stored, "a")
        with pytest.raises(Incomplete):
            [one async for one in files(stored.published(), Tree(stored), stored)]


@pytest.mark.parametrize("size", [1, 255, 256, 257, 600, 701])
async def test_a_dump_is_what_the_checkpoint_shows_also_when_there_is_more_by_now(size: int) -> None:
    record = long_record()
    stored = Stored(record)
    published = stored.published(size)
    found = {path: content async for path, content in files(published, Tree(stored), stored)}
    assert list(found)[-1] == "checkpoint"
    verify_dump(Folder(found), policy(), now_s=NOW_S)
    if size == len(record.shown):
        assert found == record.dump()
    held = sum(map(len, found.values()))
    assert held * 0.8 < await total_bytes(published, stored) < held * 1.2


async def test_a_dump_without_an_event_is_none() -> None:
    stored = Stored(long_record())
    stored.lost = {300}
    with pytest.raises(Incomplete, match="events from 256 on"):
        [one async for one in files(stored.published(), Tree(stored), stored)]


async def test_a_leaf_too_long_for_a_bundle_is_told() -> None:
    record = Record()
    record.event("a", method="x" * 70_000)
    stored = Stored(record)
    with pytest.raises(Incomplete, match="longer than an entry can be"):
        [one async for one in files(stored.published(), Tree(stored), stored)]


def test_proving_a_long_session_costs_little_an_event() -> None:
    stored = Stored(long_record(), page=200)
    stored.record.sessions["a"] = stored.record.sessions["a"][:-1]
    spent = cpu_s(lambda: asyncio.run(exported(stored, "a", unsealed=True)))
    assert spent / 466 < 0.001
