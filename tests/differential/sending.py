"""Raw requests sent to the gateway over many connections at once, which are kept open as long as it lets them."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from tests.differential.cases import case
from tests.differential.drafts import Draft, member, put, tree_of
from tests.differential.honest import header_value, headers_of, message
from tests.differential.wires import HONEST, TRICKS, Parts, lines_of

AT_ONCE = 24
# How long to wait for more where nobody can know whether more comes; nothing is asserted of it.
_SILENCE_S = 0.15
_AT_MOST_S = 5.0

HIDDEN = "delete_all"
"""The tool that every hidden request calls, and no rule allows."""


@dataclass(frozen=True, slots=True)
class Wire:
    """Bytes to send. ``lasts`` tells that the connection may be used again when one answer came."""

    kind: str
    data: bytes
    lasts: bool


@dataclass(frozen=True, slots=True)
class Door:
    """Where requests go, with a token that is good there. At the one door names begin with their ``target``."""

    path: str
    token: str
    target: str = ""

    def name(self, made: Draft) -> None:
        """Have a lawful request name what it asks for as it is called here."""
        params = member(made.tree, "params")
        for holder in (params, member(params, "ref")):
            for key, sign in (("name", "__"), ("uri", "+")):
                if self.target and isinstance(held := member(holder, key), str):
                    put(holder, key, f"{self.target}{sign}{held}")
                    if any(name == "mcp-name" for name, _ in made.headers):
                        made.headers = [(name, old) for name, old in made.headers if name != "mcp-name"]
                        made.headers.append(("mcp-name", header_value(f"{self.target}{sign}{held}")))


def wires(seed: int, count: int, host: str, doors: Sequence[Door]) -> Iterator[Wire]:
    """Make up so many."""
    for number in range(count):
        chance = random.Random(f"{seed}/wire/{number}")
        door = chance.choice(doors)
        lead = (f"host: {host}", f"authorization: Bearer {door.token}")
        hidden, where = _hidden(door, lead), "-at-the-door" if door.target else ""
        if chance.random() < 0.5:
            made = case(seed, number, door.name)
            parts = Parts(door.path, lead, lines_of(made), made.body, hidden)
            yield Wire(f"body{where}", chance.choice(HONEST)(parts, chance), lasts=True)
            continue
        # A lawful call, so that what is made of its framing can matter.
        body = message(chance, modern=chance.random() < 0.5)
        lawful = Draft(headers_of(body, "2026-07-28" if "_meta" in body.get("params", {}) else ""), tree_of(body))
        door.name(lawful)
        lines = tuple(f"{name}: {value}" for name, value in lawful.headers)
        parts = Parts(door.path, lead, lines, lawful.body(chance), hidden)
        kind = chance.choice(tuple(TRICKS))
        yield Wire(f"{kind}{where}", TRICKS[kind](parts, chance), lasts=False)


def _hidden(door: Door, lead: tuple[str, ...]) -> bytes:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": HIDDEN, "arguments": {}}}
    made = Draft(headers_of(body, "2025-06-18"), tree_of(body))
    door.name(made)
    data = made.body(random.Random(0))
    parts = Parts(door.path, lead, tuple(f"{name}: {value}" for name, value in made.headers), data, b"")
    return parts.head(parts.length) + data


async def send_all(port: int, sent: Iterator[Wire]) -> Counter[str]:
    """Send everything; return how many answers there were by kind and status."""
    told: Counter[str] = Counter()

    async def one_after_the_other() -> None:
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        for wire in sent:
            connection = connection or await asyncio.open_connection("127.0.0.1", port)
            reader, writer = connection
            status = b""
            with suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(_AT_MOST_S):
                    status, lasts = await _exchange(reader, writer, wire)
            told[f"{wire.kind} {status.decode('latin-1')}"] += 1
            if not (status and wire.lasts and lasts):
                writer.close()
                connection = None
        if connection is not None:
            connection[1].close()

    await asyncio.gather(*(one_after_the_other() for _ in range(AT_ONCE)))
    return told


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wire: Wire) -> tuple[bytes, bool]:
    """The status of the first answer, and whether the connection is ready for another request."""
    writer.write(wire.data)
    await writer.drain()
    answer, whole = b"", False
    async for piece in _pieces(reader, patient=wire.lasts):
        answer += piece
        if wire.lasts and _is_whole(answer):
            whole = b"connection: close" not in answer.lower()
            break
    return answer[9:12], whole


async def _pieces(reader: asyncio.StreamReader, *, patient: bool) -> AsyncIterator[bytes]:
    while True:
        if patient:
            piece = await reader.read(65_536)
        else:
            try:
                piece = await asyncio.wait_for(reader.read(65_536), _SILENCE_S)
            except TimeoutError:
                return
        if not piece:
            return
        yield piece


def _is_whole(answer: bytes) -> bool:
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        return False
    lower = head.lower()
    if b"transfer-encoding: chunked" in lower:
        return body.endswith(b"0\r\n\r\n")
    length = lower.partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return len(body) >= int(length or 0)
