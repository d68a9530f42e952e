"""A bridge in this process with real servers below it, and callers who come as Envoy would."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx

from countersign.bridge.app import App
from countersign.bridge.sessions import Sessions, Whose
from countersign.config import GatewayConfig, Limits, Target
from countersign.config.types import Stdio
from countersign.model.door import PRINCIPAL_HEADER, SESSION_HEADER
from countersign.model.principal import Principal, PrincipalKind
from countersign.runtime.listening import bound
from countersign.runtime.sealing import Sealer
from countersign.runtime.web import WebServer
from tests.support.clients import INITIALIZE, LEGACY, MODERN, Rpc, messages
from tests.support.gateway import short_folder

SERVER = Path(__file__).parents[2] / "support" / "stdio_server.py"
ALICE = Principal("https://issuer.example", "alice", (), PrincipalKind.PERSON, "t1")
BOB = replace(ALICE, subject="bob", token_id="t2")


def scripted(*words: str, **kept: object) -> Stdio:
    stated = Stdio((sys.executable, "-I", str(SERVER), *words), fingerprint="f" * 16)
    return replace(stated, **kept)  # type: ignore[arg-type]


def config_of(stdio: Stdio, limits: Limits | None = None) -> GatewayConfig:
    target = Target("git", "http://bridge" + stdio.path("git"), None, "http://gateway/git/mcp", stdio=stdio)
    return GatewayConfig(
        version="v",
        url="http://gateway",
        issuers=(),
        targets={"git": target},
        rules=(),
        masks={},
        auditors=(),
        postgres_dsn=None,
        limits=limits or Limits(),
    )


@dataclass
class Rig:
    """``client`` speaks to the bridge; ``revoked`` are subjects; ``config`` may be changed."""

    config: GatewayConfig
    sealer: Sealer
    sessions: Sessions
    client: httpx.AsyncClient
    revoked: set[str] = field(default_factory=set)

    @property
    def path(self) -> str:
        stdio = self.config.targets["git"].stdio
        assert stdio is not None
        return stdio.path("git")

    def headers(
        self, who: Principal = ALICE, session: str = "", era: str = LEGACY, recorded: str = ""
    ) -> dict[str, str]:
        given = {PRINCIPAL_HEADER: self.sealer.seal_principal(who), SESSION_HEADER: recorded or f"r-{who.token_id}"}
        given["mcp-protocol-version"] = MODERN if era == MODERN else "2025-11-25"
        return given | ({"mcp-session-id": session} if session else {})

    async def post(
        self, rpc: Rpc, session: str = "", *, who: Principal = ALICE, era: str = LEGACY, recorded: str = ""
    ) -> httpx.Response:
        headers = rpc.headers(era) | self.headers(who, session, era, recorded)
        return await self.client.post(self.path, content=rpc.body(era), headers=headers)

    async def initialize(self, who: Principal = ALICE) -> str:
        answer = await self.post(replace(INITIALIZE, id=0), who=who)
        assert answer.status_code == 200, answer.text
        session = answer.headers["mcp-session-id"]
        told = await self.post(Rpc("notifications/initialized", id=None), session, who=who)
        assert told.status_code == 202
        return str(session)

    async def call(self, session: str, tool: str, who: Principal = ALICE, **arguments: object) -> object:
        """The decoded text of a tool's result."""
        return said(await self.post(Rpc("tools/call", {"name": tool, "arguments": arguments}), session, who=who))

    async def end(self, session: str, who: Principal = ALICE) -> httpx.Response:
        return await self.client.delete(self.path, headers=self.headers(who, session))


def said(answer: httpx.Response) -> object:
    """What the text of the result, which comes last, says."""
    assert answer.status_code == 200, (answer.status_code, answer.text)
    last = messages(answer)[-1]
    result = last["result"]
    assert isinstance(result, dict)
    content = result["content"][0]["text"]
    try:
        return json.loads(content)
    except ValueError:
        return content


@asynccontextmanager
async def running(
    stdio: Stdio,
    *,
    limits: Limits | None = None,
    monotonic_s: Callable[[], float] = time.monotonic,
    environment: Mapping[str, str] | None = None,
    keepalive_s: float = 15.0,
) -> AsyncIterator[Rig]:
    """A bridge that serves one target, named git."""
    folder = short_folder()
    key = secrets.token_bytes(32)
    revoked: set[str] = set()
    current = {"config": config_of(stdio, limits)}
    sessions = Sessions(
        lambda: current["config"], environment or os.environ, monotonic_s, lambda: secrets.token_urlsafe(24)
    )

    def is_revoked(whose: Whose) -> bool:
        return whose.principal.subject in revoked

    app = App(sessions, Sealer(key), lambda: current["config"], is_revoked=is_revoked, keepalive_s=keepalive_s)
    listener = bound(f"unix:{folder}/b.sock")
    server = WebServer(app, listener, at_once=4_000)
    task = asyncio.ensure_future(server.listen())
    transport = httpx.AsyncHTTPTransport(uds=f"{folder}/b.sock")
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://bridge", timeout=30) as client:
            yield Rig(current["config"], Sealer(key), sessions, client, revoked)
    finally:
        await sessions.close()
        server.end()
        await task
        listener.close()
