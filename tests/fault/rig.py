"""A gateway to break: `countersign up` with all that it starts, an issuer, and a place where a test puts its target."""

from __future__ import annotations

import asyncio
import json
import secrets
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from tests.fault.record import Record
from tests.support.clients import MODERN, Rpc, call
from tests.support.gateway import Gateway, Setup, Upstream, free_port, running_gateway
from tests.support.issuer import RunningIssuer, running_issuer
from tests.support.targets import Script, ScriptedTarget, scripted_target

TARGET = "shop"
RULES: tuple[Mapping[str, object], ...] = (
    {
        "name": "analysts ask",
        "allow": {"groups": ["analysts"], "targets": [TARGET], "tools": ["query"]},
        "mask": ["secrets", "pii"],
    },
)
RECOVERY_S = 30.0
"""How long a broken gateway may take until it serves again; a restart is far quicker unless the machine is busy."""
_CHUNK = 1 << 20


@dataclass(slots=True)
class Rig:
    """A running gateway, one of its targets, and every value that must be found nowhere afterwards."""

    gateway: Gateway
    issuer: RunningIssuer
    port: int
    credential: str = field(repr=False)
    held: list[str] = field(default_factory=list, repr=False)
    name: str = TARGET

    @property
    def record(self) -> Record:
        """What was recorded."""
        return Record(self.gateway)

    @property
    def url(self) -> str:
        """The target's endpoint at the gateway."""
        return self.gateway.endpoint(self.name)

    def token(self, person: str = "alice") -> str:
        """A fresh good token."""
        return self.hold(self.issuer.token(person, self.url))

    def hold(self, secret: str) -> str:
        """Remember a value that must be kept nowhere: of a token its claims and its signature alone, too."""
        self.held.append(secret)
        self.held += [part for part in secret.split(".")[1:] if len(part) > 30]
        return secret

    def canary(self) -> str:
        """A fresh personal value that masks find; it may be sent, and must be kept nowhere."""
        return self.hold(f"canary.{secrets.token_hex(8)}@example.org")

    @asynccontextmanager
    async def target(self, script: Script) -> AsyncIterator[ScriptedTarget]:
        """Run the target."""
        async with scripted_target(script, self.port) as running:
            yield running

    @asynccontextmanager
    async def caller(self, timeout_s: float = 30) -> AsyncIterator[Caller]:
        """A caller with a good token and connections that are kept."""
        async with httpx.AsyncClient(timeout=timeout_s, verify=False, trust_env=False) as http:
            yield Caller(http, self.url, self.token())

    async def until_restarted(self, name: str, dead: psutil.Process) -> None:
        """Return when a part runs in a new process and ``up`` said how the old one ended and that this is ready."""

        def again() -> bool:
            try:
                now = self.gateway.part(name)
            except LookupError:
                return False
            said = [line for line in self.gateway.output().splitlines() if line.startswith(f"{name}:")]
            told = any("restarting in" in line and "ended " in line for line in said)
            return now.pid != dead.pid and told and said[-1].endswith(f"ready again (pid {now.pid})")

        await eventually(again, RECOVERY_S, f"the restart of {name}")

    async def until_it_serves(self) -> None:
        """Return when calls are answered 200; the target must be running."""
        async with self.caller() as caller:

            async def served() -> bool:
                return (await caller.ask()).status_code == 200

            await eventually(served, RECOVERY_S)


@dataclass(frozen=True, slots=True)
class Caller:
    """Sends ``tools/call`` as one principal."""

    http: httpx.AsyncClient
    url: str
    token: str

    async def ask(self, marker: str = "", headers: Mapping[str, str] | None = None) -> httpx.Response:
        """Call the tool; ``marker`` stands in its arguments."""
        return await self.post(question(marker), headers=headers)

    async def post(
        self, rpc: Rpc, *, body: bytes | None = None, headers: Mapping[str, str] | None = None, era: str = MODERN
    ) -> httpx.Response:
        """POST a message; ``body`` and ``headers`` override what would be sent."""
        return await self.http.post(
            self.url, content=rpc.body(era) if body is None else body, headers=self.headers(rpc, era, headers)
        )

    @asynccontextmanager
    async def stream(self, rpc: Rpc, era: str = MODERN) -> AsyncIterator[httpx.Response]:
        """POST a message and hand out the answer as soon as its head is there."""
        sent = self.headers(rpc, era, None)
        async with self.http.stream("POST", self.url, content=rpc.body(era), headers=sent) as answer:
            yield answer

    def headers(self, rpc: Rpc, era: str, override: Mapping[str, str] | None) -> dict[str, str]:
        """What goes with a message."""
        return {**rpc.headers(era), "authorization": f"Bearer {self.token}", **(override or {})}


