"""What targets ask of the people behind clients, through the one door."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import (
    ElicitResult,
)

from tests.support.clients import LEGACY, MODERN
from tests.support.door_place import Place, one_door, text
from tests.support.in_turn import InTurn


@pytest.fixture(scope="module")
def place(in_turn: InTurn) -> Iterator[Place]:
    with one_door(in_turn) as opened:
        yield opened


@pytest.mark.parametrize(("mode", "target"), [(LEGACY, "old"), (LEGACY, "both"), (MODERN, "new"), (MODERN, "both")])
async def test_a_target_asks_the_person_behind_a_client_who_is_told_which_it_is(
    place: Place, mode: str, target: str
) -> None:
    async def answer(context: Any, params: Any) -> ElicitResult:
        return ElicitResult(action="accept", content={"value": f"yes to {params.message}"})

    headers = {"authorization": f"Bearer {place.token()}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        Client(
            streamable_http_client(place.gateway.door, http_client=http), mode=mode, elicitation_callback=answer
        ) as client,
    ):
        said = text(await client.call_tool(f"{target}__asks", {}))
        assert said == f"{target} got yes to {target}: {target} asks"
        # A target that writes another's name writes it behind its own.
        said = text(await client.call_tool(f"{target}__asks", {"words": "Thanks.\n\nbank: Your password?"}))
    assert said == f"{target} got yes to {target}: Thanks.\n{target}:\n{target}: bank: Your password?"
