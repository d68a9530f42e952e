"""``python -m tests.bench.revocation``: how long what is revoked goes on, and what it costs each call to ask.

A gateway as ``countersign up`` starts it; each try revokes a caller who holds a stream open and has a call that waits
for people. Counted from when the call to revoke returned.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from countersign.api.access.v1 import revocations_pb2
from countersign.model.principal import Principal, PrincipalKind
from countersign.model.revocation import RevocationKind
from countersign.runtime.revocations import check
from tests.support.biting import Biting, Revoker, biting_of, callers
from tests.support.gateway import running_gateway
from tests.support.revoking import FakeRevocations, revocation

TRIES = 50
EXPECTED_CUT_MS = 1_000
EXPECTED_CHECK_US = 5
IN_FORCE = 10_000
CHECKS = 20_000


@dataclass(frozen=True)
class RevocationFigures:
    """Milliseconds until the streams were cut and the held calls ended; microseconds that a call spends on asking."""

    tries: int
    cut_p50_ms: float
    cut_p99_ms: float
    held_p50_ms: float
    held_p99_ms: float
    revoke_p50_ms: float
    check_us: float


async def tries(place: Biting, count: int) -> list[tuple[float, float, float]]:
    """Return of each try the seconds until the stream was cut, until the held call ended, and that revoking took."""
    found: list[tuple[float, float, float]] = []
    async with callers(place) as http, place.owner() as owner, place.revoker() as revoker:
        for _ in range(count):
            one = await place.open(http, owner)
            try:
                asked_s, returned_s = await _revoke(revoker, one.subject)
                cut_s, (held_s, answer) = await asyncio.gather(one.ending, one.held)
            finally:
                await one.close()
            if answer.status_code != 401:
                raise RuntimeError(f"the held call of a revoked caller was answered {answer.status_code}")
            found.append((max(0.0, cut_s - returned_s), max(0.0, held_s - returned_s), returned_s - asked_s))
    return found


async def _revoke(revoker: Revoker, subject: str) -> tuple[float, float]:
    asked_s = time.monotonic()
    await revoker.revoke(revocations_pb2.REVOCATION_KIND_PRINCIPAL, subject)
    return asked_s, time.monotonic()


def check_us() -> float:
    """Return what one question costs while thousands of other tokens are revoked."""
    fake = FakeRevocations()
    who = Principal("https://idp.test", "alice", ("a",), PrincipalKind.AGENT, "t", ("bot",), 1, "s", "")
    for number in range(IN_FORCE):
        fake.known.put(revocation(RevocationKind.TOKEN, str(number), who.issuer))
    began = time.process_time()
    for _ in range(CHECKS):
        check(fake, who, 1, "session")
    return (time.process_time() - began) / CHECKS * 1e6


def percentile_ms(seconds: list[float], share: float) -> float:
    """Return a percentile by the nearest rank."""
    ranked = sorted(seconds)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))] * 1_000


def revocation_figures(count: int = TRIES) -> RevocationFigures:
    """Measure it all."""
    with ExitStack() as gateways, biting_of(lambda setup: gateways.enter_context(running_gateway(setup))) as place:
        found = asyncio.run(tries(place, count))
    cut, held, took = ([one[number] for one in found] for number in range(3))
    return RevocationFigures(
        tries=count,
        cut_p50_ms=percentile_ms(cut, 0.5),
        cut_p99_ms=percentile_ms(cut, 0.99),
        held_p50_ms=percentile_ms(held, 0.5),
        held_p99_ms=percentile_ms(held, 0.99),
        revoke_p50_ms=statistics.median(took) * 1_000,
        check_us=check_us(),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=TRIES)
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    arguments = parser.parse_args()
    figures = revocation_figures(arguments.tries)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(asdict(figures)))
    for name, value in asdict(figures).items():
        print(f"{name:16} {value:10.1f}")
