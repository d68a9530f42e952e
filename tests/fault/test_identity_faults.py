"""Nobody is anonymous, also while the issuer is down, rotates its keys, or is asked for keys that nobody has."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import httpx
import pytest

from countersign.demo.issuer import SigningKey
from countersign.identity.keys import FLOOR_S
from tests.fault.rig import TARGET, Caller, Rig, eventually, question, rpc_error, running_rig
from tests.support.clients import MODERN
from tests.support.in_turn import InTurn
from tests.support.issuer import FORGERIES
from tests.support.targets import answers, tool_text


@pytest.fixture(scope="module")
def rig(in_turn: InTurn) -> Iterator[Rig]:
    with running_rig(started=in_turn.take) as running:
        yield running


def bad_tokens(rig: Rig) -> dict[str, str]:
    now = int(time.time())
    issuer, url = rig.issuer, rig.url
    changed: dict[str, dict[str, object]] = {
        "expired": {"exp": now - 60},
        "not yet valid": {"nbf": now + 3600},
        "another audience": {"aud": f"{rig.gateway.url}/other/mcp"},
        "another issuer": {"iss": "http://127.0.0.1:1"},
        "no audience": {"aud": None},
        "no expiry": {"exp": None},
        "no beginning": {"nbf": None, "iat": None},
        "no subject": {"sub": None},
        "an empty subject": {"sub": ""},
        "groups that are no names": {"groups": [{"name": "analysts"}]},
        "an expiry that is no number": {"exp": "never"},
        "an endless expiry": {"exp": 1e400},
        "oversized": {"padding": "x" * 20_000},
    }
    tokens = {what: issuer.token("alice", url, **claims) for what, claims in changed.items()}
    tokens |= {how: issuer.forged("alice", url, how) for how in FORGERIES}
    claims = issuer.issuer.claims("alice", url)
    tokens["another algorithm's key"] = issuer.issuer.sign(claims, key=SigningKey.new("RS256", issuer.issuer.key.kid))
    tokens["demands extensions"] = issuer.issuer.sign(claims, headers={"crit": ["x"], "x": 1})
    tokens["brings its own key"] = issuer.issuer.sign(
        claims, key=(own := SigningKey.new("ES256")), headers={"jwk": own.public_jwk(), "kid": own.kid}
    )
    tokens["five parts"] = f"{tokens['expired']}.a.b"
    tokens["garbage"] = "garbage-" + "x" * 40
    return tokens


async def test_each_bad_token_is_refused_told_and_recorded_without_the_token(rig: Rig) -> None:
    tokens = bad_tokens(rig)
    metadata = f'resource_metadata="{rig.gateway.url}/.well-known/oauth-protected-resource/{TARGET}/mcp"'
    # Of whoever else was here: their sessions are sealed meanwhile.
    others = {row.session for row in rig.record.rows()}
    async with rig.target(answers(tool_text("reached"))) as target:
        for number, (what, token) in enumerate(tokens.items(), 1):
            rig.hold(token)
            before = rig.record.size()
            # Each from an address of its own: the like from one address are counted before they are recorded.
            async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(local_address=f"127.1.0.{number}")) as http:
                answer = await Caller(http, rig.url, token).ask()
            assert (answer.status_code, rpc_error(answer)) == (401, 4010), what
            assert metadata in answer.headers["www-authenticate"], what
            assert 'error="invalid_token"' in answer.headers["www-authenticate"], what
            assert token not in answer.text + str(answer.headers), what
            # Nor what is said of whom else was refused, a minute later, in sums.
            rows = [row for row in rig.record.rows(before) if row.session not in others]
            assert [(row.kind, row.outcome, row.status) for row in rows] == [("refused", "refused", 401)], what
            assert rows[0].reason, what
            assert all(part not in rows[0].text for part in token.split(".") if len(part) > 8), what
        assert bytes(target.raw) == b""


async def test_a_token_anywhere_but_in_its_header_counts_for_nothing(rig: Rig) -> None:
    token = rig.token()
    rpc = question()
    async with rig.target(answers(tool_text("reached"))) as target, httpx.AsyncClient() as http:
        headers = rpc.headers(MODERN)
        for url, more in (
            (f"{rig.url}?access_token={token}", {}),
            (rig.url, {"cookie": f"access_token={token}"}),
            (rig.url, {"x-authorization": f"Bearer {token}"}),
            (rig.url, {"proxy-authorization": f"Bearer {token}"}),
        ):
            answer = await http.post(url, content=rpc.body(MODERN), headers={**headers, **more})
            assert answer.status_code == 401
            assert 'error="' not in answer.headers["www-authenticate"], "no token, no error code (RFC 6750, 3.1)"
        assert bytes(target.raw) == b""


async def test_an_expired_token_is_refused_although_it_was_good_before(rig: Rig) -> None:
    # The verifier allows ten seconds of skew between clocks: this token is at its edge.
    token = rig.hold(rig.issuer.token("alice", rig.url, exp=int(time.time()) - 8))
    async with rig.target(answers(tool_text("fine"))), httpx.AsyncClient() as http:
        caller = Caller(http, rig.url, token)
        assert (await caller.ask()).status_code == 200

        async def refused() -> bool:
            return (await caller.ask()).status_code == 401

        await eventually(refused, 6, "the end of a remembered token")


async def test_unknown_keys_do_not_make_the_gateway_ask_without_end(rig: Rig) -> None:
    claims = rig.issuer.issuer.claims("alice", rig.url)
    stranger = SigningKey.new("ES256")
    async with rig.target(answers(tool_text("reached"))) as target, rig.caller() as caller:
        began, before = time.monotonic(), rig.issuer.issuer.fetches["jwks"]
        forged = [
            Caller(caller.http, rig.url, rig.issuer.issuer.sign(claims, key=stranger, headers={"kid": f"k{number}"}))
            for number in range(100)
        ]
        for start in range(0, 100, 10):
            answered = await asyncio.gather(*(one.ask() for one in forged[start : start + 10]))
            assert {answer.status_code for answer in answered} == {401}
        fetches = rig.issuer.issuer.fetches["jwks"] - before
        assert fetches <= 1 + (time.monotonic() - began) / FLOOR_S
        assert (await caller.ask()).status_code == 200
        assert len(target.received) == 1


async def test_a_new_key_is_found_without_a_restart(rig: Rig) -> None:
    async with rig.target(answers(tool_text("fine"))), rig.caller() as before:
        assert (await before.ask()).status_code == 200
        rig.issuer.issuer.rotate()
        async with rig.caller() as after:

            async def taken() -> bool:
                return (await after.ask()).status_code == 200

            await eventually(taken, FLOOR_S + 5, "the new key")
            assert (await before.ask()).status_code == 200, "the old key is still published"


async def test_an_issuer_that_is_down_does_not_stop_those_whose_keys_are_known(rig: Rig) -> None:
    async with rig.target(answers(tool_text("fine"))), rig.caller() as caller:
        await rig.until_it_serves()
        rig.issuer.server.stop()
        try:
            assert (await caller.ask()).status_code == 200
            async with rig.caller() as another:
                assert (await another.ask()).status_code == 200
            stranger = rig.issuer.forged("alice", rig.url, "a key that nobody published")
            assert (await Caller(caller.http, rig.url, stranger).ask()).status_code == 401
        finally:
            rig.issuer.server.start()


async def test_a_withdrawn_key_is_no_longer_trusted(rig: Rig) -> None:
    async with rig.target(answers(tool_text("fine"))), rig.caller() as old:
        assert (await old.ask()).status_code == 200
        rig.issuer.issuer.rotate(keep_old=False)
        async with rig.caller() as new:

            async def taken() -> bool:
                return (await new.ask()).status_code == 200

            await eventually(taken, FLOOR_S + 5, "the new key")
        assert (await old.ask()).status_code == 401


async def test_nobody_is_let_in_while_the_issuer_was_never_reached(rig: Rig) -> None:
    rig.issuer.server.stop()
    try:
        dead = rig.gateway.kill("authz")
        await rig.until_restarted("authz", dead)
        async with rig.target(answers(tool_text("fine"))) as target, rig.caller() as caller:
            answers_now = await asyncio.gather(*(caller.ask() for _ in range(5)))
            assert {(answer.status_code, rpc_error(answer)) for answer in answers_now} == {(503, 5030)}
            assert bytes(target.raw) == b""
            rig.issuer.server.start()

            async def served() -> bool:
                return (await caller.ask()).status_code == 200

            await eventually(served, FLOOR_S + 5, "the keys")
    finally:
        rig.issuer.server.stop()
        rig.issuer.server.start()
