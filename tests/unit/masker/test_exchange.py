"""No byte of a target is released before its event is durable, whatever fails or is cancelled."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb

from countersign.jsontext import JsonValue
from countersign.masker.budget import Budget
from countersign.masker.ends import HUNG_UP
from countersign.masker.exchange import Exchange, Reset
from countersign.model.event import EventKind
from countersign.model.handoff import HandedCall, Handoff
from countersign.model.principal import Principal, PrincipalKind
from countersign.model.telltale import HEADER, telltales_of, written
from countersign.runtime.aside import Aside
from countersign.runtime.moments import new_id
from countersign.runtime.rulebook import Rulebook
from countersign.runtime.sealing import Sealer
from tests.support.handles import MemoryHandles
from tests.support.pins import FakePins
from tests.support.revoking import nobody_is
from tests.support.sinks import Sink

MAIL = "canary@" + "example.org"
SEALER = Sealer(bytes(range(32)))
ALICE = Principal("https://idp.test", "alice", ("analysts",), PrincipalKind.PERSON, "t1")
GATEWAY = """
version: 1
gateway: {url: "https://gateway.test"}
identity: {oidc: [{issuer: "https://idp.test"}]}
targets: {orders: {mcp: "http://127.0.0.1:9000/mcp", binary: pass}}
rules:
  - {name: read, allow: {groups: [analysts], targets: [orders], tools: [query]}, mask: [pii]}
  - {name: risky, approve: {groups: [analysts], targets: [orders], tools: [wipe]}, by: {groups: [owners]}}
