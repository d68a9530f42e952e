"""A gateway whose callers hold streams open and wait for people, and an operator who revokes them."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import grpc
import httpx

from countersign.api.access.v1 import revocations_pb2
from countersign.api.access.v1.revocations_pb2_grpc import RevocationServiceStub
from countersign.demo.people import PEOPLE
from tests.support.approvers import ApprovalClient, approval_service
from tests.support.clients import LEGACY, Rpc, call
from tests.support.gateway import Gateway, Setup, Upstream, free_port
from tests.support.issuer import RunningIssuer, running_issuer
from tests.support.targets import SSE_TYPE, Exchange, event, scripted_target

if TYPE_CHECKING:
    from countersign.api.access.v1.revocations_pb2_grpc import RevocationServiceAsyncStub

TARGET = "shop"
PLAIN = "plain"
"""The same behind a route on which requests are not changed: the masker hears of a call once its target answers."""
WITHIN_S = 20.0
RULES = (
    {"name": "ask", "allow": {"groups": ["analysts"], "targets": [TARGET], "tools": ["query"]}},
    {
        "name": "agree",
        "approve": {"groups": ["analysts"], "targets": [TARGET], "tools": ["drop"]},
        "by": {"groups": ["data-owners"], "within": "10m"},
    },
    {"name": "plain", "allow": {"groups": ["analysts"], "targets": [PLAIN], "tools": ["query"]}},
)
_TOLD = event({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "first"}})
_AS_GRPC = (("grpc.use_local_subchannel_pool", 1),)


@dataclass(slots=True)
class Open:
    """A stream that is open and silent, and a call that waits for people.

    ``ending`` returns when the stream ended, ``held`` when the call did and how: by ``time.monotonic``.
    """

    subject: str
    approval_id: str
    session_id: str
    ending: asyncio.Task[float]
    held: asyncio.Task[tuple[float, httpx.Response]]

    async def close(self) -> None:
        """Hang up."""
        for task in (self.ending, self.held):
            task.cancel()
        await asyncio.gather(self.ending, self.held, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class Biting:
    """The gateway, who issues its tokens, and who asks."""

    gateway: Gateway
    issuer: RunningIssuer
    port: int

    @property
    def url(self) -> str:
        """The target's endpoint at the gateway."""
        return self.gateway.endpoint(TARGET)

    def token(self, subject: str, **claims: object) -> str:
        """A fresh good token for the target."""
        return self.issuer.token("alice", self.url, sub=subject, **claims)

    def operator(self, group: str = "operators", subject: str = "olga") -> str:
        """A fresh token for the gateway itself."""
        return self.issuer.token("alice", self.gateway.url, sub=subject, groups=[group])

    @asynccontextmanager
    async def revoker(self) -> AsyncIterator[Revoker]:
        """An operator."""
        async with grpc.aio.insecure_channel(urlsplit(self.gateway.url).netloc, options=_AS_GRPC) as channel:
            yield Revoker(RevocationServiceStub(channel), self.operator(), self.issuer.url)

    @asynccontextmanager
    async def owner(self) -> AsyncIterator[ApprovalClient]:
        """Somebody who may agree."""
        async with approval_service(self.gateway.url, self.operator("data-owners", "dora")) as service:
            yield service

    async def post(self, http: httpx.AsyncClient, token: str, rpc: Rpc, **more: str) -> httpx.Response:
        """Call, as a legacy client does; with these headers, too."""
        headers = {**rpc.headers(LEGACY), "authorization": f"Bearer {token}", **more}
        return await http.post(self.url, content=rpc.body(LEGACY), headers=headers)

    async def open(self, http: httpx.AsyncClient, owner: ApprovalClient, **claims: object) -> Open:
        """Have somebody whom nobody else knows open a stream, and ask what waits for people; return once both do."""
        subject = f"s-{uuid.uuid4().hex[:12]}"
        token = self.token(subject, jti=f"j-{subject}", sid=f"i-{subject}", **claims)
        # A gateway that was broken has each of its parts find the others again: until then calls are refused.
        async with asyncio.timeout(WITHIN_S):
            while True:
                if await self._serves(http, owner, token):
                    break
                await asyncio.sleep(0.05)
        opened = asyncio.Event()
        ending = asyncio.ensure_future(self._stream(http, token, opened))
        held = asyncio.ensure_future(self._held(http, token, subject))
        waiting = asyncio.ensure_future(opened.wait())
        await asyncio.wait({waiting, ending}, timeout=WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        assert opened.is_set(), f"the stream did not open: {ending.exception() if ending.done() else 'nothing came'}"
        approval = await owner.wait_for(lambda one: one.asked_by.subject == subject)
        return Open(subject, approval.id, approval.session_id, ending, held)

    async def _serves(self, http: httpx.AsyncClient, owner: ApprovalClient, token: str) -> bool:
        try:
            await owner.list(to_decide=True)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            return False
        return (await self.post(http, token, Rpc("notifications/roots/list_changed", id=None))).status_code == 202

    async def _stream(self, http: httpx.AsyncClient, token: str, opened: asyncio.Event) -> float:
        rpc = call("query")
        headers = {**rpc.headers(LEGACY), "authorization": f"Bearer {token}"}
        async with http.stream("POST", self.url, content=rpc.body(LEGACY), headers=headers) as answer:
            assert answer.status_code == 200, (answer.status_code, await answer.aread())
            with suppress(httpx.HTTPError):
                async for line in answer.aiter_lines():
                    if "first" in line:
                        opened.set()
        return time.monotonic()

    async def _held(self, http: httpx.AsyncClient, token: str, subject: str) -> tuple[float, httpx.Response]:
        answer = await self.post(http, token, call("drop", {"who": subject}))
        return time.monotonic(), answer


@dataclass(frozen=True, slots=True)
class Revoker:
    """Revokes, through Envoy with a bearer token; ``issuer`` is whose callers it revokes."""

    stub: RevocationServiceAsyncStub
    token: str
    issuer: str

    async def revoke(
        self,
        kind: revocations_pb2.RevocationKind.ValueType,
        value: str,
        *,
        issuer: str | None = None,
        issued_before_s: int | None = None,
    ) -> revocations_pb2.Revocation:
        """Return once it is in force."""
        asked = revocations_pb2.Revocation(
            kind=kind,
            issuer=self.issuer if issuer is None else issuer,
            value=value,
            issued_before_s=issued_before_s,
            reason="case 17",
        )
        request = revocations_pb2.RevokeRequest(revocation=asked)
        answer = await self.stub.Revoke(request, metadata=self._metadata, timeout=WITHIN_S)
        return answer.revocation

    async def lift(self, one: revocations_pb2.Revocation) -> None:
        """Return once it is lifted."""
        request = revocations_pb2.LiftRevocationRequest(revocation_id=one.revocation_id, reason="over")
        await self.stub.LiftRevocation(request, metadata=self._metadata, timeout=WITHIN_S)

    @property
    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.token}"),)


