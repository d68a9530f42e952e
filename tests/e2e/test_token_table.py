"""Tokens as they come, good and bad, raw through Envoy: whom each makes, or what each is told, and what is on record.

The issuers' keys are in a file, so that they can have their real names; one issuer is asked for its keys.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import httpx
import pytest

from countersign.api.recorder.v1 import event_pb2, session_pb2
from tests.e2e.test_nothing_raw import holding
from tests.support.auditors import session_service
from tests.support.clients import MODERN, call
from tests.support.gateway import Setup, Upstream, free_port
from tests.support.in_turn import InTurn
from tests.support.issuer import running_issuer
from tests.support.targets import answers, scripted_target, tool_text
from tests.support.token_rows import BAD, DENIED, GOOD, MINTED, MORE_ON_RECORD, Who
from tests.support.tokens import ISSUERS, MACHINES

RULES = (
    {"name": "all", "allow": {"groups": ["*"], "targets": ["plain"], "tools": ["query"]}},
    {"name": "not by nine", "deny": {"actors": ["bot-9*"]}},
    {"name": "not for mallory by anybody", "deny": {"actors": ["*"], "principals": ["mallory"]}},
)


@dataclass(frozen=True)
class Outcome:
    """What became of one token."""

    token: str
    answer: httpx.Response
    reached: bytes
    event: event_pb2.Event


KEPT_NOWHERE = ("Okta", "GitHub, main", "expired", "another audience", "altered claims")
"""Of these nothing is in any file of the gateway: its database, its logs."""


@pytest.fixture(scope="module")
def outcomes(in_turn: InTurn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Outcome]]:
    port, keys = free_port(), tmp_path_factory.mktemp("keys") / "keys.json"
    keys.write_text(json.dumps(MINTED.jwks()))
    with running_issuer() as issuer:
        oidc = [{"issuer": issuer.url}, *({**each, "keys_file": str(keys)} for each in ISSUERS)]
        identity = {"identity": {"oidc": oidc, "machines": MACHINES}}
        target = Upstream(f"http://127.0.0.1:{port}/mcp", extra={"new_tools": "allow"})
        setup = Setup(issuer.url, {"plain": target, "other": target}, RULES, {}, identity)
        gateway = in_turn.take(setup)
        auditor = issuer.token("carol", gateway.url)
        tried = asyncio.run(_tried(gateway.url, auditor, port))
        canaries = [part.encode() for name in KEPT_NOWHERE for part in tried[name].token.split(".")[1:]]
        assert holding(gateway.folder, canaries) == []
        yield tried


async def _tried(url: str, auditor: str, port: int) -> dict[str, Outcome]:
    rows = {**GOOD, **BAD, **DENIED}
    tokens = {name: row[0](f"{url}/plain/mcp") for name, row in rows.items()}
    got: dict[str, tuple[httpx.Response, bytes]] = {}
    async with scripted_target(answers(tool_text("reached")), port=port) as target:
        for number, (name, token) in enumerate(tokens.items(), 1):
            before = len(target.raw)
            got[name] = (await _sent(f"{url}/plain/mcp", token, _address(number)), bytes(target.raw)[before:])
    async with session_service(url, auditor) as sessions:
        asked = session_pb2.ListSessionsRequest(page_size=500, filter=session_pb2.SessionFilter(target="plain"))
        listed = await sessions.stub.ListSessions(asked, metadata=(("authorization", f"Bearer {auditor}"),), timeout=15)
        events = [each.event for one in listed.sessions for each in await sessions.replay(one.session_id)]
    judged = (event_pb2.EVENT_KIND_REQUEST, event_pb2.EVENT_KIND_REFUSED)
    by_address = {event.source_address: event for event in events if event.kind in judged}
    return {
        name: Outcome(token, *got[name], by_address[_address(number)])
        for number, (name, token) in enumerate(tokens.items(), 1)
    }


async def _sent(url: str, token: str, address: str) -> httpx.Response:
    """The answer to a call from this address: attempts from one address are counted before they are recorded."""
    rpc = call("query")
    headers = {**rpc.headers(MODERN), "authorization": f"Bearer {token}"}
    # To read certificates for each would take longer than all else.
    transport = httpx.AsyncHTTPTransport(local_address=address, verify=False)
    async with httpx.AsyncClient(transport=transport, timeout=20) as http:
        return await http.post(url, content=rpc.body(MODERN), headers=headers)


def _address(number: int) -> str:
    return f"127.4.0.{number}"


def _is_kept(outcome: Outcome) -> bool:
    """Whether anything of the token that says something is in the answer or on record."""
    places = [outcome.event.SerializeToString(), outcome.answer.content, repr(outcome.answer.headers.raw).encode()]
    parts = [part.encode() for part in outcome.token.split(".") if len(part) > 8]
    return any(part in place for part in parts for place in places)


@pytest.mark.parametrize("name", GOOD)
async def test_a_good_token_makes_whom_it_names(outcomes: Mapping[str, Outcome], name: str) -> None:
    outcome, who = outcomes[name], GOOD[name][1]
    assert outcome.answer.status_code == 200, outcome.answer.text
    assert outcome.reached
    assert outcome.token.encode() not in outcome.reached
    principal = outcome.event.principal
    made = Who(
        *(principal.subject, principal.kind, tuple(principal.groups), principal.token_subject, tuple(principal.actors))
    )
    assert made == who
    assert not _is_kept(outcome)


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_token_is_refused_told_and_recorded(outcomes: Mapping[str, Outcome], name: str) -> None:
    outcome, told = outcomes[name], BAD[name][1]
    assert outcome.answer.status_code == 401, outcome.answer.text
    assert outcome.reached == b""
    message = outcome.answer.json()["error"]["message"]
    assert re.fullmatch(told, message), message
    challenge = outcome.answer.headers["www-authenticate"]
    assert re.fullmatch(
        r'Bearer resource_metadata="[^"]+", error="invalid_token", error_description="[^"\\]+"', challenge
    )
    assert challenge.endswith(f'error_description="{message}"')
    assert outcome.event.kind == event_pb2.EVENT_KIND_REFUSED
    recorded = re.sub(r"the token's audience is .*(?=; this resource)", "the token is for another audience", message)
    reason = outcome.event.decision.reason or outcome.event.reason
    assert (outcome.event.status, reason.removeprefix(recorded)) == (401, MORE_ON_RECORD.get(name, ""))
    assert not outcome.event.principal.subject
    assert not _is_kept(outcome)


@pytest.mark.parametrize("name", DENIED)
async def test_a_rule_may_be_about_who_acts_and_for_whom(outcomes: Mapping[str, Outcome], name: str) -> None:
    outcome, rule = outcomes[name], DENIED[name][1]
    assert (outcome.answer.status_code, outcome.reached) == (200, b"")
    assert outcome.answer.json()["result"]["isError"]
    assert list(outcome.event.decision.rules) == [rule]
    assert outcome.event.principal.kind == "agent"
    assert outcome.event.principal.actors
    assert not _is_kept(outcome)


def test_there_are_enough_of_both() -> None:
    rows: Sequence[int] = (len(GOOD), len(BAD))
    assert sum(rows) >= 60
    assert sum(rows) < 250
