"""What was taken back, as the recorder tells it: followed all the time, asked on every call without waiting."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from types import MappingProxyType
from typing import Protocol

import grpc

from countersign.api.access.v1 import revocations_pb2, revocations_pb2_grpc
from countersign.config.types_identity import Revoking
from countersign.model.principal import Principal
from countersign.model.revocation import Revocation, RevocationKind, RevocationList
from countersign.runtime.channels import channel_options
from countersign.runtime.trust import SERVICE_HEADER

log = logging.getLogger(__name__)

SILENCE_S = 2.0
"""A recorder that can read its database says something every half second; one that is silent so long is left."""
MOST_REVOCATIONS = 500_000
LOOK_S = 1.0
FIRST_WAIT_S = 0.05
LONGEST_WAIT_S = 0.5

CHANNEL_OPTIONS = channel_options(again_ms=500)
"""How recorders are reached about revocations: soon again when one was away."""

KINDS = MappingProxyType(
    {
        revocations_pb2.REVOCATION_KIND_PRINCIPAL: RevocationKind.PRINCIPAL,
        revocations_pb2.REVOCATION_KIND_TOKEN: RevocationKind.TOKEN,
        revocations_pb2.REVOCATION_KIND_SIGN_IN: RevocationKind.SIGN_IN,
        revocations_pb2.REVOCATION_KIND_SESSION: RevocationKind.SESSION,
        revocations_pb2.REVOCATION_KIND_ISSUER: RevocationKind.ISSUER,
    }
)


class Ended(Exception):
    """What goes on for a caller must not go on. ``str()`` is safe to show to that caller, and to record."""


class Revoked(Ended):
    """``revocation`` takes the caller or the session back. The message says no more than that."""

    def __init__(self, revocation: Revocation) -> None:
        super().__init__("the session was revoked" if _is_session(revocation) else "the token was revoked")
        self.revocation = revocation


class NotKnown(Ended):
    """What was revoked is not known now, so nobody can be told apart from those who were."""

    def __init__(self) -> None:
        super().__init__("what was revoked is not known now")


class Revocations(Protocol):
    """What services ask of revocations: ``RevocationView``, and what tests put in its place."""

    @property
    def fresh(self) -> bool:
        """Whether all that was revoked is known, up to the bound that gateway.yaml sets."""

    def of_principal(self, principal: Principal, now_us: int) -> Revocation | None:
        """Return what takes this principal back, of several the newest; of use only while ``fresh``."""

    def of_session(self, session_id: str, now_us: int) -> Revocation | None:
        """Return what takes this recorded session back; of use only while ``fresh``."""

    def on_change(self, callback: Callable[[], None]) -> None:
        """Have ``callback`` called when something was revoked, and when ``fresh`` ends; it must not block."""


class Followed(Revocations, Protocol):
    """Revocations that are followed for as long as a process needs them."""

    async def start(self) -> None:
        """Begin to follow, in the background."""

    async def close(self) -> None:
        """Stop following."""


def check(revocations: Revocations, principal: Principal, now_us: int, session_id: str = "") -> None:
    """Return when neither the principal nor the session (unless empty) is revoked. Raises ``Revoked``, ``NotKnown``."""
    if not revocations.fresh:
        raise NotKnown
    found = revocations.of_principal(principal, now_us)
    if found is None and session_id:
        found = revocations.of_session(session_id, now_us)
    if found is not None:
        raise Revoked(found)


class NotUnderstood(Exception):
    """A stream says what cannot be acted upon. The message quotes nothing of it."""


class KnownRevocations:
    """What streams of revocations told.

    Promises: while ``fresh``, all is known here that was in force when the recorder last spoke, which is no longer ago
    than ``revoking().unknown_after_s``. What an earlier stream told stays in force until a later one has told all. A
    stream that says what is not understood, or too much, makes nothing fresh.
    """

    def __init__(
        self,
        *,
        revoking: Callable[[], Revoking] = Revoking,
        monotonic_s: Callable[[], float] = time.monotonic,
        most: int = MOST_REVOCATIONS,
    ) -> None:
        self._revoking = revoking
        self._monotonic_s = monotonic_s
        self._most = most
        self._known = self._taking = RevocationList()
        self._told_s: float | None = None
        self._callbacks: list[Callable[[], None]] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def fresh(self) -> bool:
        """Whether all was told, and something within the bound."""
        return self._told_s is not None and self._monotonic_s() - self._told_s <= self._revoking().unknown_after_s

    def of_principal(self, principal: Principal, now_us: int) -> Revocation | None:
        """Return what takes this principal back at ``now_us``; ``None`` when nothing does."""
        return self._known.of_principal(principal, now_us)

    def of_session(self, session_id: str, now_us: int) -> Revocation | None:
        """Return what takes this recorded session back at ``now_us``; ``None`` when nothing does."""
        return self._known.of_session(session_id, now_us)

    def on_change(self, callback: Callable[[], None]) -> None:
        """Have ``callback`` called when something was revoked, and when ``fresh`` ends; it must not block."""
        self._callbacks.append(callback)

    def begin(self) -> None:
        """A stream begins: it tells all anew."""
        self._taking = RevocationList()

    def take(self, told: revocations_pb2.WatchRevocationsResponse) -> None:
        """Take in the next message of the stream that began last. Raises ``NotUnderstood``: then nothing is fresh."""
        try:
            self._take(told)
        except NotUnderstood:
            # Not for a moment longer: what is known by now lacks what was said.
            self._told_s = None
            self._tell()
            raise

    def stop(self) -> None:
        """Tell those who follow nothing any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _take(self, told: revocations_pb2.WatchRevocationsResponse) -> None:
        if told.restarted:
            self.begin()
        added = [_read(one) for one in told.revocations]
        for revocation_id in told.lifted:
            self._taking.drop(revocation_id)
        for revocation in added:
            self._taking.put(revocation)
        if len(self._taking) > self._most:
            raise NotUnderstood(f"there are more than {self._most}")
        # The pages of a change are in force at once where their stream's list is.
        changed = bool(added) and (told.whole or self._known is self._taking)
        if told.whole:
            changed |= self._known is not self._taking or not self.fresh
            self._known = self._taking
            self._told_s = self._monotonic_s()
            self._expect()
        if changed:
            self._tell()

    def _tell(self) -> None:
        for callback in self._callbacks:
            try:
                callback()
            except Exception as error:
                # Its message may quote what callers said.
                log.error("what follows revocations failed: %s", type(error).__name__)  # noqa: TRY400

    def _expect(self) -> None:
        """See to it that those who follow hear when this grows too old."""
        if self._timer is None and self._told_s is not None:
            left_s = self._told_s + self._revoking().unknown_after_s - self._monotonic_s()
            # Not much later, since the bound may be edited; and a little later, lest a last digit makes it fresh still.
            self._timer = asyncio.get_running_loop().call_later(min(max(0.0, left_s), LOOK_S) + 0.001, self._look)

    def _look(self) -> None:
        self._timer = None
        if self.fresh:
            self._expect()
        else:
            log.error("what was revoked is not known any more: nobody is let in until it is")
            self._tell()


