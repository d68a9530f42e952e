"""``python -m tests.fault.recorder.mortal_revoking DSN``: operators' calls in recorders that kill themselves at a step.

Standard input has a line of JSON for each: at which step it dies (a step is the moment before a statement), whom it
revokes, and a revocation to lift in place of that. It prints ``done`` when that is answered, and how it ended.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
import uuid
from contextlib import suppress

from countersign.model.revocation import Revocation, RevocationKind
from countersign.recorder.audit import AuditTrail
from countersign.recorder.committer import Committer
from countersign.recorder.revocations.book import RevocationBook
from countersign.recorder.revocations.events import By
from countersign.recorder.revocations.ports import Revoked
from countersign.recorder.revocations.store import PostgresRevocationStore
from countersign.recorder.store import PostgresAppendStore
from countersign.runtime.moments import now_us
from tests.fault.recorder.mortal import Steps, put_steps_into
from tests.support.events import ALICE

ISSUER = "https://idp.test"


def revoked(value: str) -> Revoked:
    """What the operator wants."""
    what = Revocation(str(uuid.uuid4()), RevocationKind.PRINCIPAL, ISSUER, value, "case 17", time.time_ns() // 1_000)
    return Revoked(what, ISSUER, "olga")


async def live(dsn: str, die_at: int, value: str, lift: str) -> None:
    """Revoke, or lift, once."""
    record = PostgresAppendStore(dsn)
    await record.open()
    store = PostgresRevocationStore(dsn)
    committer = Committer(record, queue_events=100, queue_bytes=2**20)
    running = asyncio.ensure_future(committer.run())
    book = RevocationBook(store, AuditTrail(committer).append_message, clock_us=now_us)
    known = await store.get(lift, now_us()) if lift else None
    put_steps_into(Steps(die_at))
    async with asyncio.timeout(20):
        if known is None:
            await book.revoke([revoked(value)], By(ALICE))
        else:
            await book.lift(known, "case 17 is closed", By(ALICE))
    os.write(1, b"done\n")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await store.close()
    await record.close()


def main(dsn: str) -> None:
    """Fork a recorder for each line."""
    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if not child:
            with suppress(KeyboardInterrupt):
                asyncio.run(live(dsn, order["die_at"], order["value"], order.get("lift", "")))
                os._exit(0)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        os.write(1, f"ended {os.waitstatus_to_exitcode(status)}\n".encode())


if __name__ == "__main__":
    main(sys.argv[1])
