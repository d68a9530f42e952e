"""No token reaches a caller before it can be turned back, and no value does in its place."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb

from countersign.masker.budget import Budget
from countersign.masker.exchange import Exchange, Reset
from countersign.masker.tokens import HandedBack
from countersign.masker.withheld import Withheld
from countersign.model.handoff import HandedCall, Handoff
from countersign.model.principal import Principal, PrincipalKind
from countersign.runtime.aside import Aside
from countersign.runtime.moments import new_id
from countersign.runtime.rulebook import Rulebook
from countersign.runtime.sealing import Sealer
from countersign.runtime.token_keys import TokenOwner
from countersign.runtime.tokens import Unkept
from tests.support.memory_tokens import MemoryTokenStore
from tests.support.pins import FakePins
from tests.support.revoking import nobody_is
from tests.support.sinks import Sink
from tests.support.vaults import MemoryVault

MAIL, OTHER, SSN = "canary@" + "example.org", "second@" + "example.org", "219-09-" + "9999"
ALICE = Principal("https://idp.test", "alice", ("analysts",), PrincipalKind.PERSON, "t1")
GATEWAY = """
version: 1
gateway: {url: "https://gateway.test"}
identity: {oidc: [{issuer: "https://idp.test"}]}
targets: {orders: {mcp: "http://127.0.0.1:9000/mcp"}}
rules:
  - {name: read, allow: {groups: [analysts], targets: [orders], tools: [query]}, mask: [tokens]}
masks:
  tokens: {detect: [email], fields: [ssn], replace: tokenize}
  all: {detect: [email, us_ssn], fields: [ssn]}
