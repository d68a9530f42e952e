"""What targets handed to callers to come back with, as masker and authz use it: kept before it is shown.

Only keyed hashes leave this file: neither the recorder nor its database can tell what was handed out, or to whom.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import grpc

from countersign.api.access.v1 import handles_pb2 as pb
from countersign.api.access.v1 import handles_pb2_grpc
from countersign.mcp import Handle, HandleKind
from countersign.model.handoff import Handoff
from countersign.runtime.channels import channel_options
from countersign.runtime.sealing import derived
from countersign.runtime.trust import SERVICE_HEADER

TIMEOUT_S = 5.0
HASH_BYTES = 16
LIFETIME_US = 24 * 3600 * 1_000_000
"""For how long a handle is good, in microseconds, if nothing says longer."""

_LONGEST_LIFETIME_US = 30 * LIFETIME_US
_AT_ONCE = 500
_OF_SESSIONS = frozenset({HandleKind.REQUEST, HandleKind.OWN_TASK})
_CHANNEL_OPTIONS = channel_options()


_Q = TypeVar("_Q")
_R = TypeVar("_R")


class HandlesAway(Exception):
    """The handles cannot be kept, or asked for, now. The message is safe to show."""


@dataclass(frozen=True, slots=True)
class HandleOwner:
    """To whom a handle was shown.

    A target's requests, and the tasks that a client makes itself, belong to the session; states and tasks to its
    principal.
    """

    session_id: str
    issuer: str
    subject: str
    target: str

    @classmethod
    def of(cls, handoff: Handoff) -> HandleOwner:
        """Return who gets the answer to a judged call."""
        principal = handoff.principal
        return cls(handoff.session_id, principal.issuer, principal.subject, handoff.target)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a handle: the method of a request, where MCP knows it, and the masks of the calls behind it."""

    method: str = ""
    masks: tuple[str, ...] = ()


class Handles(Protocol):
    """What authz and masker ask: ``RecorderHandles``, and what tests put in its place. All raise ``HandlesAway``."""

    async def keep(self, owner: HandleOwner, handles: Sequence[Handle], masks: Sequence[str] = ()) -> None:
        """Make handles durable: only then may their owner see them. ``masks`` are those of the answered call."""

    async def find(self, owner: HandleOwner, handles: Sequence[Handle]) -> Sequence[Known | None]:
        """Return what is known of each handle that this owner was shown, else ``None``."""

    async def take(self, owner: HandleOwner, handles: Sequence[Handle]) -> bool:
        """Take handles for their answers, all or none; whether they could be.

        The same answer may take them again until they are spent, and no other one can.
        """

    async def spend(self, owner: HandleOwner, handles: Sequence[Handle]) -> bool:
        """Use up what was taken for these answers, all or none; whether it could be: one is told so of several."""

    async def drop_session(self, owner: HandleOwner) -> None:
        """Forget what belongs to the owner's session."""

    async def has_ended(self, session_id: str, call_id: str) -> bool:
        """Whether the whole answer to a call is on the record."""


class RecorderHandles:
    """The recorder's handles; see ``Handles``. ``key`` is the deployment's."""

    def __init__(self, address: str, key: bytes, *, service_token: str = "") -> None:
        self._address = address
        self._key = derived(key, b"countersign handles", 32)
        self._metadata = ((SERVICE_HEADER, service_token),) if service_token else ()
        self._channel: grpc.aio.Channel | None = None

    async def start(self) -> None:
        """Connect, when first asked."""
        self._channel = grpc.aio.insecure_channel(self._address, options=_CHANNEL_OPTIONS)

    async def close(self) -> None:
        """Let go of the recorder; nothing is kept or found from now on."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

    async def keep(self, owner: HandleOwner, handles: Sequence[Handle], masks: Sequence[str] = ()) -> None:
        """See ``Handles``."""
        target = self._hash(b"target", owner.target.encode())
        principal = self._hash(b"principal", owner.issuer.encode(), owner.subject.encode())
        for some in _slices(handles):
            request = pb.KeepHandlesRequest(
                handles=self._hashed(owner, some), target=target, principal=principal, masks=masks
            )
            await self._asked(self._stub().KeepHandles, request)

    async def find(self, owner: HandleOwner, handles: Sequence[Handle]) -> Sequence[Known | None]:
        """See ``Handles``."""
        found: list[Known | None] = []
        for some in _slices(handles):
            request = pb.FindHandlesRequest(handles=self._hashed(owner, some))
            answer = await self._asked(self._stub().FindHandles, request)
            if len(answer.found) != len(some):
                raise HandlesAway("the recorder answered about other handles")
            found += [Known(one.what, tuple(one.masks)) if one.known else None for one in answer.found]
        return found

    async def take(self, owner: HandleOwner, handles: Sequence[Handle]) -> bool:
        """See ``Handles``."""
        request = pb.TakeHandlesRequest(handles=self._hashed(owner, handles))
        return bool((await self._asked(self._stub().TakeHandles, request)).taken)

    async def spend(self, owner: HandleOwner, handles: Sequence[Handle]) -> bool:
        """See ``Handles``."""
        request = pb.SpendHandlesRequest(handles=self._hashed(owner, handles))
        return bool((await self._asked(self._stub().SpendHandles, request)).spent)

    async def drop_session(self, owner: HandleOwner) -> None:
        """See ``Handles``."""
        for kind in sorted(_OF_SESSIONS):
            scope = self._scope(owner, kind)
            await self._asked(self._stub().DropHandles, pb.DropHandlesRequest(scope=scope))

    async def has_ended(self, session_id: str, call_id: str) -> bool:
        """See ``Handles``."""
        request = pb.HasEndedRequest(session_id=session_id, call_id=call_id)
        return bool((await self._asked(self._stub().HasEnded, request)).ended)

    def _stub(self) -> handles_pb2_grpc.HandleServiceAsyncStub:
        if self._channel is None:
            raise HandlesAway("the gateway is stopping")
        return handles_pb2_grpc.HandleServiceStub(self._channel)

    async def _asked(self, method: grpc.aio.UnaryUnaryMultiCallable[_Q, _R], request: _Q) -> _R:
        try:
            return await method(request, metadata=self._metadata, timeout=TIMEOUT_S, wait_for_ready=True)
        except grpc.aio.AioRpcError as error:
            raise HandlesAway(f"what was handed out is not known now ({error.code().name})") from None

    def _hashed(self, owner: HandleOwner, handles: Sequence[Handle]) -> list[pb.Handle]:
        return [
            pb.Handle(
                scope=(scope := self._scope(owner, one.kind)),
                mark=self._hash(scope, one.value.encode()),
                what=one.method,
                lifetime_us=min(max(LIFETIME_US, one.lifetime_us), _LONGEST_LIFETIME_US),
                answer=self._hash(b"answer", one.answer.encode()) if one.answer else b"",
            )
            for one in handles
        ]

    def _scope(self, owner: HandleOwner, kind: HandleKind) -> bytes:
        if kind in _OF_SESSIONS:
            return self._hash(kind.value.encode(), owner.session_id.encode())
        return self._hash(kind.value.encode(), owner.issuer.encode(), owner.subject.encode(), owner.target.encode())

    def _hash(self, *parts: bytes) -> bytes:
        framed = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
        return hmac.digest(self._key, framed, "sha256")[:HASH_BYTES]


def _slices(handles: Sequence[Handle]) -> Iterator[Sequence[Handle]]:
    return (handles[start : start + _AT_ONCE] for start in range(0, len(handles), _AT_ONCE))
