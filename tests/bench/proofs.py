"""``python -m tests.bench.proofs``: how long proofs take in a log of a million events.

Postgres runs in processes of its own and holds all tiles of the tree; what proves is in this process, as the recorder
does it, without gRPC and without recording the question. Every proof is verified.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import psycopg
import uvloop
from rich.console import Console

from countersign.recorder.log.ports import Published
from countersign.recorder.log.store import PostgresLogStore
from countersign.recorder.proofs.proving import Prover
from countersign.recorder.proofs.store import PostgresLeafStore
from countersign.recorder.store import PostgresAppendStore
from countersign.tlog import TileId, grow, leaf_hash, plan_root, verify_consistency, verify_inclusion
from tests.support.postgres import running_postgres

LEAVES = 1_000_000
ROUNDS = 300
SESSION_EVENTS = 1_000
EXPECTED_MS = 20

_LEAF = """
    INSERT INTO countersign.events (index, sequence, time_us, recorded_at, event_id, session_id, call_id, kind, outcome,
        target, method, name, record)
    VALUES (%(index)s, %(index)s, 1, now(), gen_random_uuid(), %(session)s, gen_random_uuid(), 1, 1, 'orders',
        'tools/call', 'query', %(record)s)"""


@dataclass(frozen=True)
class ProofFigures:
    """Milliseconds of a proof; ``session_ms`` is for the proofs of a session of 1,000 events spread over the log."""

    leaves: int
    inclusion_p50_ms: float
    inclusion_p95_ms: float
    inclusion_max_ms: float
    consistency_p95_ms: float
    session_ms: float


def record_of(index: int) -> str:
    """The leaf of an index."""
    return f'{{"leaf":{index},"filler":"{"x" * 400}"}}'


async def proof_figures(leaves: int = LEAVES, rounds: int = ROUNDS) -> ProofFigures:
    """Fill a database with the tree, and prove. Raises ``BadProof`` when a proof is wrong."""
    chance = random.Random(5)
    looked_at = sorted(chance.sample(range(leaves), rounds))
    with running_postgres() as postgres:
        dsn = postgres.database()
        tiles = await _filled(dsn, leaves, looked_at)
        tree = PostgresLogStore(dsn)
        store = PostgresLeafStore(dsn)
        (root,) = plan_root(leaves).make(tiles)
        published = Published("log.bench", leaves, "", 0)

        async def inclusion(index: int) -> None:
            leaf = await store.leaf(index)
            assert leaf is not None
            (hashes,) = await Prover(tree, published).inclusion([index])
            verify_inclusion(leaf_hash(leaf.record.encode()), index, leaves, hashes, root)

        async def consistency(old: int) -> None:
            hashes = await Prover(tree, published).consistency(old + 1, leaves)
            verify_consistency(old + 1, plan_root(old + 1).make(tiles)[0], leaves, root, hashes)

        try:
            await inclusion(looked_at[0])  # connects
            included = await _timed(inclusion, looked_at)
            consistent = await _timed(consistency, looked_at)
            began = time.perf_counter()
            session = sorted(chance.sample(range(leaves), SESSION_EVENTS))
            prover = Prover(tree, published)
            for at in range(0, SESSION_EVENTS, 200):
                await prover.inclusion(session[at : at + 200])
            session_ms = (time.perf_counter() - began) * 1_000
        finally:
            await tree.close()
            await store.close()
    return ProofFigures(
        leaves,
        included[len(included) // 2],
        included[int(len(included) * 0.95)],
        included[-1],
        consistent[int(len(consistent) * 0.95)],
        session_ms,
    )


async def _filled(dsn: str, leaves: int, looked_at: Sequence[int]) -> Mapping[TileId, bytes]:
    """Make the tables and all tiles, and those leaves that are asked for; the hashes of others are made up."""
    store = PostgresAppendStore(dsn)
    await store.open()
    await store.close()
    asked = set(looked_at)
    hashes = [
        leaf_hash(record_of(index).encode()) if index in asked else hashlib.sha256(index.to_bytes(8, "big")).digest()
        for index in range(leaves)
    ]
    tiles = grow(0, {}, hashes).tiles
    async with await psycopg.AsyncConnection.connect(dsn) as connection, connection.cursor() as cursor:
        async with cursor.copy("COPY countersign.tiles (level, tile, hashes) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["int2", "int8", "bytea"])
            for tile, content in tiles.items():
                await copy.write_row((*tile, content))
        session = "00000000-0000-4000-8000-000000000000"
        rows = [{"index": index, "record": record_of(index), "session": session} for index in looked_at]
        await cursor.executemany(_LEAF, rows)
    return tiles


async def _timed(ask: Callable[[int], Awaitable[None]], places: Sequence[int]) -> list[float]:
    """Return how many milliseconds each took, in order of size."""
    took = []
    for place in places:
        began = time.perf_counter()
        await ask(place)
        took.append((time.perf_counter() - began) * 1_000)
    return sorted(took)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bench.proofs", description=__doc__)
    parser.add_argument("--leaves", type=int, default=LEAVES)
    found = uvloop.run(proof_figures(parser.parse_args(sys.argv[1:]).leaves))
    terminal = Console(highlight=False)
    terminal.print(f"proofs in a log of {found.leaves:,} events (expected: p95 below {EXPECTED_MS} ms)")
    terminal.print(
        f"inclusion    p50 {found.inclusion_p50_ms:.1f} ms, p95 {found.inclusion_p95_ms:.1f} ms, "
        f"max {found.inclusion_max_ms:.1f} ms"
    )
    terminal.print(f"consistency  p95 {found.consistency_p95_ms:.1f} ms")
    terminal.print(f"a session of {SESSION_EVENTS:,} events: {found.session_ms:.0f} ms")
