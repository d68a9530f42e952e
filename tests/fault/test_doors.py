"""The gateway answers by its own names alone, and calls of web pages only from where gateway.yaml says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.fault.rig import TARGET, Rig, running_rig
from tests.fault.strict_rows import CALL, good
from tests.support.clients import MODERN
from tests.support.in_turn import InTurn
from tests.support.raw_http import RawAnswer, exchanged, head
from tests.support.targets import answers, tool_text

HOST, PAGE = "gateway.internal:8080", "https://inspector.test"
METADATA = "/.well-known/oauth-protected-resource"
SERVED = (
    ("POST", f"/{TARGET}/mcp"),
    ("GET", f"/{TARGET}/mcp"),
    ("GET", f"{METADATA}/{TARGET}/mcp"),
    ("POST", "/countersign.api.recorder.v1.SessionService/ListSessions"),
    ("POST", "/countersign.api.access.v1.RevocationService/Revoke"),
    ("GET", "/nowhere"),
)


@pytest.fixture(scope="module")
def rig(in_turn: InTurn) -> Iterator[Rig]:
    door = {"gateway": {"url": in_turn.gateway.url, "hosts": [HOST], "origins": [PAGE]}}
    with running_rig(started=in_turn.take, extra=door) as running:
        yield running


async def asked(rig: Rig, verb: str, path: str, token: str = "", **headers: str) -> RawAnswer:
    named = {"host": f"127.0.0.1:{rig.gateway.port}", **({"authorization": f"Bearer {token}"} if token else {})}
    body = CALL if verb == "POST" else b""
    named |= {**good().headers(MODERN), "content-length": str(len(body))} if body else {}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    sent = head(verb, path, list(named.items())) + body
    return await asyncio.to_thread(exchanged, rig.gateway.port, sent, verb=verb)


def allowed(answer: RawAnswer) -> dict[str, str]:
    """What browsers are told."""
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


@pytest.mark.parametrize(("verb", "path"), SERVED)
async def test_under_another_name_nothing_is_served(rig: Rig, verb: str, path: str) -> None:
    token = rig.token()
    async with rig.target(answers(tool_text("reached"))) as target:
        answer = await asked(rig, verb, path, token, host="rebound.test")
        assert (answer.status, *answer.error()) == (421, 4210, None)
        assert bytes(target.raw) == b""


async def test_a_name_that_is_listed_is_served_and_so_are_all_of_this_machine(rig: Rig) -> None:
    token = rig.token()
    async with rig.target(answers(tool_text("reached"))) as target:
        names = [HOST, HOST.upper(), *(f"{name}:{rig.gateway.port}" for name in ("localhost", "127.0.0.1", "[::1]"))]
        for name in names:
            assert (await asked(rig, "POST", f"/{TARGET}/mcp", token, host=name)).status == 200, name
        # What callers call us is nothing that a target should hear.
        assert {received.header("host") for received in target.received} == {f"127.0.0.1:{rig.port}"}


async def test_a_probe_that_cannot_choose_its_host_gets_what_is_public_anyway(rig: Rig) -> None:
    answer = await asked(rig, "GET", METADATA, host="10.1.2.3:8080")
    assert answer.status == 200
    assert rig.gateway.url.encode() in answer.body
    assert (await asked(rig, "GET", METADATA, host="10.1.2.3:8080", origin="http://rebound.test")).status == 403


@pytest.mark.parametrize(("verb", "path"), [*SERVED, ("OPTIONS", f"/{TARGET}/mcp")])
async def test_another_page_gets_nothing_and_is_told_nothing(rig: Rig, verb: str, path: str) -> None:
    token = rig.token()
    async with rig.target(answers(tool_text("reached"))) as target:
        answer = await asked(
            rig, verb, path, token, origin="https://inspector.test.evil.test", access_control_request_method="POST"
        )
        assert (answer.status, *answer.error()) == (403, 4033, None)
        assert allowed(answer) == {}
        assert bytes(target.raw) == b""


@pytest.mark.parametrize("path", [f"/{TARGET}/mcp", METADATA, f"{METADATA}/{TARGET}/mcp"])
async def test_a_browser_may_ask_without_a_token_what_a_listed_page_may(rig: Rig, path: str) -> None:
    async with rig.target(answers(tool_text("reached"))) as target:
        wanted = "authorization,content-type,mcp-protocol-version,mcp-method,mcp-name,mcp-param-limit"
        answer = await asked(
            rig,
            "OPTIONS",
            path,
            origin=PAGE,
            access_control_request_method="POST",
            access_control_request_headers=wanted,
        )
        assert answer.status == 200
        told = allowed(answer)
        assert told["access-control-allow-origin"] == PAGE
        assert {"GET", "POST", "DELETE"} <= set(told["access-control-allow-methods"].split(", "))
        headers = set(told["access-control-allow-headers"].split(", "))
        assert {"authorization", "mcp-session-id", "last-event-id", "*"} <= headers, "no wildcard has authorization"
        assert "access-control-allow-credentials" not in told
        assert bytes(target.raw) == b""


async def test_a_listed_page_reads_its_answers_and_no_other_is_named(rig: Rig) -> None:
    token = rig.token()
    # What a target says of pages is of pages that call it, and not us.
    boasting = answers(tool_text("reached"), access_control_allow_origin="*", access_control_allow_credentials="true")
    async with rig.target(boasting):
        answer = await asked(rig, "POST", f"/{TARGET}/mcp", token, origin=PAGE)
        assert answer.status == 200
        told = allowed(answer)
        assert told.pop("access-control-allow-origin") == PAGE
        assert {"mcp-session-id", "www-authenticate"} <= set(told.pop("access-control-expose-headers").split(", "))
        assert told == {}
        assert answer.headers["cache-control"] == "no-store"
        unknown = await asked(rig, "POST", f"/{TARGET}/mcp", origin=PAGE)
        assert unknown.status == 401
        assert allowed(unknown)["access-control-allow-origin"] == PAGE
        assert unknown.headers["www-authenticate"]
        own = await asked(rig, "POST", f"/{TARGET}/mcp", token, origin=rig.gateway.url)
        assert (own.status, allowed(own)) == (200, {})
        found = await asked(rig, "GET", METADATA, origin=PAGE)
        assert (found.status, allowed(found)["access-control-allow-origin"]) == (200, PAGE)
        assert found.headers["vary"] == "origin"
        assert "access-control-allow-origin" not in (await asked(rig, "GET", METADATA)).headers
        nobodys = await asked(rig, "POST", f"/{TARGET}/mcp", token)
        assert (nobodys.status, allowed(nobodys)) == (200, {})
