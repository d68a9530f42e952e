"""A state that was sealed for its caller reaches its target as that wrote it, and none that is another's or forged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from countersign.authz.envoy import Answer, Forward, Inquiry
from countersign.mcp import Handle, HandleKind
from countersign.runtime.outgoing import restored
from tests.unit.authz.bench import ALICE, SEALER, Bench
from tests.unit.authz.returns import ALICES, modern, rulebook_of, text_of
from tests.unit.authz.returns import bench as bench

MAIL = "canary@" + "example.org"
# By itself nobody could tell the word for a secret: what hid it may be a field's name, or a statement.
WORD = "quetzalcoatl"
STATE = f"step 2 of {MAIL}, {WORD}"
SEALED = SEALER.seal_state(ALICE, "orders", STATE)
RESPONSES = {"who": {"action": "accept", "content": {"name": "Ada"}}}


def again(state: object = SEALED, **params: object) -> Inquiry:
    """Alice's client goes on with a call of hers."""
    params = {"name": "query", "arguments": {}, "requestState": state, "inputResponses": RESPONSES, **params}
    return replace(modern(params), changes_requests=True)


@pytest.fixture
async def shown(bench: Bench) -> Bench:
    await bench.handles.keep(ALICES, [Handle(HandleKind.STATE, SEALED)], ("pii",))
    return bench


def body_of(result: Forward | Answer, asked: Inquiry) -> dict[str, object]:
    """The ``params`` that the target gets."""
    assert isinstance(result, Forward)
    assert result.handoff is not None
    assert result.handoff.state is not None
    body = restored(asked.http.body, result.handoff.state)
    assert result.handoff.sent_mark == SEALER.mark_request(body)
    params: dict[str, object] = json.loads(body)["params"]
    return params


async def test_its_target_gets_what_it_wrote_and_the_record_does_not(shown: Bench) -> None:
    asked = again()
    result = await shown.ask(asked)
    params = body_of(result, asked)
    assert (params["requestState"], params["inputResponses"]) == (STATE, RESPONSES)
    assert SEALED in repr(shown.sink.durable)
    assert MAIL not in repr(shown.sink.durable)
    assert WORD not in repr(shown.sink.durable)
    assert isinstance(result, Forward)
    assert result.handoff is not None
    assert result.handoff.masks == ("pii",)


async def test_it_is_known_however_it_is_spelt(shown: Bench) -> None:
    asked = again()
    spelt = asked.http.body.replace(b"cs-state1", rb"\u0063s-state1").replace(b"requestState", rb"request\u0053tate")
    asked = replace(asked, http=replace(asked.http, body=spelt))
    assert body_of(await shown.ask(asked), asked)["requestState"] == STATE


FORGED = {
    "another caller's": SEALER.seal_state(replace(ALICE, subject="bob"), "orders", STATE),
    "another target's": SEALER.seal_state(ALICE, "billing", STATE),
    "altered": SEALED[:-1] + ("A" if SEALED[-1] != "A" else "B"),
    "invented": "cs-state1.AAAA",
    "of what it was never shown": SEALER.seal_state(ALICE, "orders", "step 3"),
    "guessed": STATE,
    "sealed twice": SEALER.seal_state(ALICE, "orders", SEALED),
}


@pytest.mark.parametrize("state", FORGED.values(), ids=FORGED.keys())
async def test_no_other_one_passes(shown: Bench, state: str) -> None:
    result = await shown.ask(again(state))
    assert isinstance(result, Answer)
    error = json.loads(result.reply.body)
    assert (result.reply.status, error["error"]["code"], error["id"]) == (400, -32602, 1)
    assert MAIL.encode() not in result.reply.body
    assert shown.sink.durable, "each attempt is recorded"


async def test_a_notification_goes_on_with_nothing(shown: Bench) -> None:
    asked = again()
    without_id = json.dumps({key: value for key, value in json.loads(asked.http.body).items() if key != "id"})
    result = await shown.ask(replace(asked, http=replace(asked.http, body=without_id.encode())))
    assert isinstance(result, Answer)
    assert result.reply.status == 400


async def test_where_requests_do_not_pass_the_masker_it_is_not_sent(shown: Bench) -> None:
    result = await shown.ask(replace(again(), changes_requests=False))
    assert isinstance(result, Answer)
    assert result.reply.status == 503


async def test_no_mask_of_what_is_sent_changes_or_refuses_it(tmp_path: Path, rules_cache: Path) -> None:
    asks = "mask_request: {mask: [pii], refuse: [cards]}, "
    bench = Bench(rulebook_of(tmp_path / "gateway.yaml", rules_cache, text_of(target=asks)))
    await bench.handles.keep(ALICES, [Handle(HandleKind.STATE, SEALED)])
    asked = again(arguments={"who": MAIL})
    result = await bench.ask(asked)
    assert isinstance(result, Forward)
    assert result.handoff is not None
    assert result.handoff.mask_request
    assert json.loads(result.handoff.state or "")["requestState"] == STATE
