"""The tree holds every event, in order, once, whoever puts it there and wherever they are stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from countersign.recorder.log.checking import root_at
from countersign.recorder.log.store import PostgresLogStore
from countersign.tlog import TILE_WIDTH, TileId, all_tiles, leaf_hash, node_hash
from tests.contract.log.rig import Rig
from tests.support.recorded import add_events, leaves_of

Start = Callable[..., Rig]


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, 2.1, as it is written there."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    return node_hash(naive_root(leaves[:split]), naive_root(leaves[split:]))


async def tiles_of(store: PostgresLogStore, size: int) -> dict[TileId, bytes]:
    wanted = [TileId(path.level or 0, path[1]) for path in all_tiles(size)]
    found = await store.tiles(wanted)
    assert set(found) == set(wanted)
    return dict(found)


async def test_the_tree_is_the_one_of_the_leaves(rig: Start, dsn: str) -> None:
    one = rig()
    size = 0
    for added in (1, 254, 1, 1, 300, TILE_WIDTH * 3):
        await add_events(dsn, added)
        size += added
        assert await one.store.integrate() == added
        hashes = [leaf_hash(leaf.encode()) for leaf in await leaves_of(dsn)]
        assert await root_at(size, one.store.tiles) == naive_root(hashes)
    assert await one.store.integrate() == 0


async def test_many_that_race_make_one_tree_without_a_gap(rig: Start, dsn: str) -> None:
    rigs = [rig(f"state{number}") for number in range(3)]
    done = asyncio.Event()

    async def integrate(one: Rig) -> int:
        added = 0
        while not done.is_set():
            added += await one.store.integrate(most=100)
        return added

    racing = [asyncio.ensure_future(integrate(one)) for one in rigs]
    for _ in range(12):
        await add_events(dsn, 97)
    total = 12 * 97
    async with asyncio.timeout(30):
        while (await rigs[0].store.standing("log.test")).integrated_size < total:  # noqa: ASYNC110 - three others work
            await asyncio.sleep(0.005)
    done.set()
    assert sum(await asyncio.gather(*racing)) == total
    raced = await tiles_of(rigs[0].store, total)

    # The same events in one go, after the tree was forgotten.
    await forget_tree(dsn)
    assert await rigs[0].store.integrate() == total
    assert await tiles_of(rigs[0].store, total) == raced


async def forget_tree(dsn: str) -> None:
    import psycopg

    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await connection.execute("TRUNCATE countersign.tiles")
        await connection.execute("UPDATE countersign.log SET integrated_size = 0")


async def test_who_is_stopped_anywhere_leaves_a_tree_that_the_next_completes(rig: Start, dsn: str) -> None:
    one, other = rig(), rig("other")
    expected = 0
    for steps in range(0, 40, 2):
        await add_events(dsn, 50)
        expected += 50
        stopped = asyncio.ensure_future(one.store.integrate())
        for _ in range(steps):
            await asyncio.sleep(0)
        stopped.cancel()
        await asyncio.gather(stopped, return_exceptions=True)
        async with asyncio.timeout(20):
            while (await other.store.standing("log.test")).integrated_size < expected:
                await other.store.integrate()
    hashes = [leaf_hash(leaf.encode()) for leaf in await leaves_of(dsn)]
    assert await root_at(expected, other.store.tiles) == naive_root(hashes)


@pytest.mark.parametrize("most", [255, 256])
async def test_how_many_go_at_once_changes_nothing(rig: Start, dsn: str, most: int) -> None:
    one = rig()
    await add_events(dsn, 600)
    async with asyncio.timeout(60):
        while await one.store.integrate(most=most):
            pass
    hashes = [leaf_hash(leaf.encode()) for leaf in await leaves_of(dsn)]
    assert await root_at(600, one.store.tiles) == naive_root(hashes)