class RevocationView(KnownRevocations):
    """Follows the recorder's revocations over one long-lived stream."""

    def __init__(
        self,
        address: str,
        *,
        service_token: str = "",
        revoking: Callable[[], Revoking] = Revoking,
        monotonic_s: Callable[[], float] = time.monotonic,
        most: int = MOST_REVOCATIONS,
    ) -> None:
        super().__init__(revoking=revoking, monotonic_s=monotonic_s, most=most)
        self._address = address
        self._metadata = ((SERVICE_HEADER, service_token),) if service_token else ()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to follow, in the background."""
        self._task = asyncio.ensure_future(self._run())

    async def close(self) -> None:
        """Stop following; what is known grows old, and nobody is told."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self.stop()

    async def _run(self) -> None:
        wait_s = FIRST_WAIT_S
        async with grpc.aio.insecure_channel(self._address, options=CHANNEL_OPTIONS) as channel:
            stub = revocations_pb2_grpc.RevocationFeedServiceStub(channel)
            while True:
                told_s = self._told_s
                request = revocations_pb2.WatchRevocationsRequest()
                stream = stub.WatchRevocations(request, wait_for_ready=True, metadata=self._metadata)
                try:
                    await self._follow(stream)
                except grpc.aio.AioRpcError as error:
                    log.warning("the stream of revocations broke: %s", error.code().name)
                except NotUnderstood as error:
                    log.error("the recorder's revocations are not understood, so nobody is let in: %s", error)  # noqa: TRY400
                finally:
                    stream.cancel()
                wait_s = FIRST_WAIT_S if self._told_s != told_s else min(wait_s * 2, LONGEST_WAIT_S)
                await asyncio.sleep(wait_s)

    async def _follow(
        self,
        stream: grpc.aio.UnaryStreamCall[
            revocations_pb2.WatchRevocationsRequest, revocations_pb2.WatchRevocationsResponse
        ],
    ) -> None:
        self.begin()
        while True:
            try:
                async with asyncio.timeout(SILENCE_S):
                    told = await stream.read()
            except TimeoutError:
                log.warning("the recorder tells nothing of revocations")
                return
            if not isinstance(told, revocations_pb2.WatchRevocationsResponse):
                return
            self.take(told)


def _read(message: revocations_pb2.Revocation) -> Revocation:
    kind = KINDS.get(message.kind)
    if kind is None or not message.revocation_id:
        raise NotUnderstood("one is of a kind that this version does not know, or has no id")
    return Revocation(
        revocation_id=message.revocation_id,
        kind=kind,
        issuer=message.issuer,
        value=message.value,
        reason=message.reason,
        revoked_us=message.revoked_us,
        issued_before_s=message.issued_before_s if message.HasField("issued_before_s") else None,
        until_us=message.until_us,
    )


def _is_session(revocation: Revocation) -> bool:
    return revocation.kind is RevocationKind.SESSION
