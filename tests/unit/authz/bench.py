"""A judge between a verifier, stores and a sink that a test controls."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping

from countersign.authz.assembling import judging
from countersign.authz.envoy import Answer, Forward, Inquiry
from countersign.credentials import Surroundings, TargetCredentials
from countersign.identity import TokenVerifier
from countersign.mcp import HttpRequest
from countersign.model.principal import Principal, PrincipalKind
from countersign.runtime.approvals import ApproverClient, Broker
from countersign.runtime.moments import new_id
from countersign.runtime.rulebook import Rulebook
from countersign.runtime.sealing import Sealer
from tests.support.handles import MemoryHandles
from tests.support.revoking import FakeRevocations
from tests.support.sinks import Sink
from tests.support.standing import Tools, Used
from tests.support.vaults import MemoryVault

CREDENTIAL = "target-" + "credential"
NOW_US = 1_790_000_000_000_000
ALICE = Principal("https://idp.test", "alice", ("analysts",), PrincipalKind.PERSON, "t1")
KEY = bytes(range(32))
SEALER = Sealer(KEY)
GATEWAY = """
version: 1
gateway: {url: "https://gateway.test"}
identity: {oidc: [{issuer: "https://idp.test"}]}
targets: {orders: {mcp: "http://127.0.0.1:9000/mcp", credential: {bearer: {env: ORDERS_TOKEN}},
  statements: {query: {argument: sql, dialect: postgres}}}}
rules:
  - {name: read, allow: {groups: [analysts], targets: [orders], tools: [query, "tool_*"]}, mask: [pii]}
masks: {pii: {detect: [email], fields: [ssn]}}
"""


class Verifier(TokenVerifier):
    """Takes everybody for alice, unless told what to raise."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.revocations = FakeRevocations()

    async def verify(self, authorization: str | None, audience: str) -> Principal:
        if self.error is not None:
            raise self.error
        return ALICE

    def still(self, principal: Principal, session_id: str = "") -> None:
        """See ``TokenVerifier``, of which this is all that is needed."""
        self._revocations, self._clock = self.revocations, lambda: NOW_US / 1_000_000
        super().still(principal, session_id)


class Bench:
    """A judge between a verifier and a sink that the test controls."""

    def __init__(
        self, rulebook: Rulebook, *, broker: Broker | None = None, clock: Callable[[], int] | None = None
    ) -> None:
        self.sink, self.verifier = Sink(), Verifier()
        self.handles = MemoryHandles()
        self.tools, self.used, self.vault = Tools(), Used(), MemoryVault()
        self.credentials = TargetCredentials(Surroundings(time.monotonic, time.time, lambda: 0.5, new_id), most=100)
        assembled = judging(
            rulebook,
            self.verifier,
            self.sink,
            self.tools,
            self.used,
            self.vault,
            broker or ApproverClient(""),
            self.verifier.revocations,
            self.credentials,
            self.handles,
            KEY,
            clock or (lambda: NOW_US),
            new_id,
        )
        self.judge, self.desk = assembled.judge, assembled.desk

    async def ask(self, inquiry: Inquiry) -> Forward | Answer:
        return await self.judge.judge(inquiry)


HEADERS = {"content-type": "application/json", "accept": "application/json, text/event-stream"}


def inquiry(
    body: object = None,
    *,
    verb: str = "POST",
    path: str = "/orders/mcp",
    target: str = "orders",
    upstream: str = "http://127.0.0.1:9000/mcp",
    **headers: str,
) -> Inquiry:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    data = b"" if body is None else json.dumps(body).encode()
    return Inquiry("mcp", target, HttpRequest(verb, {**HEADERS, **named}, data), path, "192.0.2.7", "", upstream)


def call(tool: str = "query", arguments: Mapping[str, object] | None = None, rpc_id: int = 1) -> dict[str, object]:
    params = {"name": tool, "arguments": dict(arguments or {})}
    return {"jsonrpc": "2.0", "id": rpc_id, "method": "tools/call", "params": params}
