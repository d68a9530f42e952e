"""Canaries: what only one side may know is nowhere else, neither in answers, nor logs, nor database files."""

from __future__ import annotations

import random
import secrets
from pathlib import Path

import pytest

from countersign.demo import orders_data
from tests.e2e.conftest import World
from tests.support.auditors import session_service
from tests.support.clients import LEGACY, MODERN, call, mcp_client, messages, post
from tests.support.targets import Steps, answers, event, final_event, scripted_target, speaks_mcp, tool_text

CHUNK = 1 << 20


def holding(folder: Path, canaries: list[bytes]) -> list[tuple[str, int]]:
    """Files below the folder that hold a canary, with the canary's number; never the canary itself."""
    found = []
    longest = max(map(len, canaries))
    for path in folder.rglob("*"):
        if not path.is_file() or path.is_symlink():
            continue
        with path.open("rb") as file:
            tail = b""
            while chunk := file.read(CHUNK):
                window = tail + chunk
                found += [(path.name, number) for number, canary in enumerate(canaries) if canary in window]
                tail = window[-longest:]
    return sorted(set(found))


def secret_values() -> list[str]:
    rng = random.Random(secrets.randbits(64))
    key, cloud_secret = orders_data.cloud_key(rng)
    email = f"canary.{secrets.token_hex(6)}@example.org"
    return [
        key,
        cloud_secret,
        orders_data.repository_token(rng),
        orders_data.card_number(rng),
        orders_data.social_security_number(rng),
        email,
    ]


def telling(values: list[str]) -> str:
    key, cloud_secret, token, card, ssn, email = values
    return (
        f"aws_access_key_id={key} aws_secret_access_key={cloud_secret}\nprinter uses {token} since May; "
        f"paid with {card}; SSN {ssn}; write to {email}"
    )


async def everything_recorded(world: World) -> bytes:
    async with session_service(world.gateway.url, world.auditor_token()) as sessions:
        listed = await sessions.list_sessions()
        events = [event for session in listed for event in await sessions.replay(session.session_id)]
    return b"".join(event.SerializeToString() for event in events)


@pytest.mark.parametrize("era", [LEGACY, MODERN])
async def test_values_of_an_answer_are_masked_everywhere(world: World, era: str) -> None:
    values = secret_values()
    content = {**tool_text(telling(values)), "structuredContent": {"note": telling(values), "nested": [[values[2]]]}}
    async with scripted_target(answers(content), port=world.scripted_port):
        answer = await post(world.scripted, world.token("alice", "scripted"), call("query"), era=era)
    assert answer.status_code == 200
    canaries = [value.encode() for value in values]
    assert [number for number, canary in enumerate(canaries) if canary in answer.content] == []
    recorded = await everything_recorded(world)
    assert [number for number, canary in enumerate(canaries) if canary in recorded] == []
    assert holding(world.gateway.folder, canaries) == []


async def test_values_in_a_stream_are_masked_event_by_event(world: World) -> None:
    values = secret_values()
    progress = {
        "jsonrpc": "2.0",
        "method": "notifications/progress",
        "params": {"progressToken": 1, "progress": 1, "message": telling(values)},
    }
    steps = Steps([event(progress), final_event(tool_text(telling(values)))])
    steps.release(2)
    async with scripted_target(steps, port=world.scripted_port):
        answer = await post(world.scripted, world.token("alice", "scripted"), call("query"))
    assert len(messages(answer)) == 2
    canaries = [value.encode() for value in values]
    assert [number for number, canary in enumerate(canaries) if canary in answer.content] == []
    recorded = await everything_recorded(world)
    assert [number for number, canary in enumerate(canaries) if canary in recorded] == []
    assert holding(world.gateway.folder, canaries) == []


async def test_values_in_arguments_reach_the_target_but_not_the_record(world: World) -> None:
    values = secret_values()
    async with scripted_target(answers(tool_text("done")), port=world.scripted_port) as target:
        arguments = {"note": telling(values)}
        answer = await post(world.scripted, world.token("alice", "scripted"), call("query", arguments))
        assert answer.status_code == 200
        sent = target.received[0].message()
    assert sent["params"]["arguments"] == arguments  # type: ignore[index]  # a JSON object, as posted
    canaries = [value.encode() for value in values]
    recorded = await everything_recorded(world)
    assert [number for number, canary in enumerate(canaries) if canary in recorded] == []
    assert holding(world.gateway.folder, canaries) == []


async def test_values_in_errors_of_a_target_are_masked(world: World) -> None:
    values = secret_values()
    content = {"content": [{"type": "text", "text": telling(values)}], "isError": True, "resultType": "complete"}
    for status in (200, 400, 500):
        async with scripted_target(answers(content, status), port=world.scripted_port):
            answer = await post(world.scripted, world.token("alice", "scripted"), call("query"))
        assert [number for number, value in enumerate(values) if value.encode() in answer.content] == []


async def test_tokens_and_credentials_are_kept_nowhere(world: World) -> None:
    token = world.token("alice", "scripted")
    forged = world.issuer.forged("alice", world.scripted, "altered claims")
    auditor = world.auditor_token()
    async with scripted_target(speaks_mcp(answers(tool_text("done"))), port=world.scripted_port):
        async with mcp_client(world.scripted, token) as client:
            await client.call_tool("query", {})
        await post(world.scripted, forged, call("query"))
        # A target that repeats what it was sent, its own credential above all.
    async with scripted_target(answers(tool_text(world.scripted_credential)), port=world.scripted_port):
        await post(world.scripted, token, call("query"))
    async with session_service(world.gateway.url, auditor) as sessions:
        await sessions.list_sessions()
    held = [world.credential.encode(), token.encode(), forged.encode(), auditor.encode()]
    held += [token.rpartition(".")[2].encode(), auditor.rpartition(".")[2].encode()]
    recorded = await everything_recorded(world)
    assert [number for number, canary in enumerate(held) if canary in recorded] == []
    assert holding(world.gateway.state, held) == []
    assert [number for number, canary in enumerate(held) if canary in world.gateway.output().encode()] == []
