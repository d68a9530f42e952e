"""What a target's stream says between its messages, as the door says it."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast

import pytest

from countersign.config import GatewayConfig, Limits
from countersign.hub.answered import Terms
from countersign.hub.dismissals import Dismissals
from countersign.hub.inside import Inner, Inside
from countersign.hub.outgoing import event
from countersign.hub.peers import Peers
from countersign.hub.relay import OF_REQUESTS, OF_STREAMS, Relay
from countersign.masking.sse import SseEvent, SseSplitter
from countersign.mcp import Era
from countersign.runtime.aside import Aside
from countersign.runtime.live import Live

RELAY = Relay(
    cast(Inside, None),
    cast(Peers, None),
    cast(Dismissals, None),
    lambda: cast(GatewayConfig, SimpleNamespace(limits=Limits())),
    Aside(from_bytes=1 << 20, at_once=1),
    cast(Live, None),
)


@dataclass
class Said:
    """An answer from inside that is these bytes."""

    stream: bytes

    async def events(self) -> AsyncGenerator[SseEvent, None]:
        for each in SseSplitter(Limits().sse_event_bytes).feed(self.stream):
            yield each


@pytest.mark.parametrize(("kind", "passed"), [(OF_REQUESTS, True), (OF_STREAMS, False)])
async def test_a_target_says_when_to_come_back_for_its_own_answer_and_not_for_all_others(
    kind: str, passed: bool
) -> None:
    message = b'{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}'
    said = cast(Inner, Said(b"retry: 999999999\nid: 1\ndata:\n\nretry: 999999999\nid: 2\ndata: " + message + b"\n\n"))
    pieces = [piece async for piece in RELAY.events(said, Terms("t", Era.LEGACY, Era.LEGACY), kind)]
    assert [f"id: {kind}t:{number}".encode() in piece for number, piece in enumerate(pieces, 1)] == [True, True]
    assert [b"retry:" in piece for piece in pieces] == [passed, passed]


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n", "\r\r"])
def test_however_a_target_ends_its_lines_a_client_reads_one_message(end: str) -> None:
    message = f'{{{end}"jsonrpc": "2.0",{end}"id": 1,{end}"result": {{}}{end}}}'
    (read,) = SseSplitter(Limits().sse_event_bytes).feed(event(message))
    assert read.data is not None
    assert json.loads(read.data) == {"jsonrpc": "2.0", "id": 1, "result": {}}