masks: {pii: {detect: [email, credit_card]}, told: {fields: [statusMessage]}}
"""
JSON, EVENTS, TEXT = "application/json", "text/event-stream", "text/plain"


@pytest.fixture(scope="module")
def rulebook(tmp_path_factory: pytest.TempPathFactory, rules_cache: Path) -> Rulebook:
    path = tmp_path_factory.mktemp("exchange") / "gateway.yaml"
    path.write_text(GATEWAY)
    return Rulebook(path, {}, rules_cache, reads=())


class Bench:
    """An exchange between Envoy, which the test plays, and a sink that it controls."""

    def __init__(
        self, rulebook: Rulebook, pins: FakePins | None = None, *, handles: MemoryHandles | None = None
    ) -> None:
        self.rulebook = rulebook
        self.session_id = new_id()
        self.sink = Sink()
        self.version = rulebook.current.config.version
        self.budget = Budget(1_000_000)
        aside = Aside(from_bytes=100_000, at_once=1)
        now_us = 1_790_000_000_000_000
        self.pins = pins or FakePins()
        self.handles = handles or MemoryHandles()
        self.exchange = Exchange(
            *(rulebook, self.sink, SEALER, self.pins, aside, self.budget, lambda: now_us, new_id, nobody_is),
            handles=self.handles,
        )

    async def feed(self, message: pb.ProcessingRequest) -> list[pb.ProcessingResponse]:
        return list(await self.exchange.step(message))

    async def head(
        self,
        content_type: str = JSON,
        status: int = 200,
        *,
        method: str = "tools/call",
        handed: bool = True,
        id_json: str = "1",
        era: str = "legacy",
        shown: bytes = b"",
        said: str = "",
    ) -> list[pb.ProcessingResponse]:
        calls = (HandedCall(id_json, method, "query"),)
        handoff = Handoff(self.session_id, new_id(), 0, "orders", era, ALICE, calls, ("pii",), self.version)
        handoff = replace(handoff, shown=telltales_of([shown], SEALER.mark_shown))
        message = pb.ProcessingRequest()
        for name, value in ((":status", str(status)), ("content-type", content_type), ("x-leak", MAIL), (HEADER, said)):
            if value:
                message.response_headers.headers.headers.add(key=name, raw_value=value.encode())
        message.attributes["envoy.filters.http.ext_proc"].fields["response.code_details"].string_value = "via_upstream"
        if handed:
            metadata = message.metadata_context.filter_metadata["envoy.filters.http.ext_authz"]
            metadata.fields["handoff"].string_value = handoff.to_json()
        return await self.feed(message)

    async def body(self, data: bytes, *, ends: bool = False) -> list[pb.ProcessingResponse]:
        message = pb.ProcessingRequest()
        message.response_body.body = data
        message.response_body.end_of_stream = ends
        return await self.feed(message)


@pytest.fixture
def bench(rulebook: Rulebook) -> Bench:
    return Bench(rulebook)


def released(replies: Sequence[pb.ProcessingResponse]) -> bytes:
    return b"".join(reply.response_body.response.body_mutation.streamed_response.body for reply in replies)


def refused(replies: Sequence[pb.ProcessingResponse]) -> int:
    """The status that the caller gets in place of the answer."""
    (reply,) = replies
    assert MAIL.encode() not in reply.SerializeToString()
    return int(reply.immediate_response.status.code)


def answer(content: object = MAIL) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"said": content}}).encode()


def listing() -> bytes:
    return json.dumps(
        {"jsonrpc": "2.0", "id": 1, "result": {"tools": [{"name": "query"}, {"name": "export"}]}}
    ).encode()


def note(text: str) -> bytes:
    message = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": text}}
    return f"data: {json.dumps(message)}\n\n".encode()


CREDENTIAL = b"shown-" + b"to/the/target"


@pytest.mark.parametrize("attempt", ["first", "second"])
async def test_an_answer_that_holds_what_its_target_was_shown_is_withheld_and_not_recorded(
    bench: Bench, attempt: str
) -> None:
    told = written(telltales_of([CREDENTIAL], SEALER.mark_shown))
    await bench.head(shown=CREDENTIAL) if attempt == "first" else await bench.head(said=told)
    assert refused(await bench.body(answer(f"for {CREDENTIAL.decode()}"), ends=True)) == 502
    assert CREDENTIAL not in repr(bench.sink.durable).encode()


async def test_a_stream_is_cut_before_what_its_target_was_shown(bench: Bench) -> None:
    await bench.head(EVENTS, shown=CREDENTIAL)
    assert b"before" in released(await bench.body(note("before")))
    with pytest.raises(Reset, match="holds the credential"):
        await bench.body(note(f"x{CREDENTIAL.decode()}x").replace(b"to/the/", rb"to\/the\/"))
    assert CREDENTIAL not in repr(bench.sink.durable).encode()


@pytest.mark.parametrize(("content_type", "status"), [(JSON, 200), (JSON, 500), (TEXT, 500), (EVENTS, 200)])
async def test_no_cut_leaves_part_of_what_its_target_was_shown(
    tmp_path: Path, rules_cache: Path, content_type: str, status: int
) -> None:
    cut = GATEWAY.replace("binary: pass", "binary: pass, screening: {text_bytes: 1024}")
    (path := tmp_path / "gateway.yaml").write_text(cut)
    bench = Bench(Rulebook(path, {}, rules_cache, reads=()))
    credential = b"shown " * 200 + CREDENTIAL
    text = ("x" * 300 + credential.decode()) if content_type != TEXT else credential.decode()
    said = {"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": text}]}}
    failed = {"jsonrpc": "2.0", "id": None, "error": {"code": 1, "message": text}}
    data = text.encode() if content_type == TEXT else json.dumps(said if status == 200 else failed).encode()
    await bench.head(content_type, status, shown=credential)
    if content_type == EVENTS:
        with pytest.raises(Reset, match="holds the credential"):
            await bench.body(b"data: " + data + b"\n\n")
    else:
        assert refused(await bench.body(data, ends=True)) == 502
    assert b"shown shown" not in repr(bench.sink.durable).encode()


async def test_a_target_that_says_in_our_words_what_it_was_shown_is_not_believed(bench: Bench) -> None:
    assert refused(await bench.head(said="[[1]]")) == 502


async def test_nothing_of_a_json_answer_is_released_before_its_event_is_durable(bench: Bench) -> None:
    bench.sink.open.clear()
    assert await bench.head() == []
    assert await bench.body(answer()) == []
    ending = asyncio.ensure_future(bench.body(b"", ends=True))
    await bench.sink.asked.wait()
    done, _ = await asyncio.wait({ending}, timeout=0.05)
    assert not done
    bench.sink.open.set()
    replies = await ending
    assert [reply.WhichOneof("response") for reply in replies] == ["response_headers", "response_body"]
    assert released(replies) == answer("[EMAIL]")
    assert [event.kind for event in bench.sink.durable] == [EventKind.RESPONSE]


async def test_a_picture_that_may_pass_is_not_on_the_record(bench: Bench) -> None:
    picture = base64.b64encode(b"\x89PNG" + bytes(range(256))).decode()
    image = {"type": "image", "mimeType": "image/png", "data": picture}
    data = json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"content": [image]}}).encode()
    await bench.head()
    assert released(await bench.body(data, ends=True)) == data
    (event,) = bench.sink.durable
    assert picture.encode() not in event.body
    assert [finding.label for finding in event.findings] == ["BINARY"]


async def test_no_event_of_a_stream_is_released_before_it_is_durable(bench: Bench) -> None:
    await bench.head(EVENTS)
    bench.sink.open.clear()
    taking = asyncio.ensure_future(bench.body(note(MAIL) + note("two") + note("half")[:-1]))
    await bench.sink.asked.wait()
    done, _ = await asyncio.wait({taking}, timeout=0.05)
    assert not done
    bench.sink.open.set()
    assert released(await taking) == note("[EMAIL]") + note("two")
    assert [event.kind for event in bench.sink.durable] == [EventKind.STREAM_EVENT] * 2


async def test_an_answer_that_cannot_be_recorded_is_withheld(bench: Bench) -> None:
    bench.sink.refuse = lambda _: True
    await bench.head()
    assert refused(await bench.body(answer(), ends=True)) == 503


async def test_an_empty_answer_that_cannot_be_recorded_is_withheld(bench: Bench) -> None:
    bench.sink.refuse = lambda _: True
    assert refused(await bench.head("", 202)) == 503


async def test_a_refusal_that_cannot_be_recorded_is_unavailable(bench: Bench) -> None:
    bench.sink.refuse = lambda _: True
    assert refused(await bench.head("image/png")) == 503


async def test_a_stream_is_cut_at_the_event_that_cannot_be_recorded(bench: Bench) -> None:
    await bench.head(EVENTS)
    assert released(await bench.body(note("one"))) == note("one")
    bench.sink.refuse = lambda event: b"three" in event.body
    with pytest.raises(Reset):
        await bench.body(note("two") + note("three"))


async def test_a_stream_whose_end_cannot_be_recorded_is_cut(bench: Bench) -> None:
    await bench.head(EVENTS)
    bench.sink.refuse = lambda event: event.kind is EventKind.STREAM_END
    with pytest.raises(Reset):
        await bench.body(note("last"), ends=True)


@pytest.mark.parametrize("content_type", [JSON, EVENTS])
async def test_a_cancelled_step_releases_nothing_and_is_recorded_as_broken_off(bench: Bench, content_type: str) -> None:
    data = note(MAIL) if content_type == EVENTS else answer()
    await bench.head(content_type)
    bench.sink.open.clear()
    ending = asyncio.ensure_future(bench.body(data, ends=True))
    await bench.sink.asked.wait()
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    bench.sink.open.set()
    await bench.exchange.abandoned()
    assert "broke off" in bench.sink.durable[-1].reason


class StuckPins(FakePins):
    """Whoever asks for a schema waits for ever."""

    asked = asyncio.Event()

    async def output_schema(self, target: str, name: str) -> JsonValue:
        self.asked.set()
        await asyncio.Event().wait()
        return None


async def test_an_answer_whose_caller_left_while_it_was_looked_at_is_ended_on_the_record(rulebook: Rulebook) -> None:
    bench = Bench(rulebook, StuckPins())
    beginning = asyncio.ensure_future(bench.head())
    await StuckPins.asked.wait()
    beginning.cancel()
    await asyncio.wait({beginning})
    assert bench.exchange.unfinished
    await bench.exchange.abandoned()
    assert [(event.status, event.reason) for event in bench.sink.durable] == [(0, HUNG_UP)]
    assert not bench.exchange.unfinished


async def test_an_answer_without_a_body_is_ended_once_also_when_its_caller_leaves_before_the_last_frame(
    bench: Bench,
) -> None:
    await bench.head("", 202)
    assert bench.exchange.unfinished
    await bench.exchange.abandoned()
    assert [(event.status, event.reason) for event in bench.sink.durable] == [(202, "")]


async def test_a_complete_answer_is_not_recorded_as_broken_off(bench: Bench) -> None:
    await bench.head()
    await bench.body(answer(), ends=True)
    await bench.exchange.abandoned()
    assert [event.reason for event in bench.sink.durable] == [""]


async def test_a_stream_is_whole_once_its_answer_is_out_and_not_before(bench: Bench) -> None:
    said = b"data: " + answer() + b"\n\n"
    await bench.head(EVENTS)
    await bench.body(note("first"), ends=True)
    assert bench.sink.durable[-1].reason == "the target ended the stream before its answer"
    for pieces, reason in (([said], ""), ([note("first"), said], ""), ([note("first")], "broke off")):
        left = Bench(bench.rulebook)
        await left.head(EVENTS)
        for piece in pieces:
            await left.body(piece)
        await left.exchange.abandoned()
        told = left.sink.durable[-1].reason
        assert reason in told if reason else not told


async def test_an_answer_to_no_judged_call_is_withheld(bench: Bench) -> None:
    assert refused(await bench.head(handed=False)) == 502


async def test_an_answer_under_a_policy_that_is_not_known_is_withheld(bench: Bench) -> None:
    bench.version = "another"
    assert refused(await bench.head()) == 502


async def test_an_answer_that_said_it_was_empty_is_cut_when_it_is_not(bench: Bench) -> None:
    await bench.head("", 202)
    with pytest.raises(Reset):
        await bench.body(MAIL.encode(), ends=True)


@pytest.mark.parametrize("content_type", ["", JSON])
async def test_an_accepted_notification_may_have_no_body(bench: Bench, content_type: str) -> None:
    replies = [
        *await bench.head(content_type, 202, method="notifications/initialized"),
        *await bench.body(b"", ends=True),
    ]
    assert [reply.WhichOneof("response") for reply in replies] == ["response_headers", "response_body"]
    assert [event.status for event in bench.sink.durable] == [202]


@pytest.mark.parametrize(
    ("content_type", "status"), [(JSON, 200), (JSON, 400), (JSON, 500), (TEXT, 404), ("text/html", 500), (EVENTS, 200)]
)
async def test_a_listing_is_filtered_whatever_it_comes_as(bench: Bench, content_type: str, status: int) -> None:
    await bench.head(content_type, status, method="tools/list")
    data = b"data: " + listing() + b"\n\n" if content_type == EVENTS else listing()
    shown = released(await bench.body(data, ends=True))
    assert b"query" in shown
    assert b"export" not in shown


@pytest.mark.parametrize(("era", "told"), [("modern", True), ("legacy", False)])
async def test_clients_are_told_of_tasks_where_calls_may_wait(bench: Bench, era: str, told: bool) -> None:
    await bench.head(method="server/discover", era=era)
    said = {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}
    data = json.dumps({"jsonrpc": "2.0", "id": 1, "result": said}).encode()
    sent = json.loads(released(await bench.body(data, ends=True)))
    assert sent["result"]["supportedVersions"] == ["2026-07-28"]
    assert sent["result"]["capabilities"].get("extensions") == ({"io.modelcontextprotocol/tasks": {}} if told else None)
    assert (b"io.modelcontextprotocol/tasks" in bench.sink.durable[-1].body) is told


@pytest.mark.parametrize("prefix", [b"\xef\xbb\xbf", b'{"a": 1, "a": ', b"["])
async def test_a_listing_in_an_odd_error_is_withheld(bench: Bench, prefix: bytes) -> None:
    await bench.head(TEXT, 400, method="tools/list")
    suffix = {b"[": b", 1]", b"\xef\xbb\xbf": b""}.get(prefix, b"}")
    assert refused(await bench.body(prefix + listing() + suffix, ends=True)) == 502


@pytest.mark.parametrize("content_type", [JSON, TEXT])
@pytest.mark.parametrize("within", [True, False])
async def test_stripping_makes_no_listing_of_an_error(bench: Bench, content_type: str, within: bool) -> None:
    hidden = "\U000e0061".encode()
    data = listing().replace(b'"result"', b'"res' + hidden + b'ult"') if within else hidden + listing()
    await bench.head(content_type, 400, method="tools/list")
    assert refused(await bench.body(data, ends=True)) == 502
    assert b"export" not in repr(bench.sink.durable).encode()


async def test_masking_a_large_piece_of_a_stream_holds_up_nobody(bench: Bench) -> None:
    await bench.head(EVENTS)
    order: list[str] = []
    large = asyncio.ensure_future(bench.body(b"\n" * 300_000))
    large.add_done_callback(lambda _: order.append("large"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    order.append("another")
    assert released(await large) == b":\n\n"
    assert order == ["another", "large"]


async def test_answers_together_hold_no_more_than_the_budget(bench: Bench) -> None:
    bench.budget.take(999_990)
    await bench.head()
    assert refused(await bench.body(answer(), ends=True)) == 502
    bench.exchange.close()
    assert bench.budget.held_bytes == 999_990


async def test_what_an_answer_held_is_given_back(bench: Bench) -> None:
    await bench.head()
    await bench.body(answer())
    assert bench.budget.held_bytes == len(answer())
    bench.exchange.close()
    bench.exchange.close()
    assert bench.budget.held_bytes == 0
