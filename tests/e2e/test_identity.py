"""Nobody is anonymous: without a good token nothing reaches a target, and the way to a token is told."""

from __future__ import annotations

import time

import httpx
import pytest

from tests.e2e.conftest import World
from tests.support.auditors import session_service
from tests.support.clients import LEGACY, MODERN, call, messages, post
from tests.support.issuer import FORGERIES
from tests.support.targets import answers, scripted_target, tool_text, unauthorized

CHANGED: dict[str, dict[str, object]] = {
    "expired": {"exp": int(time.time()) - 3600},
    "not yet valid": {"nbf": int(time.time()) + 3600},
    "another audience": {"aud": "http://127.0.0.1:1/orders/mcp"},
    "the gateway's own audience": {"aud": "GATEWAY"},
    "another issuer": {"iss": "http://127.0.0.1:1"},
    "no audience": {"aud": None},
    "no expiry": {"exp": None},
    "no subject": {"sub": None},
    "no issuer": {"iss": None},
}


async def refused(world: World, token: str | None, **headers: str) -> httpx.Response:
    """Call the scripted target with that token: it must be refused, and the target must see no byte."""
    async with scripted_target(answers(tool_text("reached")), port=world.scripted_port) as target:
        answer = await post(world.scripted, token, call("query"), headers=headers)
        assert bytes(target.raw) == b""
    assert answer.status_code == 401
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith("Bearer")
    metadata = f"{world.gateway.url}/.well-known/oauth-protected-resource/scripted/mcp"
    assert f'resource_metadata="{metadata}"' in challenge
    if token:
        assert token not in answer.text
        assert token not in str(answer.headers)
    return answer


async def test_a_good_token_is_let_through(world: World) -> None:
    async with scripted_target(answers(tool_text("reached")), port=world.scripted_port) as target:
        token = world.token("alice", "scripted")
        answer = await post(world.scripted, token, call("query"))
        assert answer.status_code == 200
        [received] = target.received
        assert received.header("authorization") == f"Bearer {world.scripted_credential}"
        assert token.encode() not in bytes(target.raw)
        assert token.split(".")[1].encode() not in bytes(target.raw)


@pytest.mark.parametrize("how", FORGERIES)
async def test_a_forged_token_is_refused(world: World, how: str) -> None:
    await refused(world, world.issuer.forged("alice", world.scripted, how))


@pytest.mark.parametrize("what", CHANGED)
async def test_a_token_that_does_not_fit_is_refused(world: World, what: str) -> None:
    changed = {name: world.gateway.url if value == "GATEWAY" else value for name, value in CHANGED[what].items()}
    await refused(world, world.issuer.token("alice", world.scripted, **changed))


async def test_a_token_of_one_target_does_not_open_another(world: World) -> None:
    await refused(world, world.token("alice", "orders"))


@pytest.mark.parametrize("authorization", ["", "Bearer", "Basic YTpi", "Bearer a b", "bearer"])
async def test_what_is_no_bearer_token_is_refused(world: World, authorization: str) -> None:
    await refused(world, None, authorization=authorization)


async def test_no_token_is_refused_in_both_eras(world: World) -> None:
    await refused(world, None)
    answer = await post(world.orders, None, call("query"), era=LEGACY)
    assert answer.status_code == 401


async def test_a_token_in_the_query_counts_for_nothing(world: World) -> None:
    token = world.token("alice")
    answer = await post(f"{world.orders}?access_token={token}", None, call("list_tables"))
    assert answer.status_code in (401, 404)
    assert token not in answer.text


async def test_two_tokens_are_refused(world: World) -> None:
    good = f"Bearer {world.token('alice', 'scripted')}"
    rpc = call("query")
    headers = [*rpc.headers(MODERN).items(), ("authorization", good), ("authorization", "Bearer other")]
    async with scripted_target(answers({}), port=world.scripted_port) as target, httpx.AsyncClient() as http:
        answer = await http.post(world.scripted, content=rpc.body(MODERN), headers=headers)
        assert answer.status_code in (400, 401)
        assert bytes(target.raw) == b""


async def test_a_targets_own_challenge_never_reaches_a_caller(world: World) -> None:
    challenge = 'Bearer realm="inner", resource_metadata="http://127.0.0.1:1/inner"'
    async with scripted_target(unauthorized(challenge), port=world.scripted_port):
        answer = await post(world.scripted, world.token("alice", "scripted"), call("query"))
    assert "inner" not in str(answer.headers)
    assert answer.status_code != 200


@pytest.mark.parametrize("target", ["orders", "scripted"])
async def test_the_metadata_names_the_gateway_as_the_resource(world: World, target: str) -> None:
    async with httpx.AsyncClient() as http:
        url = f"{world.gateway.url}/.well-known/oauth-protected-resource/{target}/mcp"
        answer = await http.get(url)
        root = await http.get(f"{world.gateway.url}/.well-known/oauth-protected-resource")
    assert answer.json()["resource"] == world.gateway.endpoint(target)
    assert answer.json()["authorization_servers"] == [world.issuer.url]
    assert root.json()["resource"] == world.gateway.url


async def test_a_refused_attempt_is_on_the_record_without_its_token(world: World) -> None:
    token = world.issuer.forged("alice", world.orders, "alg none")
    assert (await post(world.orders, token, call("query"))).status_code == 401
    async with session_service(world.gateway.url, world.auditor_token()) as sessions:
        listed = await sessions.list_sessions()
        refused_sessions = [session for session in listed if session.refused_count]
        assert refused_sessions
        events = [event for session in refused_sessions for event in await sessions.replay(session.session_id)]
    assert any(event.event.status == 401 for event in events)
    kept = b"".join(event.SerializeToString() for event in events)
    for part in token.split(".")[:2]:
        assert part.encode() not in kept


async def test_errors_of_the_gateway_are_json_rpc_for_the_request(world: World) -> None:
    answer = await post(world.orders, "nonsense", call("query", id="my-id"))
    [error] = messages(answer)
    assert error["jsonrpc"] == "2.0"
    assert "error" in error
