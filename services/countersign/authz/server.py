"""The ext_authz service: one Check a request."""

from __future__ import annotations

import logging
import math
import time

import grpc
from envoy.service.auth.v3 import external_auth_pb2 as pb
from envoy.service.auth.v3 import external_auth_pb2_grpc as pb_grpc

from countersign.authz.audit import AuditDoor
from countersign.authz.envoy import Answer, Forward, Inquiry, read_inquiry, respond
from countersign.authz.hub import HubDoor
from countersign.authz.judge import Judge
from countersign.runtime import telemetry
from countersign.runtime.logs import place_of

log = logging.getLogger(__name__)

MCP_ROUTE, AUDIT_ROUTE, APPROVAL_ROUTE, HUB_ROUTE = "mcp", "audit", "approval", "hub"
DISMISSED_ROUTE = "dismissed"


class AuthzService(pb_grpc.AuthorizationServicer):
    """Envoy's Authorization service. An error here denies: Envoy is told to fail closed."""

    def __init__(self, judge: Judge, audit: AuditDoor, hub: HubDoor) -> None:
        self._judge = judge
        self._hub = hub
        self._audit = audit

    async def Check(
        self, request: pb.CheckRequest, context: grpc.aio.ServicerContext[pb.CheckRequest, pb.CheckResponse]
    ) -> pb.CheckResponse:
        """Say whether the request may pass, and with which changes."""
        began = time.perf_counter()
        traceparent = telemetry.traceparent_of(context.invocation_metadata())
        left_s = context.time_remaining()
        try:
            with telemetry.span("authz.check", traceparent):
                result = await self._result(read_inquiry(request, traceparent, math.inf if left_s is None else left_s))
            telemetry.decisions.add(1, {"outcome": result.summary.decision, "rule": result.summary.rules})
            telemetry.check_seconds.record(time.perf_counter() - began)
            return respond(result)
        except Exception as error:
            # The message of an unforeseen error may quote the request: log its type and place only.
            log.error("judging failed: %s at %s", type(error).__name__, place_of(error))  # noqa: TRY400
        return await context.abort(grpc.StatusCode.INTERNAL, "the request could not be judged")

    async def _result(self, inquiry: Inquiry) -> Forward | Answer:
        if inquiry.route == MCP_ROUTE:
            return await self._judge.judge(inquiry)
        if inquiry.route == AUDIT_ROUTE:
            return await self._audit.admit(inquiry)
        if inquiry.route == APPROVAL_ROUTE:
            return await self._judge.status(inquiry)
        if inquiry.route == HUB_ROUTE:
            return await self._hub.admit(inquiry)
        if inquiry.route == DISMISSED_ROUTE:
            return await self._hub.dismissed(inquiry)
        raise LookupError("Envoy asks about a route that authz does not know")
