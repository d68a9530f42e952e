"""The page over real sockets: where it listens, who may connect, and how it ends."""

from __future__ import annotations

import asyncio
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
import uvloop

from countersign.approver.page.serving import PageRoom
from countersign.runtime.listening import CannotListen, bound
from countersign.runtime.sealing import service_token
from countersign.runtime.trust import SERVICE_HEADER
from tests.support.recorders import until
from tests.unit.approver.page.world import GATEWAY, KEY, World

DEADLINE_S = 10.0


def a_room(address: str, world: World) -> PageRoom:
    return PageRoom(
        address,
        key=KEY,
        config=lambda: world.config,
        deciding=world.acting,
        revocations=world.revocations,
        dsn="host=/nonexistent dbname=none",
        clock_us=world.now_us,
    )


@asynccontextmanager
async def served(address: str, world: World) -> AsyncIterator[PageRoom]:
    room = a_room(address, world)
    running = asyncio.ensure_future(room.run())
    await until(lambda: room.serving)
    yield room
    await room.close()
    await running


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_it_serves_on_either_kind_of_address(kind: str, tmp_path: Path) -> None:
    # As the approver runs.
    uvloop.run(_serves(kind, tmp_path))


async def _serves(kind: str, tmp_path: Path) -> None:
    world, path = World(), tmp_path / "page"
    # One that somebody was killed with.
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    address = f"unix:{path}" if kind == "unix" else f"127.0.0.1:{free_port()}"
    transport = httpx.AsyncHTTPTransport(uds=str(path) if kind == "unix" else None)
    base = GATEWAY.replace("https", "http") if kind == "unix" else f"http://{address}"
    # As Envoy sends it.
    sent = {} if kind == "unix" else {SERVICE_HEADER: service_token(KEY)}
    async with served(address, world), httpx.AsyncClient(transport=transport, base_url=base, headers=sent) as browser:
        answer = await browser.get("/approvals/")
        assert (answer.status_code, "Sign in" in answer.text) == (403, True)
        assert "server" not in answer.headers
        late = await browser.post("/approvals/slack/interactions", content=b"x" * (1 << 20))
        assert late.status_code == 413
        for token in ("guess", "", "\u00e9"):
            passed = await browser.get("/approvals/", headers={SERVICE_HEADER.encode(): token.encode()})
            assert ("Come through the gateway" in passed.text) == (kind == "tcp")
        if kind == "unix":
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    transport = httpx.AsyncHTTPTransport(uds=str(path) if kind == "unix" else None)
    async with httpx.AsyncClient(transport=transport, base_url=base) as browser:
        with pytest.raises(httpx.TransportError):
            await browser.get("/approvals/")


async def test_an_address_that_is_taken_is_said(tmp_path: Path) -> None:
    for address in (f"unix:{tmp_path}", "nowhere", "127.0.0.1:99999", "127.0.0.1:-1", "192.0.2.1:9001"):
        with pytest.raises(CannotListen):
            bound(address)
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(CannotListen):
        a_room(f"127.0.0.1:{taken.getsockname()[1]}", World())


async def test_a_page_that_never_began_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "page"
    room = a_room(f"unix:{path}", World())
    transport = httpx.AsyncHTTPTransport(uds=str(path))
    async with httpx.AsyncClient(transport=transport) as browser:
        with pytest.raises(httpx.ConnectError):
            await browser.get("http://page/approvals/")
    await room.close()


async def test_a_cancelled_page_lets_what_is_under_way_end(tmp_path: Path) -> None:
    world, path = World(), tmp_path / "page"
    room = a_room(f"unix:{path}", world)
    running = asyncio.ensure_future(room.run())
    await until(lambda: room.serving)
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(path))) as browser:
        assert (await browser.get("http://page/approvals/")).status_code == 403
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await asyncio.wait_for(room.close(), DEADLINE_S)
