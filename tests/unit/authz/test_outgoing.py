"""What a target must not get is refused or masked on its way, and no header carries it past the masks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from countersign.authz.envoy import Answer, Forward, Inquiry
from countersign.config import SecretUse
from countersign.model.decision import Outcome
from countersign.runtime.moments import new_id
from countersign.runtime.rulebook import Rulebook
from countersign.runtime.sealing import SealedSession
from countersign.runtime.token_keys import TokenOwner
from tests.unit.authz.bench import ALICE, CREDENTIAL, SEALER, Bench, call, inquiry

MAIL = "canary@" + "example.org"
CARD = "4111" + "1111" * 3
GATEWAY = """
version: 1
gateway: {url: "https://gateway.test"}
identity: {oidc: [{issuer: "https://idp.test"}]}
targets:
  orders:
    mcp: "http://127.0.0.1:9000/mcp"
    credential: {bearer: {env: ORDERS_TOKEN}}
    mask_request: {mask: [mails], refuse: [cards]}
rules:
  - {name: read, allow: {groups: [analysts], targets: [orders], tools: [query], resources: ["*"], prompts: ["*"]}}
  - {name: pay, allow: {groups: [analysts], targets: [orders], tools: [refund]}, unmask_for: [refund]}
masks:
  mails: {detect: [email], fields: [name]}
  cards: {detect: [credit_card]}
  tokens: {detect: [us_ssn], replace: tokenize}
"""


@pytest.fixture(scope="module")
def rulebook(tmp_path_factory: pytest.TempPathFactory, rules_cache: Path) -> Rulebook:
    path: Path = tmp_path_factory.mktemp("outgoing") / "gateway.yaml"
    path.write_text(GATEWAY)
    return Rulebook(path, {"ORDERS_TOKEN": CREDENTIAL}, rules_cache, reads={SecretUse.TARGETS})


@pytest.fixture
def bench(rulebook: Rulebook) -> Bench:
    return Bench(rulebook)


def asked(body: object, *, changes: bool = True) -> Inquiry:
    return replace(inquiry(body), changes_requests=changes)


def holding(value: str) -> dict[str, object]:
    return call(arguments={"note": f"about {value}"})


def named(method: str, **params: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


@pytest.mark.parametrize(
    "body",
    [
        holding(CARD),
        named("resources/read", uri=f"orders://{CARD}"),
        named("prompts/get", name="p", arguments={"card": CARD}),
        [holding("nothing"), {**holding(CARD), "id": 2}],
    ],
)
async def test_what_a_target_refuses_is_not_sent_and_the_mask_is_named(bench: Bench, body: object) -> None:
    answer = await bench.ask(asked(body))
    assert isinstance(answer, Answer)
    assert answer.reply.status == 200
    assert b"`cards` found CREDIT_CARD" in answer.reply.body
    assert answer.summary.decision == Outcome.DENY
    for event in bench.sink.durable:
        assert event.decision is not None
        assert (event.decision.outcome, event.decision.rules) == (Outcome.DENY, ())
        assert event.decision.reason == "the mask `cards` found CREDIT_CARD in the call"
        assert not event.request_masked
    assert bench.sink.durable
    assert CARD.encode() not in answer.reply.body + b"".join(event.body for event in bench.sink.durable)


async def test_what_is_masked_on_its_way_is_handed_to_the_masker_and_recorded_masked(bench: Bench) -> None:
    forward = await bench.ask(asked(holding(MAIL)))
    assert isinstance(forward, Forward)
    assert forward.handoff is not None
    assert forward.handoff.mask_request
    (event,) = bench.sink.durable
    assert b"about [EMAIL]" in event.body
    assert (event.request_masked, event.values_put_back) == (True, False)


async def test_a_clean_call_is_not_changed(bench: Bench) -> None:
    # The tool's own name stands under a key that the mask's fields name.
    forward = await bench.ask(asked(holding("nothing"), changes=False))
    assert isinstance(forward, Forward)
    assert forward.handoff is not None
    assert not forward.handoff.mask_request
    assert not bench.sink.durable[0].request_masked


@pytest.mark.parametrize("body", [named("resources/read", uri=f"orders://{MAIL}"), call(arguments={}) | {"id": MAIL}])
async def test_a_finding_that_cannot_be_masked_is_not_sent(bench: Bench, body: object) -> None:
    answer = await bench.ask(asked(body))
    assert isinstance(answer, Answer)
    assert b"`mails` found EMAIL" in answer.reply.body
    (event,) = bench.sink.durable
    assert event.decision is not None
    assert event.decision.outcome is Outcome.DENY


@pytest.mark.parametrize("body", [holding(MAIL), call("refund", {"note": "x"})])
async def test_nothing_is_sent_while_envoy_would_not_ask_the_masker(bench: Bench, body: object) -> None:
    answer = await bench.ask(asked(body, changes=False))
    assert isinstance(answer, Answer)
    assert answer.reply.status == 503
    assert bench.sink.durable == []


async def test_arguments_of_ambiguous_json_are_not_sent(bench: Bench) -> None:
    answer = await bench.ask(asked(call(arguments={"a": '{"x":1,"x":2}'})))
    assert isinstance(answer, Answer)
    assert json.loads(answer.reply.body)["error"]["code"] == -32602


async def test_a_rule_that_unmasks_says_so_for_its_tools_only(bench: Bench) -> None:
    owner = TokenOwner(new_id(), ALICE.issuer, ALICE.subject, "orders")
    token = str(bench.vault.mint(owner).text("219-09-" + "9999"))
    await bench.vault.keep(owner, {token: "219-09-" + "9999"})
    sealed = SEALER.seal_session(ALICE, "orders", SealedSession("theirs", owner.session_id))
    for tool, note, unmasks in (("refund", token, True), ("refund", "x", False), ("query", token, False)):
        held = replace(inquiry(call(tool, {"note": note}), mcp_session_id=sealed), changes_requests=True)
        forward = await bench.ask(held)
        assert isinstance(forward, Forward)
        assert forward.handoff is not None
        assert forward.handoff.unmask is unmasks
        assert bench.sink.durable[-1].values_put_back is unmasks
