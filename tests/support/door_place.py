"""The one door as tests come to it: a gateway with targets behind it, and what is read there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import grpc
import httpx
from mcp_types import TextContent

from countersign.api.access.v1.revocations_pb2_grpc import RevocationServiceStub
from countersign.api.recorder.v1 import event_pb2, session_pb2
from tests.support.approvers import ApprovalClient, approval_service
from tests.support.auditors import session_service
from tests.support.biting import Revoker
from tests.support.clients import INITIALIZE, LEGACY, MODERN, Rpc, post
from tests.support.door_targets import Seen, running_server
from tests.support.gateway import Gateway, Setup, Upstream, free_port
from tests.support.in_turn import InTurn
from tests.support.issuer import RunningIssuer, running_issuer

TARGETS = ("old", "new", "both")
TOOLS = ("where", "exact", "links", "slow", "steps", "asks", "several", "again", "agreed")
_RULES = (
    {"name": "analysts use all", "allow": {"groups": ["analysts"], "targets": ["*"]}, "mask": ["pii"]},
    {"name": "support asks new", "allow": {"groups": ["support"], "targets": ["new"], "tools": ["where"]}},
    {
        "name": "others agree",
        "approve": {"groups": ["analysts"], "targets": ["*"], "tools": ["agreed"]},
        "by": {"groups": ["owners"]},
    },
    {"name": "nobody", "deny": {"targets": ["*"], "tools": ["forbidden"]}, "message": "Not that."},
)
_EXTRA = {"operators": {"groups": ["operators"]}, "approvals": {"hold": "0.2s"}}


@dataclass
class Place:
    """A gateway with the door open, before servers of each era.

    Two others (``told`` and ``heard`` are their ports) are down unless a test starts them.
    """

    gateway: Gateway
    issuer: RunningIssuer
    seen: dict[str, Seen]
    told: int
    heard: int

    def token(self, person: str = "alice") -> str:
        """A token for the door; who is not known otherwise is an analyst."""
        if person in ("alice", "bob"):
            return self.issuer.token(person, self.gateway.door)
        return self.issuer.token("alice", self.gateway.door, sub=person)

    @asynccontextmanager
    async def owner(self) -> AsyncIterator[ApprovalClient]:
        token = self.issuer.token("alice", self.gateway.url, sub="dora", groups=["owners"])
        async with approval_service(self.gateway.url, token) as service:
            yield service

    @asynccontextmanager
    async def revoker(self) -> AsyncIterator[Revoker]:
        token = self.issuer.token("alice", self.gateway.url, sub="olga", groups=["operators"])
        async with grpc.aio.insecure_channel(urlsplit(self.gateway.url).netloc) as channel:
            yield Revoker(RevocationServiceStub(channel), token, self.issuer.url)

    async def ask(self, rpc: Rpc, person: str = "alice", era: str = MODERN, **headers: str) -> httpx.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await post(self.gateway.door, self.token(person), rpc, era=era, headers=sent)

    async def session(self, person: str = "alice") -> str:
        """The id of a new legacy session at the door."""
        return str((await self.ask(INITIALIZE, person, LEGACY)).headers["mcp-session-id"])

    async def events(self, person: str) -> list[event_pb2.Event]:
        """What is on record of somebody's requests, as far as it is in the newest sessions; oldest first."""
        found = []
        async with session_service(self.gateway.url, self.issuer.token("carol", self.gateway.url)) as service:
            for session in await service.list_sessions(
                session_pb2.SessionFilter(issuer=self.issuer.url, subject=person)
            ):
                found += await service.replay(session.session_id)
        found.sort(key=lambda one: one.index)
        events = [one.event for one in found if one.event.kind == event_pb2.EVENT_KIND_REQUEST]
        return [
            event for event in events if (event.principal.issuer, event.principal.subject) == (self.issuer.url, person)
        ]


@contextmanager
def one_door(in_turn: InTurn) -> Iterator[Place]:
    """Have the shared gateway be such a place."""
    with (
        running_issuer() as issuer,
        running_server("old", "legacy") as (old, old_seen),
        running_server("new", "modern") as (new, new_seen),
        running_server("both") as (both, both_seen),
    ):
        extra = {"new_tools": "allow"}
        told, heard = free_port(), free_port()
        targets = {
            "old": Upstream(f"{old.url}/mcp", extra=extra),
            "new": Upstream(f"{new.url}/mcp", extra={**extra, "seal_states": True}),
            "both": Upstream(f"{both.url}/mcp", extra={**extra, "seal_states": True}),
            "told": Upstream(f"http://127.0.0.1:{told}/mcp", extra=extra),
            "heard": Upstream(f"http://127.0.0.1:{heard}/mcp", extra=extra),
        }
        gateway = in_turn.take(Setup(issuer.url, targets, _RULES, extra=_EXTRA, hub=True))
        yield Place(gateway, issuer, {"old": old_seen, "new": new_seen, "both": both_seen}, told, heard)


def text(result: Any) -> str:
    """What a tool said."""
    (block,) = [each for each in result.content if isinstance(each, TextContent)]
    return block.text


@asynccontextmanager
async def listened(
    place: Place, rpc: Rpc | None, person: str = "alice", *, era: str = MODERN, **headers: str
) -> AsyncIterator[Lines]:
    """A stream at the door: a legacy GET, or what a request of an era is answered with."""
    era = era if rpc is not None else LEGACY
    sent = {**(rpc or Rpc("GET")).headers(era), "authorization": f"Bearer {place.token(person)}"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    sent |= {} if rpc is not None else {"accept": "text/event-stream"}
    async with (
        httpx.AsyncClient(timeout=30) as http,
        http.stream(
            "GET" if rpc is None else "POST",
            place.gateway.door,
            content=None if rpc is None else rpc.body(era),
            headers=sent,
        ) as answer,
    ):
        assert answer.status_code == 200, await answer.aread()
        yield Lines(answer.aiter_lines())


@dataclass
class Lines:
    """A stream's lines; ``ids`` are those of the events that were read."""

    lines: AsyncIterator[str]
    ids: list[str] = field(default_factory=list)

    async def message(self) -> dict[str, Any]:
        """The next message."""
        async with asyncio.timeout(30):
            async for line in self.lines:
                if line.startswith("id:"):
                    self.ids.append(line[3:].strip())
                if line.startswith("data:") and line[5:].strip():
                    found = json.loads(line[5:])
                    assert isinstance(found, dict)
                    return found
        raise EOFError


def result_of(message: dict[str, object]) -> dict[str, Any]:
    """The result of an answer."""
    result = message["result"]
    assert isinstance(result, dict)
    return result


def error_of(message: dict[str, object]) -> dict[str, Any]:
    """The error of an answer."""
    error = message["error"]
    assert isinstance(error, dict)
    return error


def text_of(message: dict[str, object]) -> str:
    """What a tool said, in an answer as it stands on the wire."""
    return str(result_of(message)["content"][0]["text"])