async def silent(exchange: Exchange) -> None:
    """A target that says one thing, and nothing else until its caller is gone."""
    if exchange.request.method == "tools/call":
        await exchange.head(content_type=SSE_TYPE)
        await exchange.body(_TOLD)
        await exchange.reader.read()
    else:
        await exchange.head(202, length=0)


@contextmanager
def biting_of(started: Callable[[Setup], Gateway], *, unknown_after: str = "5s") -> Iterator[Biting]:
    """A gateway before ``silent``, which the caller serves at ``port``; operators may revoke, owners agree.

    ``started`` starts it, or has one that runs be as it is told.
    """
    port = free_port()
    with running_issuer(PEOPLE) as issuer:
        extra = {
            "identity": {"oidc": [{"issuer": issuer.url}], "revocation": {"unknown_after": unknown_after}},
            "approvals": {"hold": "60s", "pending_per_principal": 50},
            "operators": {"groups": ["operators"]},
        }
        target = Upstream(f"http://127.0.0.1:{port}/mcp", extra={"new_tools": "allow"})
        targets = {TARGET: target, PLAIN: target}
        yield Biting(started(Setup(issuer.url, targets, RULES, extra=extra)), issuer, port)


@asynccontextmanager
async def callers(place: Biting) -> AsyncIterator[httpx.AsyncClient]:
    """The target, and what callers call with."""
    limits = httpx.Limits(max_connections=200)
    async with (
        scripted_target(silent, port=place.port),
        httpx.AsyncClient(timeout=60, trust_env=False, limits=limits) as http,
    ):
        yield http
