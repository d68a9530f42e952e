"""Who may call our services: on a Unix socket its owner, on TCP whoever sends the deployment's service token."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TypeVar

import grpc

SERVICE_HEADER = "x-countersign-service"
"""The gRPC metadata, and towards the recorder the HTTP header, that holds the token."""

_HEALTH = "/grpc.health.v1.Health/"

_Q = TypeVar("_Q")
_R = TypeVar("_R")


def is_private(address: str) -> bool:
    """Whether only our own user can connect to this gRPC address: a Unix socket is made with mode 0600."""
    return address.startswith("unix:")


class ServiceGuard(grpc.aio.ServerInterceptor):
    """Answers UNAUTHENTICATED to calls without the token: to all services but health, reflection and unknown ones too.

    Health tells a stranger no more than that something listens, and those who probe it hold no key.
    """

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[_Q, _R] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[_Q, _R] | None:
        """Let the call go on, or refuse it before anything of it is read."""
        if handler_call_details.method.startswith(_HEALTH) or self._trusts(handler_call_details.invocation_metadata):
            return await continuation(handler_call_details)
        # As stream to stream it serves methods of every kind: nothing is read, nothing is sent but the status.
        return grpc.stream_stream_rpc_method_handler(_refuse)

    def _trusts(self, metadata: Iterable[tuple[str, str | bytes]] | None) -> bool:
        sent = [value for key, value in metadata or () if key == SERVICE_HEADER]
        return len(sent) == 1 and hmac.compare_digest(_bytes(sent[0]), self._token)


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


async def _refuse(_requests: AsyncIterator[object], context: grpc.aio.ServicerContext[object, object]) -> None:
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the caller is no part of this gateway")