"""


@pytest.fixture(scope="module")
def rulebook(tmp_path_factory: pytest.TempPathFactory, rules_cache: Path) -> Rulebook:
    path = tmp_path_factory.mktemp("tokens") / "gateway.yaml"
    path.write_text(GATEWAY)
    return Rulebook(path, {}, rules_cache, reads=())


class Bench:
    """An exchange between Envoy, which the test plays, and a vault that it controls."""

    def __init__(self, rulebook: Rulebook, vault: MemoryVault | None, session: str = "") -> None:
        self.sink = Sink()
        self.vault = vault
        version = rulebook.current.config.version
        calls = (HandedCall("1", "tools/call", "query"),)
        self.handoff = Handoff(session or new_id(), new_id(), 0, "orders", "legacy", ALICE, calls, ("tokens",), version)
        self.owner = TokenOwner.of(self.handoff)
        aside = Aside(from_bytes=100_000, at_once=1)
        sealer, budget = Sealer(bytes(32)), Budget(1_000_000)
        self.exchange = Exchange(
            rulebook,
            self.sink,
            sealer,
            FakePins(),
            aside,
            budget,
            lambda: 1_790_000_000_000_000,
            new_id,
            nobody_is,
            vault,
        )

    async def answer(self, content: object, content_type: str = "application/json") -> list[pb.ProcessingResponse]:
        head = pb.ProcessingRequest()
        for name, value in ((":status", "200"), ("content-type", content_type)):
            head.response_headers.headers.headers.add(key=name, raw_value=value.encode())
        head.attributes["envoy.filters.http.ext_proc"].fields["response.code_details"].string_value = "via_upstream"
        metadata = head.metadata_context.filter_metadata["envoy.filters.http.ext_authz"]
        metadata.fields["handoff"].string_value = self.handoff.to_json()
        body = pb.ProcessingRequest()
        text = json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"structuredContent": content}})
        body.response_body.body = f"data: {text}\n\n".encode() if "event" in content_type else text.encode()
        body.response_body.end_of_stream = True
        await self.exchange.step(head)
        return list(await self.exchange.step(body))

    async def shown(self, content: object, content_type: str = "application/json") -> dict[str, str]:
        """What the caller sees of content, which the record holds just so."""
        data = released(await self.answer(content, content_type)).removeprefix(b"data: ")
        recorded = next(event.body for event in self.sink.durable if event.body)
        assert json.loads(recorded) == json.loads(data)
        found: dict[str, str] = json.loads(data)["result"]["structuredContent"]
        return found


def released(replies: list[pb.ProcessingResponse]) -> bytes:
    return b"".join(reply.response_body.response.body_mutation.streamed_response.body for reply in replies)


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream"])
async def test_the_caller_and_the_record_hold_the_same_tokens_and_no_value(
    rulebook: Rulebook, content_type: str
) -> None:
    vault = MemoryVault()
    bench = Bench(rulebook, vault)
    shown = await bench.shown({"a": f"<{MAIL}>", "b": MAIL, "ssn": SSN}, content_type)
    assert shown["a"] == f"<{shown['b']}>"
    assert MAIL not in str(shown)
    assert SSN not in str(shown)
    assert not any(value.encode() in event.body for event in bench.sink.handed_in for value in (MAIL, SSN))
    body = json.dumps({"params": {"arguments": shown}}).encode()
    back = await HandedBack(vault, rulebook).put_back(bench.handoff, body)
    assert json.loads(back)["params"]["arguments"] == {"a": f"<{MAIL}>", "b": MAIL, "ssn": SSN}


async def test_a_later_answer_of_the_session_shows_the_same_tokens_and_another_session_others(
    rulebook: Rulebook,
) -> None:
    vault = MemoryVault()
    first = Bench(rulebook, vault)
    shown = await first.shown({"a": MAIL})
    assert await Bench(rulebook, vault, first.owner.session_id).shown({"a": MAIL}) == shown
    assert await Bench(rulebook, vault).shown({"a": MAIL}) != shown


async def test_nothing_is_released_or_recorded_before_its_tokens_are_kept(rulebook: Rulebook) -> None:
    class SlowVault(MemoryVault):
        asked, open = asyncio.Event(), asyncio.Event()

        async def keep(self, owner: TokenOwner, made: Mapping[str, str]) -> Unkept:
            self.asked.set()
            await self.open.wait()
            return await super().keep(owner, made)

    vault = SlowVault()
    bench = Bench(rulebook, vault)
    answering = asyncio.ensure_future(bench.answer({"a": MAIL}))
    await vault.asked.wait()
    done, _ = await asyncio.wait({answering}, timeout=0.05)
    assert not done
    assert not bench.sink.handed_in
    vault.open.set()
    assert released(await answering)


async def test_an_answer_whose_tokens_cannot_be_kept_is_withheld(rulebook: Rulebook) -> None:
    vault = MemoryVault()
    vault.store.away = True
    bench = Bench(rulebook, vault)
    (reply,) = await bench.answer({"a": MAIL})
    assert reply.immediate_response.status.code == 502
    assert MAIL.encode() not in reply.SerializeToString()
    assert [event.reason for event in bench.sink.durable] == ["away"]
    with pytest.raises(Reset):
        await Bench(rulebook, vault).answer({"a": MAIL}, "text/event-stream")


async def test_an_answer_without_findings_asks_nobody(rulebook: Rulebook) -> None:
    vault = MemoryVault()
    vault.store.away = True
    assert await Bench(rulebook, vault).shown({"a": "plain"}) == {"a": "plain"}
    assert vault.keeps == 0


async def test_in_a_session_that_is_full_values_are_redacted_and_old_tokens_still_turn(rulebook: Rulebook) -> None:
    vault = MemoryVault(MemoryTokenStore(most_in_session=1))
    first = Bench(rulebook, vault)
    old = (await first.shown({"a": MAIL}))["a"]
    assert await Bench(rulebook, vault, first.owner.session_id).shown({"a": OTHER}) == {"a": "[EMAIL]"}
    body = json.dumps({"params": {"arguments": [old]}}).encode()
    assert MAIL.encode() in await HandedBack(vault, rulebook).put_back(first.handoff, body)


async def test_a_token_that_a_target_sends_back_stays_that_token(rulebook: Rulebook) -> None:
    vault = MemoryVault()
    first = Bench(rulebook, vault)
    token = (await first.shown({"a": MAIL}))["a"]
    again = await Bench(rulebook, vault, first.owner.session_id).shown({"a": f"sent to {token}", "b": OTHER})
    assert again["a"] == f"sent to {token}"
    stranger = await Bench(rulebook, vault).shown({"a": token})
    assert stranger["a"] not in (token, MAIL)


async def test_values_that_meet_in_one_token_both_come_back(rulebook: Rulebook) -> None:
    class Meeting(MemoryVault):
        """Lets the first token of the second answer be one that the session has already."""

        def __init__(self) -> None:
            super().__init__()
            self.met: list[str] = []

        async def keep(self, owner: TokenOwner, made: Mapping[str, str]) -> Unkept:
            if OTHER in made.values() and not self.met:
                self.met = [token for token, value in made.items() if value == OTHER]
                return Unkept(frozenset(self.met))
            return await super().keep(owner, made)

    vault = Meeting()
    first = Bench(rulebook, vault)
    shown = await first.shown({"a": MAIL, "b": OTHER})
    assert shown["b"] not in vault.met
    body = json.dumps({"params": {"arguments": shown}}).encode()
    back = await HandedBack(vault, rulebook).put_back(first.handoff, body)
    assert json.loads(back)["params"]["arguments"] == {"a": MAIL, "b": OTHER}


async def test_without_a_vault_values_are_redacted(rulebook: Rulebook) -> None:
    assert await Bench(rulebook, None).shown({"a": MAIL, "ssn": SSN}) == {"a": "[EMAIL]", "ssn": "[SSN]"}


async def test_what_cannot_be_put_back_is_withheld(rulebook: Rulebook) -> None:
    vault = MemoryVault()
    bench = Bench(rulebook, vault)
    shown = await bench.shown({"a": MAIL})
    body = json.dumps({"params": {"arguments": shown}}).encode()
    vault.store.away = True
    with pytest.raises(Withheld):
        await HandedBack(vault, rulebook).put_back(bench.handoff, body)
    with pytest.raises(Withheld):
        await HandedBack(MemoryVault(), rulebook).put_back(bench.handoff, body)
