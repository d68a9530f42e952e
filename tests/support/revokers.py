"""Operators who revoke, and services that follow, as they speak to a recorder."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

import grpc

from countersign.api.access.v1 import revocations_pb2
from countersign.api.access.v1.revocations_pb2_grpc import RevocationFeedServiceStub, RevocationServiceStub
from countersign.model.principal import Principal
from countersign.recorder.door import PRINCIPAL_METADATA
from tests.support.events import ALICE
from tests.support.recorders import SEALER, until

OLGA = replace(ALICE, subject="olga", groups=("operators",), token_id="token-o")
CAROL = replace(ALICE, subject="carol", groups=("auditors",), token_id="token-c")
ISSUER = "https://idp.test"
PRINCIPAL = revocations_pb2.REVOCATION_KIND_PRINCIPAL
TOKEN = revocations_pb2.REVOCATION_KIND_TOKEN
SIGN_IN = revocations_pb2.REVOCATION_KIND_SIGN_IN
SESSION = revocations_pb2.REVOCATION_KIND_SESSION
ALL_OF_ISSUER = revocations_pb2.REVOCATION_KIND_ISSUER


def revocation(
    kind: revocations_pb2.RevocationKind.ValueType = PRINCIPAL,
    value: str | None = None,
    *,
    issuer: str = ISSUER,
    issued_before_s: int | None = None,
    until_us: int = 0,
    reason: str = "case 17",
    by_issuer: str = "",
) -> revocations_pb2.Revocation:
    """What somebody wants to be revoked: by default a principal that no other test knows."""
    return revocations_pb2.Revocation(
        kind=kind,
        issuer=issuer,
        value=f"s-{uuid.uuid4().hex[:12]}" if value is None else value,
        issued_before_s=issued_before_s,
        until_us=until_us,
        reason=reason,
        by_issuer=by_issuer,
    )


@dataclass
class Revoker:
    """People who call a recorder, and services that bring what issuers tell."""

    channel: grpc.aio.Channel

    def _as(self, who: Principal) -> tuple[tuple[str, str], ...]:
        return ((PRINCIPAL_METADATA, SEALER.seal_principal(who)),)

    async def revoke(self, wanted: revocations_pb2.Revocation, who: Principal = OLGA) -> revocations_pb2.Revocation:
        asked = revocations_pb2.RevokeRequest(revocation=wanted)
        answer = await RevocationServiceStub(self.channel).Revoke(asked, metadata=self._as(who), timeout=15)
        return answer.revocation

    async def lift(self, revocation_id: str, who: Principal = OLGA, reason: str = "found again") -> None:
        asked = revocations_pb2.LiftRevocationRequest(revocation_id=revocation_id, reason=reason)
        await RevocationServiceStub(self.channel).LiftRevocation(asked, metadata=self._as(who), timeout=15)

    async def listed(
        self, who: Principal = CAROL, *, issuer: str = "", value: str = "", page_size: int = 0
    ) -> list[revocations_pb2.Revocation]:
        asked = revocations_pb2.ListRevocationsRequest(issuer=issuer, value=value, page_size=page_size)
        found: list[revocations_pb2.Revocation] = []
        while True:
            call = RevocationServiceStub(self.channel).ListRevocations(asked, metadata=self._as(who), timeout=15)
            answer = await call
            found += answer.revocations
            if not answer.next_page_token:
                return found
            asked.page_token = answer.next_page_token

    async def apply(
        self,
        *revoked: revocations_pb2.Revocation,
        source_id: str = "",
        source: str = "test",
        lifted: tuple[revocations_pb2.Revocation, ...] = (),
    ) -> bool:
        """Bring what an issuer told; return whether it was known."""
        asked = revocations_pb2.ApplyRevocationsRequest(
            source=source, source_id=source_id or str(uuid.uuid4()), revocations=revoked, lifted=lifted
        )
        return (await RevocationFeedServiceStub(self.channel).ApplyRevocations(asked, timeout=15)).known


@dataclass
class Following:
    """What one who follows knows."""

    known: dict[str, revocations_pb2.Revocation] = field(default_factory=dict)
    messages: list[revocations_pb2.WatchRevocationsResponse] = field(default_factory=list)
    whole: bool = False
    heard_s: float = 0.0
    ended: bool = False

    def take(self, message: revocations_pb2.WatchRevocationsResponse) -> None:
        self.heard_s = time.monotonic()
        self.messages.append(message)
        if message.restarted:
            self.known.clear()
        for one in message.revocations:
            self.known[one.revocation_id] = one
        for gone in message.lifted:
            self.known.pop(gone, None)
        self.whole = message.whole

    async def knows(self, revocation_id: str, *, within_s: float = 15.0) -> None:
        await until(lambda: revocation_id in self.known, within_s=within_s)

    async def forgot(self, revocation_id: str, *, within_s: float = 15.0) -> None:
        await until(lambda: self.whole and revocation_id not in self.known, within_s=within_s)


@asynccontextmanager
async def following(channel: grpc.aio.Channel) -> AsyncIterator[Following]:
    """Follow over one stream, until the block ends or the stream does."""
    state = Following()
    call = RevocationFeedServiceStub(channel).WatchRevocations(revocations_pb2.WatchRevocationsRequest())

    async def follow() -> None:
        async for message in call:
            state.take(message)
        state.ended = True

    task = asyncio.ensure_future(follow())
    try:
        await until(lambda: state.whole or task.done())
        yield state
    finally:
        call.cancel()
        task.cancel()
        with suppress(asyncio.CancelledError, grpc.aio.AioRpcError):
            await task
