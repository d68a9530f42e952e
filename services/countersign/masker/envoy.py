"""Envoy's ext_proc messages turned into ours, and ours into Envoy's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from envoy.service.ext_proc.v3 import external_processor_pb2 as pb

from countersign.model.handoff import Handoff

_AUTHZ_NAMESPACE = "envoy.filters.http.ext_authz"
_ATTRIBUTES = "envoy.filters.http.ext_proc"
# Attribute of a response that a target sent; anything else is a reply that Envoy made itself.
_FROM_TARGET = "via_upstream"
_OVERWRITE = 2  # HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD


@dataclass(frozen=True, slots=True)
class Head:
    """The response's head: status, headers (lower-case names, repeated ones joined by ``, ``), and where it is from."""

    status: int
    headers: Mapping[str, str]
    ends: bool
    details: str
    handoff: Handoff | None

    @property
    def from_target(self) -> bool:
        """Whether a target sent this response, and not Envoy or authz by themselves."""
        return self.details == _FROM_TARGET


@dataclass(frozen=True, slots=True)
class HeadChange:
    """What to do with the head: names to remove and headers to set."""

    remove: tuple[str, ...] = ()
    set: tuple[tuple[str, str], ...] = ()


def read_handoff(message: pb.ProcessingRequest) -> Handoff | None:
    """Read what authz handed over with this request. Raises ``ValueError`` when that is there but not readable."""
    fields = message.metadata_context.filter_metadata[_AUTHZ_NAMESPACE].fields
    handed = fields["handoff"].string_value if "handoff" in fields else ""
    return Handoff.from_json(handed) if handed else None


def read_request_headers(message: pb.ProcessingRequest) -> dict[str, str]:
    """Read the headers of a request that authz let pass."""
    return _headers(message.request_headers)


def _headers(head: pb.HttpHeaders) -> dict[str, str]:
    headers: dict[str, str] = {}
    for header in head.headers.headers:
        value = header.raw_value.decode("latin-1") if header.raw_value else header.value
        key = header.key.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers


def read_head(message: pb.ProcessingRequest) -> Head:
    """Read the first message of a response. Raises ``ValueError`` when authz's handoff is there but not readable."""
    headers = _headers(message.response_headers)
    details = message.attributes[_ATTRIBUTES].fields["response.code_details"].string_value
    return Head(
        status=int(headers.get(":status", "0")),
        headers=headers,
        ends=message.response_headers.end_of_stream,
        details=details,
        handoff=read_handoff(message),
    )


def request_head() -> pb.ProcessingResponse:
    """Let the request's head stand. Its body's reply can still change it: Envoy holds it back until then."""
    response = pb.ProcessingResponse()
    response.request_headers.response.SetInParent()
    return response


def request_body(data: bytes, headers: Mapping[str, str | None]) -> pb.ProcessingResponse:
    """Send the request on with this body and its length; ``headers`` are to be set, or removed for ``None``."""
    response = pb.ProcessingResponse()
    common = response.request_body.response
    common.body_mutation.body = data
    # Envoy refuses a body that is not as long as its head says.
    _set(common.header_mutation, "content-length", str(len(data)).encode())
    for name, value in headers.items():
        if value is None:
            common.header_mutation.remove_headers.append(name)
        else:
            _set(common.header_mutation, name, value.encode())
    return response


def same_request_body() -> pb.ProcessingResponse:
    """Send the request on as it came."""
    response = pb.ProcessingResponse()
    response.request_body.response.SetInParent()
    return response


def head(change: HeadChange) -> pb.ProcessingResponse:
    """Release the head, changed."""
    response = pb.ProcessingResponse()
    mutation = response.response_headers.response.header_mutation
    mutation.remove_headers.extend(change.remove)
    for name, value in change.set:
        _set(mutation, name, value.encode("latin-1"))
    return response


def body(data: bytes, *, ends: bool) -> pb.ProcessingResponse:
    """Release a piece of the body."""
    response = pb.ProcessingResponse()
    streamed = response.response_body.response.body_mutation.streamed_response
    streamed.body = data
    streamed.end_of_stream = ends
    return response


def trailers(names: tuple[str, ...]) -> pb.ProcessingResponse:
    """Release the trailers without any of ``names``."""
    response = pb.ProcessingResponse()
    response.response_trailers.header_mutation.remove_headers.extend(names)
    return response


def instead(status: int, data: bytes) -> pb.ProcessingResponse:
    """Answer with a JSON body of ours in the target's place; only before a head was released."""
    response = pb.ProcessingResponse()
    immediate = response.immediate_response
    immediate.status.code = status
    immediate.body = data
    _set(immediate.headers, "content-type", b"application/json")
    return response


def _set(mutation: pb.HeaderMutation, name: str, value: bytes) -> None:
    option = mutation.set_headers.add()
    option.header.key = name
    option.header.raw_value = value
    option.append_action = _OVERWRITE
