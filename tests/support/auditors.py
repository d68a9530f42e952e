"""Auditors: the recorder's SessionService as it is reached through Envoy, with a bearer token."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import grpc.aio

from countersign.api.recorder.v1 import event_pb2, session_pb2
from countersign.api.recorder.v1.session_pb2_grpc import SessionServiceStub

if TYPE_CHECKING:
    from countersign.api.recorder.v1.session_pb2_grpc import SessionServiceAsyncStub


@asynccontextmanager
async def session_service(gateway_url: str, token: str | None) -> AsyncIterator[Sessions]:
    """What auditors read, through Envoy, with a bearer token on every call."""
    async with grpc.aio.insecure_channel(urlsplit(gateway_url).netloc) as channel:
        yield Sessions(SessionServiceStub(channel), token)


@dataclass(frozen=True, slots=True)
class Sessions:
    """The SessionService's three calls, each bounded in time; they raise ``grpc.aio.AioRpcError``."""

    stub: SessionServiceAsyncStub
    token: str | None
    timeout_s: float = 15

    @property
    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.token}"),) if self.token is not None else ()

    async def list_sessions(self, query: session_pb2.SessionFilter | None = None) -> list[session_pb2.Session]:
        """The newest sessions that fit the filter, one page."""
        asked = session_pb2.ListSessionsRequest(filter=query)
        answer = await self.stub.ListSessions(asked, metadata=self._metadata, timeout=self.timeout_s)
        return list(answer.sessions)

    async def get(self, session_id: str) -> session_pb2.Session:
        """One session."""
        asked = session_pb2.GetSessionRequest(session_id=session_id)
        answer = await self.stub.GetSession(asked, metadata=self._metadata, timeout=self.timeout_s)
        return answer.session

    async def replay(self, session_id: str, from_sequence: int = 0) -> list[event_pb2.RecordedEvent]:
        """All events of a session."""
        asked = session_pb2.ReplaySessionRequest(session_id=session_id, from_sequence=from_sequence)
        call = self.stub.ReplaySession(asked, metadata=self._metadata, timeout=self.timeout_s)
        return [answer.event async for answer in call]
