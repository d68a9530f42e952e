"""With every setting as it comes, a person who takes seventy seconds is waited for by clients of both eras."""

from __future__ import annotations

import asyncio

from mcp.types import CallToolResult, TextContent

from tests.support.approvers import approval_service
from tests.support.clients import LEGACY, MODERN, mcp_client
from tests.support.counting import counting_server
from tests.support.gateway import Setup, Upstream, free_port, running_gateway
from tests.support.issuer import running_issuer

RULES = (
    {
        "name": "owners agree",
        "approve": {"groups": ["analysts"], "targets": ["db"], "tools": ["drop_*"]},
        "by": {"groups": ["data-owners"]},
    },
)
PERSON_S = 70.0


def text_of(result: object) -> str:
    assert isinstance(result, CallToolResult), result
    return " ".join(part.text for part in result.content if isinstance(part, TextContent))


async def test_a_person_may_take_longer_than_any_clients_clock() -> None:
    port = free_port()
    with running_issuer() as issuer, counting_server(port) as ledger:
        target = Upstream(f"http://127.0.0.1:{port}/mcp", extra={"new_tools": "allow"})
        with running_gateway(Setup(issuer.url, {"db": target}, RULES)) as gateway:
            url = gateway.endpoint("db")

            async def drop(mode: str) -> str:
                # As long as the SDK's own clients wait unless told otherwise: for ever, or 300 s of silence.
                async with mcp_client(url, issuer.token("alice", url), mode, timeout_s=300) as client:
                    said = text_of(await client.call_tool("drop_table", {"table": mode}))
                    while mode == LEGACY and "waiting for approval" in said:
                        said = text_of(await client.call_tool("drop_table", {"table": mode}))
                    return said

            async def agree() -> None:
                token = issuer.token("alice", gateway.url, sub="dora", groups=["data-owners"])
                async with approval_service(gateway.url, token) as owner:
                    await asyncio.sleep(PERSON_S)
                    asked = await owner.list(to_decide=True)
                    assert len(asked) == 2
                    for one in asked:
                        await owner.decide(one)

            *said, _ = await asyncio.gather(drop(MODERN), drop(LEGACY), agree())
            assert said == [f"drop_table {mode}: done" for mode in (MODERN, LEGACY)]
            assert [ledger.times(table=mode) for mode in (MODERN, LEGACY)] == [1, 1]
