"""The ext_authz service: one Check a request."""

from __future__ import annotations

import logging

import grpc
from envoy.service.auth.v3 import external_auth_pb2 as pb
from envoy.service.auth.v3 import external_auth_pb2_grpc as pb_grpc

from countersign.authz.audit import AuditDoor
from countersign.authz.envoy import read_inquiry, respond
from countersign.authz.judge import Judge
from countersign.runtime.logs import place_of

log = logging.getLogger(__name__)

MCP_ROUTE, AUDIT_ROUTE = "mcp", "audit"


class AuthzService(pb_grpc.AuthorizationServicer):
    """Envoy's Authorization service. An error here denies: Envoy is told to fail closed."""

    def __init__(self, judge: Judge, audit: AuditDoor) -> None:
        self._judge = judge
        self._audit = audit

    async def Check(
        self, request: pb.CheckRequest, context: grpc.aio.ServicerContext[pb.CheckRequest, pb.CheckResponse]
    ) -> pb.CheckResponse:
        """Say whether the request may pass, and with which changes."""
        try:
            inquiry = read_inquiry(request)
            if inquiry.route == MCP_ROUTE:
                return respond(await self._judge.judge(inquiry))
            if inquiry.route == AUDIT_ROUTE:
                return respond(await self._audit.admit(inquiry))
            log.error("Envoy asks about a route that authz does not know")
        except Exception as error:
            # The message of an unforeseen error may quote the request: log its type and place only.
            log.error("judging failed: %s at %s", type(error).__name__, place_of(error))  # noqa: TRY400
        return await context.abort(grpc.StatusCode.INTERNAL, "the request could not be judged")
