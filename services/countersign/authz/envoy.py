"""Envoy's ext_authz messages turned into ours, and ours into Envoy's."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from envoy.service.auth.v3 import external_auth_pb2 as pb
from google.rpc import code_pb2

from countersign.mcp import HttpRequest, Reply
from countersign.model.door import SOURCE_HEADER
from countersign.model.handoff import Handoff

_OVERWRITE = 2  # HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
# W3C Trace Context, section 3.2, version 00.
_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What Envoy asks about: the request, on which route of ours, for which target at which URL, from where.

    ``traceparent`` is the W3C trace context of the call; empty when it is not traced, or not well formed: it is
    recorded as it stands, so it must not be a way to put other text there. ``changes_requests`` says that the masker is
    asked about requests on this route; ``inner`` that the hub asks,
    for a caller with a token for the one door. ``patience_s`` is for how long Envoy waits for what authz says.
    ``head_lines`` is how many headers there are, each counted as often as it came.
    """

    route: str
    target: str
    http: HttpRequest
    path: str
    source_address: str
    traceparent: str
    upstream: str = ""
    changes_requests: bool = False
    inner: bool = False
    patience_s: float = math.inf
    head_lines: int = 0

    @property
    def authorization(self) -> str | None:
        """The caller's Authorization header."""
        return self.http.headers.get("authorization")


@dataclass(frozen=True, slots=True)
class Summary:
    """What Envoy's access log says of a decision; holds names only."""

    session: str = ""
    call: str = ""
    decision: str = ""
    rules: str = ""


@dataclass(frozen=True, slots=True)
class Forward:
    """Let the request pass, with these headers set and removed; ``handoff`` goes to the masker.

    ``credential`` names what the target is shown, if it can be had anew (``renewing``); it is no secret.
    """

    set_headers: Mapping[str, str] = field(repr=False)
    remove_headers: tuple[str, ...]
    summary: Summary
    handoff: Handoff | None = None
    credential: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer in the target's place; the target sees nothing."""

    reply: Reply
    summary: Summary


def read_inquiry(request: pb.CheckRequest, traceparent: str, patience_s: float = math.inf) -> Inquiry:
    """Read a CheckRequest; ``traceparent`` is Envoy's for this check, in its absence the caller's own is taken.

    Headers that come twice are joined by a comma, so that they can be told from one.
    """
    attributes = request.attributes
    http = attributes.request.http
    headers: dict[str, str] = {}
    for header in http.header_map.headers:
        name = header.key.lower()
        value = header.raw_value.decode("latin-1") if header.raw_value else header.value
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    extensions = attributes.context_extensions
    # Set by how Envoy is configured, so no caller can say it.
    inner = "inner" in extensions
    address = headers.get(SOURCE_HEADER, "") if inner else attributes.source.address.socket_address.address
    return Inquiry(
        route=extensions.get("route", ""),
        target=extensions.get("target", ""),
        http=HttpRequest(verb=http.method, headers=headers, body=http.raw_body or http.body.encode()),
        path=http.path,
        source_address=address,
        traceparent=_trace_of(traceparent or headers.get("traceparent", "")),
        upstream=extensions.get("upstream", ""),
        changes_requests="changes_requests" in extensions,
        inner=inner,
        patience_s=patience_s,
        head_lines=len(attributes.request.http.header_map.headers),
    )


def _trace_of(text: str) -> str:
    return text if _TRACEPARENT.fullmatch(text) else ""


def respond(result: Forward | Answer) -> pb.CheckResponse:
    """Return the CheckResponse that says ``result``."""
    response = pb.CheckResponse()
    if isinstance(result, Forward):
        ok = response.ok_response
        for name, value in result.set_headers.items():
            option = ok.headers.add()
            option.header.key = name
            option.header.value = value
            option.append_action = _OVERWRITE
        ok.headers_to_remove.extend(result.remove_headers)
    else:
        reply = result.reply
        response.status.code = code_pb2.PERMISSION_DENIED
        denied = response.denied_response
        denied.status.code = reply.status
        denied.body = reply.body.decode()
        for name, value in (("content-type", reply.content_type), ("cache-control", "no-store"), *reply.headers):
            option = denied.headers.add()
            option.header.key = name
            option.header.value = value
            option.append_action = _OVERWRITE
    _write_metadata(response, result)
    return response


def _write_metadata(response: pb.CheckResponse, result: Forward | Answer) -> None:
    fields = response.dynamic_metadata.fields
    summary = result.summary
    for name, value in (
        ("session", summary.session),
        ("call", summary.call),
        ("decision", summary.decision),
        ("rules", summary.rules),
    ):
        if value:
            fields[name].string_value = value
    # Only a request that is forwarded may have an answer of a target.
    if isinstance(result, Forward) and result.handoff is not None:
        fields["handoff"].string_value = result.handoff.to_json()
    if isinstance(result, Forward) and result.credential:
        fields["credential"].string_value = result.credential
