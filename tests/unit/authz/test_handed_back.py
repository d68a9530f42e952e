"""Values go to a target for tokens only where what was sent and what is meant are allowed, and the record says when."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from countersign.authz.envoy import Answer, Forward
from countersign.masking.tokens import Mint
from countersign.model.decision import Outcome
from countersign.runtime.moments import new_id
from countersign.runtime.rulebook import Rulebook
from countersign.runtime.sealing import SealedSession
from countersign.runtime.token_keys import TokenOwner
from tests.unit.authz.bench import ALICE, SEALER, Bench, call, inquiry

GATEWAY = """
version: 1
gateway: {url: "https://gateway.test"}
identity: {oidc: [{issuer: "https://idp.test"}]}
targets: {orders: {mcp: "http://127.0.0.1:9000/mcp", statements: {query: {argument: sql, dialect: postgres}}}}
rules:
  - name: read
    allow: {groups: [analysts], targets: [orders], tools: [query, plain]}
    mask: [names]
    unmask_for: [query]
  - {name: never production, deny: {groups: ["*"]}, args: {env: {in: [production]}}}
  - {name: more for a few, allow: {groups: [analysts]}, args: {env: {in: [staging]}}, mask: [more]}
masks: {names: {fields: [name], replace: tokenize}, more: {fields: [ssn]}}
"""


class Handing:
    """A judge of calls in one session, whose caller was shown tokens."""

    def __init__(self, rulebook: Rulebook) -> None:
        self.bench = Bench(rulebook)
        self.session = new_id()
        self.sealed = SEALER.seal_session(ALICE, "orders", SealedSession("theirs", self.session))
        self.owner = TokenOwner(self.session, ALICE.issuer, ALICE.subject, "orders")

    async def shown(self, value: str) -> str:
        token = self.bench.vault.mint(self.owner).text(value)
        assert token is not None
        await self.bench.vault.keep(self.owner, {token: value})
        return token

    async def ask(self, *bodies: dict[str, object], batch: bool = False) -> Forward | Answer:
        body: object = list(bodies) if batch else bodies[0]
        return await self.bench.ask(replace(inquiry(body, mcp_session_id=self.sealed), changes_requests=True))


@pytest.fixture(scope="module")
def rulebook(tmp_path_factory: pytest.TempPathFactory, rules_cache: Path) -> Rulebook:
    path = tmp_path_factory.mktemp("handing") / "gateway.yaml"
    path.write_text(GATEWAY)
    return Rulebook(path, {}, rules_cache, reads=())


@pytest.fixture
def handing(rulebook: Rulebook) -> Handing:
    return Handing(rulebook)


@pytest.mark.parametrize("batch", [False, True])
async def test_what_a_rule_denies_does_not_pass_as_a_token_of_it(handing: Handing, batch: bool) -> None:
    """Who may write a masked field may have a token of any text."""
    token = await handing.shown("production")
    answer = await handing.ask(call(arguments={"env": token}), batch=batch)
    assert isinstance(answer, Answer)
    assert b"production" not in answer.reply.body.replace(b"never production", b"")
    (event,) = handing.bench.sink.durable
    assert event.decision is not None
    assert (event.decision.outcome, event.decision.rules) == (Outcome.DENY, ("never production",))
    assert not event.values_put_back
    assert json.loads(event.body)["arguments"] == {"env": token}
    plain = await handing.ask(call("plain", {"env": token}))
    assert isinstance(plain, Forward)
    assert plain.handoff is not None
    assert not plain.handoff.unmask


async def test_the_answer_gets_the_masks_of_what_was_really_asked(handing: Handing) -> None:
    answer = await handing.ask(call(arguments={"env": await handing.shown("staging")}))
    assert isinstance(answer, Forward)
    assert answer.handoff is not None
    assert answer.handoff.unmask
    assert [event.values_put_back for event in handing.bench.sink.durable] == [True]
    assert answer.handoff.masks == ("more", "names")


async def test_a_statement_is_followed_as_its_target_reads_it(handing: Handing) -> None:
    token = await handing.shown("name_or_so")
    sealed = await handing.shown("ssn")
    for told, real in ((token, "name_or_so"), (sealed, "ssn")):
        answer = await handing.ask(call(arguments={"sql": f"SELECT {told} AS x FROM users"}))
        assert isinstance(answer, Forward)
        assert answer.handoff is not None
        columns = answer.handoff.calls[0].columns
        assert columns is not None
        assert columns.columns == ((("x", ("ssn",)),) if real == "ssn" else ())


async def test_values_go_along_only_when_there_are_some(handing: Handing) -> None:
    answer = await handing.ask(call(arguments={"env": "testing"}))
    assert isinstance(answer, Forward)
    assert answer.handoff is not None
    assert not answer.handoff.unmask
    assert not handing.bench.sink.durable[-1].values_put_back


async def test_a_request_whose_tokens_cannot_be_looked_up_is_not_sent_and_recorded(handing: Handing) -> None:
    stranger = Mint(bytes(32)).text("canary@" + "example.org")
    handed: list[dict[str, object]] = [{"to": await handing.shown("anybody")}, {"to": stranger}]
    for away, arguments in zip((True, False), handed, strict=True):
        handing.bench.vault.store.away = away
        answer = await handing.ask(call(arguments=arguments))
        assert isinstance(answer, Answer)
        assert answer.reply.status == 503
        event = handing.bench.sink.durable[-1]
        assert event.decision is not None
        assert (event.decision.outcome, event.status) == (Outcome.DENY, 503)
        assert json.loads(event.body)["arguments"] == arguments
