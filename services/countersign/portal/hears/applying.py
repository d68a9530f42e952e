"""What was heard, brought to the recorder: it is in force, and on record, once ``apply`` returns."""

from __future__ import annotations

import logging
from types import MappingProxyType
from typing import Protocol

import grpc

from countersign.api.access.v1 import revocations_pb2, revocations_pb2_grpc
from countersign.model.revocation import Revocation
from countersign.portal.hears.told import Heard
from countersign.runtime.revocations import CHANNEL_OPTIONS, KINDS
from countersign.runtime.trust import SERVICE_HEADER

log = logging.getLogger(__name__)

TIMEOUT_S = 5.0
_NUMBERS = MappingProxyType({kind: number for number, kind in KINDS.items()})


class NotApplied(Exception):
    """What was heard is not known to be in force: its sender must tell it again."""


class Applying(Protocol):
    """Where what was heard takes effect: ``RecorderFeed``, and what tests put in its place."""

    async def apply(self, heard: Heard) -> None:
        """Return when it is in force for good; the same telling again changes nothing. Raises ``NotApplied``."""


class RecorderFeed:
    """Tells the recorder at ``address`` (RevocationFeedService)."""

    def __init__(self, address: str, *, service_token: str = "", timeout_s: float = TIMEOUT_S) -> None:
        self._metadata = ((SERVICE_HEADER, service_token),) if service_token else ()
        self._timeout_s = timeout_s
        self._address = address
        self._channel: grpc.aio.Channel | None = None

    async def apply(self, heard: Heard) -> None:
        """See ``Applying.apply``."""
        if self._channel is None:
            # Not before: a channel belongs to the loop that runs when it is made.
            self._channel = grpc.aio.insecure_channel(self._address, options=CHANNEL_OPTIONS)
        stub = revocations_pb2_grpc.RevocationFeedServiceStub(self._channel)
        try:
            await stub.ApplyRevocations(
                to_request(heard), timeout=self._timeout_s, metadata=self._metadata, wait_for_ready=True
            )
        except grpc.aio.AioRpcError as error:
            code = error.code().name
        else:
            return
        log.warning("what an issuer told could not be put in force: %s", code, extra={"teller": heard.teller})
        raise NotApplied(code)

    async def close(self) -> None:
        """Let go of the connection."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()


def to_request(heard: Heard) -> revocations_pb2.ApplyRevocationsRequest:
    """Return the message that tells what was heard."""
    return revocations_pb2.ApplyRevocationsRequest(
        source=heard.source,
        source_id=heard.source_id,
        revocations=[_message(one, heard.teller) for one in heard.revocations],
        lifted=[_message(one, heard.teller) for one in heard.lifted],
    )


def _message(revocation: Revocation, teller: str) -> revocations_pb2.Revocation:
    return revocations_pb2.Revocation(
        kind=_NUMBERS[revocation.kind],
        issuer=revocation.issuer,
        value=revocation.value,
        issued_before_s=revocation.issued_before_s,
        reason=revocation.reason,
        until_us=revocation.until_us,
        by_issuer=teller,
    )
