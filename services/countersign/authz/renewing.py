"""What Envoy asks about a credential that a target refused: an ext_proc service below the router, on each attempt.

Envoy asks only about answers with status 401, and about the heads of requests that it sends a second time.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from typing import Protocol

import grpc
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb
from envoy.service.ext_proc.v3 import external_processor_pb2_grpc as pb_grpc

from countersign.authz.presenting import shown_by
from countersign.credentials import CredentialUnavailable, Presented
from countersign.mcp import Failure
from countersign.model.handoff import Handoff
from countersign.model.principal import Principal
from countersign.model.telltale import HEADER, Mark, written
from countersign.runtime.logs import place_of
from countersign.runtime.revocations import Ended

log = logging.getLogger(__name__)

SERVICE = "envoy.service.ext_proc.v3.ExternalProcessor"
NO_CREDENTIAL = "no_credential"
"""Why the second attempt is not made, as Envoy's details say it."""

_AUTHZ = "envoy.filters.http.ext_authz"
_OVERWRITE = 2  # HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
_STATUS = ":status"


class Credentials(Protocol):
    """What was presented, and is now; see ``countersign.credentials.TargetCredentials``."""

    def refused(self, handle: str) -> None:
        """Hear that a target refused what was presented under this handle."""

    async def again(self, handle: str) -> Presented | None:
        """Return what to present in its place. Raises ``CredentialUnavailable``."""


class RenewalService(pb_grpc.ExternalProcessorServicer):
    """Envoy's ExternalProcessor, for credentials alone.

    ``still`` returns when a caller may still call in a session, and raises ``Ended``: it is a while since authz let the
    call pass, and whoever was revoked in between sends nothing once more. ``mark`` is what the masker knows credentials
    by.
    """

    def __init__(self, credentials: Credentials, still: Callable[[Principal, str], None], mark: Mark) -> None:
        self._credentials = credentials
        self._still = still
        self._mark = mark

    async def Process(
        self,
        request_iterator: AsyncIterator[pb.ProcessingRequest],
        context: grpc.aio.ServicerContext[pb.ProcessingRequest, pb.ProcessingResponse],
    ) -> None:
        """Hear of a refusal, or give the second attempt its credential. An error ends the attempt."""
        presented: Presented | None = None
        try:
            while isinstance(message := await context.read(), pb.ProcessingRequest):
                if message.WhichOneof("request") == "request_headers":
                    presented = await self._renewed(message)
                    await context.write(_second_attempt(presented))
                elif presented is not None:
                    await context.write(self._told(presented))
                else:
                    await context.write(self._heard(message))
        except Exception as error:
            log.error("renewing a credential failed: %s at %s", type(error).__name__, place_of(error))  # noqa: TRY400
            await context.abort(grpc.StatusCode.INTERNAL, "the credential could not be renewed")

    def _heard(self, message: pb.ProcessingRequest) -> pb.ProcessingResponse:
        """Hear of a first attempt's answer."""
        if _status_of(message.response_headers) == "401":
            self._credentials.refused(_told_by_authz(message, "credential"))
        response = pb.ProcessingResponse()
        response.response_headers.SetInParent()
        return response

    async def _renewed(self, message: pb.ProcessingRequest) -> Presented | None:
        """Return what the second attempt shows; ``None`` when it must not be made."""
        call = Handoff.from_json(_told_by_authz(message, "handoff"))
        try:
            presented = await self._credentials.again(_told_by_authz(message, "credential"))
            self._still(call.principal, call.session_id)
        except (CredentialUnavailable, Ended):
            return None
        return presented

    def _told(self, presented: Presented) -> pb.ProcessingResponse:
        """Tell the masker by what to know what the second attempt showed: no answer may hold that."""
        response = pb.ProcessingResponse()
        mutation = response.response_headers.response.header_mutation
        _set(mutation, HEADER, written(shown_by(presented, self._mark)))
        return response


def _second_attempt(presented: Presented | None) -> pb.ProcessingResponse:
    response = pb.ProcessingResponse()
    if presented is None:
        # The masker answers in the target's place.
        response.immediate_response.status.code = Failure.BAD_GATEWAY.status
        response.immediate_response.details = NO_CREDENTIAL
        return response
    mutation = response.request_headers.response.header_mutation
    for name, value in presented.headers.items():
        _set(mutation, name, value.reveal())
    return response


def _set(mutation: pb.HeaderMutation, name: str, value: str) -> None:
    option = mutation.set_headers.add()
    option.header.key = name
    option.header.raw_value = value.encode("ascii")
    option.append_action = _OVERWRITE


def _told_by_authz(message: pb.ProcessingRequest, name: str) -> str:
    told: str = message.metadata_context.filter_metadata[_AUTHZ].fields[name].string_value
    return told


def _status_of(head: pb.HttpHeaders) -> str:
    for header in head.headers.headers:
        if header.key == _STATUS:
            return header.raw_value.decode("latin-1") or str(header.value)
    return ""
