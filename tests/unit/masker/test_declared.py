"""Answers in structure keep what their tools declared, whatever is masked in them."""

from __future__ import annotations

import json

import pytest

from countersign.jsontext import JsonValue, parse
from countersign.masker.declared import Declared
from countersign.masking import Masked
from countersign.model.event import Finding
from countersign.model.handoff import HandedCall, Handoff
from countersign.model.principal import Principal, PrincipalKind
from tests.support.pins import FakePins

MAIL = "canary@" + "example.org"
ALICE = Principal("https://idp.test", "alice", ("analysts",), PrincipalKind.PERSON, "t1")
SCHEMA = parse(b'{"properties": {"mail": {"type": "string", "format": "email"}}}').root


class Pins(FakePins):
    """Pins of which one tool declares something."""

    asked = 0

    async def output_schema(self, target: str, name: str) -> JsonValue:
        self.asked += 1
        return SCHEMA if name == "lookup" else None


def handoff(*calls: HandedCall, masks: tuple[str, ...] = ("pii",)) -> Handoff:
    return Handoff("s", "c", 0, "orders", "legacy", ALICE, calls, masks, "v")


def message(mail: str, id_json: str = "1") -> str:
    content = {"result": {"structuredContent": {"mail": mail}}}
    return json.dumps({"jsonrpc": "2.0", "id": json.loads(id_json), **content})


def masked(text: str) -> Masked:
    return Masked(text.replace(MAIL, "[EMAIL]").encode(), (Finding("EMAIL", "$", 1),))


@pytest.mark.parametrize("id_json", ["1", '"a\\u00e9"'])
async def test_an_answer_keeps_the_schema_of_the_tool_that_was_called(id_json: str) -> None:
    shown = json.dumps(json.loads(id_json), ensure_ascii=False)
    declared = await Declared.of(handoff(HandedCall(shown, "tools/call", "lookup")), Pins(), max_depth=64)
    text = message(MAIL, id_json)
    found = declared.fit(parse(text.encode()), masked(text))
    assert found.data.decode() == text.replace(MAIL, "redacted@masked.invalid")
    assert found.findings


async def test_each_answer_of_a_batch_keeps_its_own() -> None:
    calls = (HandedCall("1", "tools/call", "other"), HandedCall("2", "tools/call", "lookup"))
    declared = await Declared.of(handoff(*calls), Pins(), max_depth=64)
    text = f"[{message(MAIL, '1')},{message(MAIL, '2')},{message(MAIL, '3')}]"
    found = json.loads(declared.fit(parse(text.encode()), masked(text)).data)
    mails = [one["result"]["structuredContent"]["mail"] for one in found]
    assert mails == ["[EMAIL]", "redacted@masked.invalid", "[EMAIL]"]


async def test_what_is_no_call_or_not_masked_asks_nobody() -> None:
    pins = Pins()
    await Declared.of(handoff(HandedCall("1", "resources/read", "lookup")), pins, max_depth=64)
    await Declared.of(handoff(HandedCall("", "tools/call", "lookup")), pins, max_depth=64)
    await Declared.of(handoff(HandedCall("1", "tools/call", "lookup"), masks=()), pins, max_depth=64)
    assert pins.asked == 0