def question(marker: str = "") -> Rpc:
    """The call that the rule allows."""
    return call("query", {"marker": marker})


def new_marker() -> str:
    """Text that tells one call from all others, in requests and in the record."""
    return f"m-{uuid.uuid4().hex}"


def rpc_error(answer: httpx.Response) -> int:
    """The JSON-RPC error code of an answer; fails when it is no JSON-RPC error."""
    assert answer.headers["content-type"].startswith("application/json"), answer.headers
    message = json.loads(answer.content)
    assert message["jsonrpc"] == "2.0"
    assert "result" not in message
    assert isinstance(message["error"]["message"], str)
    code = message["error"]["code"]
    assert isinstance(code, int)
    return code


def is_dead(process: psutil.Process) -> bool:
    """Whether it runs no more, be it reaped or not."""
    try:
        return process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return True


async def eventually(condition: Callable[[], Awaitable[bool] | bool], timeout_s: float = 10, what: str = "") -> None:
    """Return when the condition holds; fails when it does not within ``timeout_s``."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while True:
        held = condition()
        if held if isinstance(held, bool) else await held:
            return
        assert loop.time() < deadline, f"{what or 'what was waited for'} did not come true within {timeout_s} s"
        await asyncio.sleep(0.05)


@contextmanager
def running_rig(
    limits: Mapping[str, object] | None = None,
    rules: tuple[Mapping[str, object], ...] = RULES,
    beside: Mapping[str, Mapping[str, object]] | None = None,
    extra: Mapping[str, object] | None = None,
    started: Callable[[Setup], Gateway] | None = None,
) -> Iterator[Rig]:
    """A rig with these limits; fails at its end when what it holds was kept anywhere.

    ``beside`` are more targets, with more keys, in the same place: see ``Rig.name``. ``extra`` are more keys of
    gateway.yaml, such as ``approvals``. ``started`` has a gateway that runs be as it is told, in place of a new one.
    """
    port, credential = free_port(), secrets.token_urlsafe(24)
    targets = {TARGET: {}, **(beside or {})}
    with running_issuer() as issuer, ExitStack() as new:
        setup = Setup(
            issuer.url,
            {name: Upstream(f"http://127.0.0.1:{port}/mcp", credential, extra) for name, extra in targets.items()},
            rules,
            extra={"limits": dict(limits or {}), **(extra or {})},
        )
        gateway = started(setup) if started else new.enter_context(running_gateway(setup))
        rig = Rig(gateway, issuer, port, credential, [credential])
        yield rig
        if gateway.running:
            assert_kept_nowhere(rig)


def assert_kept_nowhere(rig: Rig) -> None:
    """No token, credential or raw personal value is in the record, the logs or any other file of the gateway."""
    held = sorted({value.encode() for value in rig.held})
    kept = "\n".join(rig.record.everything()).encode() + rig.gateway.output().encode()
    # Counted, never shown: a failing test must not print what it looks for.
    assert sum(value in kept for value in held) == 0, "a held value is in the record, or was printed"
    assert [path.name for path in rig.gateway.state.rglob("*") if _holds(path, held)] == []


def _holds(path: Path, held: list[bytes]) -> bool:
    if not path.is_file() or path.is_symlink():
        return False
    longest = max(map(len, held))
    with path.open("rb") as file:
        tail = b""
        while chunk := file.read(_CHUNK):
            window = tail + chunk
            if any(value in window for value in held):
                return True
            tail = window[-longest:]
    return False
