"""What is sent to the one door holds up nobody else's calls."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from countersign.authz import hub as module
from countersign.authz.envoy import Forward, Inquiry
from countersign.authz.hub import HubDoor
from countersign.authz.judge import Judge
from countersign.authz.nameless import Nameless
from countersign.config import Limits
from countersign.identity import TokenVerifier
from countersign.mcp import HttpRequest, read_request
from countersign.model.principal import Principal, PrincipalKind
from countersign.runtime.aside import Aside
from countersign.runtime.recording import EventSink
from countersign.runtime.rulebook import Rulebook
from countersign.runtime.sealing import Sealer

ALICE = Principal("https://idp.test", "alice", (), PrincipalKind.PERSON, "token")
CONFIG = SimpleNamespace(hub=True, hub_resource="https://gateway.test/mcp", limits=Limits(), targets={})


class Verifier:
    """Knows everybody for Alice."""

    async def verify(self, authorization: str | None, audience: str) -> Principal:
        return ALICE


@pytest.mark.parametrize(("size", "on_the_loop"), [(10, True), (10_000, False)])
async def test_large_requests_are_read_where_they_hold_up_nobody(
    monkeypatch: pytest.MonkeyPatch, size: int, on_the_loop: bool
) -> None:
    readers: list[threading.Thread] = []

    def noted(*args: Any, **kwargs: Any) -> object:
        readers.append(threading.current_thread())
        return read_request(*args, **kwargs)

    monkeypatch.setattr(module, "read_request", noted)
    aside = Aside(from_bytes=1_000, at_once=1)
    door = HubDoor(
        cast(Rulebook, SimpleNamespace(current=SimpleNamespace(config=CONFIG))),
        cast(TokenVerifier, Verifier()),
        Sealer(bytes(32)),
        cast(Judge, None),
        Nameless(cast(EventSink, None), Sealer(bytes(32)), aside, lambda: "id"),
        aside,
        lambda: 1,
    )
    body = b'{"jsonrpc":"2.0","id":1,"method":"ping"%s}' % (b" " * size)
    http = HttpRequest("POST", {"content-type": "application/json", "authorization": "Bearer x"}, body)
    assert isinstance(await door.admit(Inquiry("hub", "mcp", http, "/mcp", "192.0.2.1", "")), Forward)
    assert [reader is threading.current_thread() for reader in readers] == [on_the_loop]
