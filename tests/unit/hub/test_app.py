"""The one door over HTTP: nobody fills it for all others."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any, cast

from countersign.hub.app import HubApp
from countersign.hub.door import Door
from countersign.hub.inside import Caller
from countersign.hub.outgoing import STREAM, Outgoing
from countersign.mcp import HttpRequest
from countersign.model.principal import Principal, PrincipalKind
from countersign.runtime.sealing import Sealer
from tests.support.recorders import until

SEALER = Sealer(bytes(32))


class Quiet:
    """A door at which all streams are open, and nothing is said."""

    open = 0

    async def answer(self, caller: Caller, http: HttpRequest) -> Outgoing:
        self.open += 1
        try:
            yield STREAM
            await asyncio.Event().wait()
        finally:
            self.open -= 1


@dataclass
class Request:
    """A GET of somebody, who stays until ``gone``."""

    subject: str
    said: list[MutableMapping[str, Any]] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    began: bool = False

    async def receive(self) -> MutableMapping[str, Any]:
        if not self.began:
            self.began = True
            return {"type": "http.request"}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        self.said.append(message)

    async def put_to(self, app: HubApp) -> None:
        who = Principal("https://idp.test", self.subject, (), PrincipalKind.PERSON, "token")
        headers = [(b"x-countersign-principal", SEALER.seal_principal(who).encode())]
        await app({"type": "http", "method": "GET", "headers": headers}, self.receive, self.send)

    @property
    def status(self) -> int:
        return int(self.said[0]["status"]) if self.said else 0


async def test_one_caller_does_not_keep_the_others_out_however_many_streams_they_open() -> None:
    door = Quiet()
    app = HubApp(cast(Door, door), SEALER, lambda: 1_000, most_of_one=2)
    requests = [Request("mallory"), Request("mallory"), Request("mallory"), Request("alice")]
    tasks = [asyncio.ensure_future(each.put_to(app)) for each in requests]
    await until(lambda: all(each.status for each in requests))
    assert [each.status for each in requests] == [200, 200, 503, 200]
    assert (b"retry-after", b"5") in requests[2].said[0]["headers"]
    requests[0].gone.set()
    await until(lambda: door.open == 2)
    again = Request("mallory")
    tasks.append(asyncio.ensure_future(again.put_to(app)))
    await until(lambda: again.status == 200)
    for each in (*requests, again):
        each.gone.set()
    await asyncio.gather(*tasks)
    assert door.open == 0
