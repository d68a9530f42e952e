"""What people do not see in an answer does not reach the model, in whatever form it comes, and is on the record."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import grpc.aio
import httpx
import pytest

from countersign.api.recorder.v1 import event_pb2, search_pb2, session_pb2
from countersign.api.recorder.v1.search_pb2_grpc import SearchServiceStub
from tests.fault.rig import eventually
from tests.support.auditors import session_service
from tests.support.clients import LEGACY, MODERN, Rpc, call, messages, post
from tests.support.gateway import Gateway, Setup, Upstream, free_port
from tests.support.in_turn import InTurn
from tests.support.issuer import RunningIssuer, running_issuer
from tests.support.targets import (
    SSE_TYPE,
    Exchange,
    Script,
    answers,
    answers_bytes,
    event,
    result,
    scripted_target,
    tool_text,
)
from tests.unit.screening.test_characters import AS_BYTES, HONEST, SPELLED

ZERO = "\u200b"
CARD = "4111" + ZERO + "1111" + SPELLED[:1] + "1111" + "\x1b[1m" + "1111"
BOUND = 16_384
RULES = (
    {
        "name": "all",
        "allow": {"groups": ["analysts"], "targets": ["*"], "tools": ["query"], "prompts": ["*"], "resources": ["*"]},
        "mask": ["pii"],
    },
)
SCREENING: Mapping[str, Mapping[str, object]] = {
    "plain": {},
    "stripped": {"screening": {"hidden": "strip", "text_bytes": BOUND}},
    "refused": {
        "screening": {
            "hidden": "refuse",
            "tags": "refuse",
            "ansi": "refuse",
            "text_bytes": BOUND,
            "oversized": "refuse",
        }
    },
}


@dataclass(frozen=True)
class Place:
    """Targets of one server, each screened in its own way."""

    gateway: Gateway
    issuer: RunningIssuer
    port: int

    async def asked(self, target: str, script: Script, rpc: Rpc | None = None, era: str = MODERN) -> httpx.Response:
        """The answer to a request at a target that plays a script."""
        url = self.gateway.endpoint(target)
        async with scripted_target(script, port=self.port):
            return await post(url, self.issuer.token("alice", url), rpc or call("query"), era=era)

    async def recorded(self, target: str) -> list[event_pb2.Event]:
        """The events of the newest session at a target, those of a call in the order of the record."""
        async with session_service(self.gateway.url, self.issuer.token("carol", self.gateway.url)) as sessions:
            newest = (await sessions.list_sessions(session_pb2.SessionFilter(subject="alice", target=target)))[0]
            return [one.event for one in await sessions.replay(newest.session_id)]


@pytest.fixture(scope="module")
def place(in_turn: InTurn) -> Iterator[Place]:
    port = free_port()
    with running_issuer() as issuer:
        url = f"http://127.0.0.1:{port}/mcp"
        targets = {
            name: Upstream(url, extra={"new_tools": "allow", **screening}) for name, screening in SCREENING.items()
        }
        masks = {"pii": {"detect": ["credit_card"], "replace": "[{label}]"}}
        yield Place(in_turn.take(Setup(issuer.url, targets, RULES, masks)), issuer, port)


def found(events: list[event_pb2.Event]) -> set[tuple[str, str]]:
    return {(one.label, one.place) for one in events[-1].findings}


def text_of(answer: httpx.Response) -> str:
    (message,) = messages(answer)[-1:]
    content: str = message["result"]["content"][0]["text"]  # type: ignore[index]  # as targets answer
    return content


@pytest.mark.parametrize("era", [LEGACY, MODERN])
async def test_by_itself_what_nobody_means_well_by_is_gone_and_the_rest_is_flagged(place: Place, era: str) -> None:
    told = f"a{SPELLED}b \U0001f600{AS_BYTES} \x1b]8;;https://x.test\x07c\x1b]8;;\x07 d{ZERO}e"
    answer = await place.asked("plain", answers(tool_text(told)), era=era)
    assert text_of(answer) == f"ab \U0001f600 c d{ZERO}e"
    where = "$.result.content[0].text"
    labels = ("TAG_CHARACTERS", "ANSI_ESCAPES", "HIDDEN_TEXT")
    assert found(await place.recorded("plain")) == {(label, where) for label in labels}


async def test_what_was_found_can_be_searched_for(place: Place) -> None:
    await place.asked("plain", answers(tool_text(f"a{SPELLED}b")))
    event_id = (await place.recorded("plain"))[-1].event_id
    asked = search_pb2.SearchEventsRequest(filter=search_pb2.EventFilter(target="plain", label="TAG_CHARACTERS"))
    metadata = (("authorization", f"Bearer {place.issuer.token('carol', place.gateway.url)}"),)
    async with grpc.aio.insecure_channel(urlsplit(place.gateway.url).netloc) as channel:
        search = SearchServiceStub(channel)

        async def is_found() -> bool:
            answer = await search.SearchEvents(asked, metadata=metadata, timeout=15)
            return event_id in {one.event.event_id for one in answer.events}

        await eventually(is_found, 20, "what is indexed a little later")


async def test_what_is_hidden_hides_no_value_from_masks(place: Place) -> None:
    for target in ("plain", "stripped"):
        answer = await place.asked(target, answers(tool_text(f"paid with {CARD} today")))
        assert text_of(answer) == "paid with [CREDIT_CARD] today"
        assert b"4111" not in (await place.recorded(target))[-1].body


async def test_honest_text_passes_to_the_byte(place: Place) -> None:
    # A byte order mark is honest at the start only.
    texts = sorted(HONEST.values(), key=lambda text: not text.startswith("\ufeff"))
    told = {**tool_text("\n".join(texts)), "structuredContent": {text: [text] for text in texts}}
    sent: list[bytes] = []

    async def script(exchange: Exchange) -> None:
        sent.append(result(exchange, told))
        await answers(told)(exchange)

    for target in SCREENING:
        answer = await place.asked(target, script)
        assert answer.content == sent[-1]
        assert (await place.recorded(target))[-1].findings == []


def streamed(pieces: int) -> Script:
    """A log message and the answer, as events in pieces of this many bytes."""

    async def script(exchange: Exchange) -> None:
        log = {"level": "info", "data": f"x{ZERO}{SPELLED}y"}
        whole = event({"jsonrpc": "2.0", "method": "notifications/message", "params": log})
        whole += f"event: message\ndata: {result(exchange, tool_text(f'x{ZERO}y')).decode()}\n\n".encode()
        await exchange.head(content_type=SSE_TYPE)
        for at in range(0, len(whole), pieces):
            await exchange.body(whole[at : at + pieces])
        await exchange.end()

    return script


BLOB = {"uri": "file:///a", "mimeType": "text/plain", "blob": base64.b64encode(f"x{ZERO}y".encode()).decode()}
FORMS: Mapping[str, tuple[Script, Rpc]] = {
    "a text": (answers(tool_text(f"x{ZERO}y")), call("query")),
    "JSON within a text": (answers(tool_text(json.dumps({"a": [f"x{ZERO}y"]}))), call("query")),
    "structured content": (answers({**tool_text("z"), "structuredContent": {"k": f"x{SPELLED}y"}}), call("query")),
    "a key of it": (answers({**tool_text("z"), "structuredContent": {f"x{ZERO}y": 1}}), call("query")),
    "a file": (answers({"contents": [BLOB], "resultType": "complete"}), Rpc("resources/read", {"uri": "file:///a"})),
    "a prompt": (
        answers({"messages": [{"role": "user", "content": {"type": "text", "text": f"x{ZERO}y"}}]}),
        Rpc("prompts/get", {"name": "greet"}),
    ),
    "a list of prompts": (
        answers({"prompts": [{"name": "greet", "description": f"x{ZERO}y"}], "resultType": "complete"}),
        Rpc("prompts/list"),
    ),
    "events": (streamed(10_000), call("query")),
    "events in pieces": (streamed(7), call("query")),
    "an error's body": (
        answers_bytes(json.dumps({"detail": f"x{ZERO}\x9b31my"}, ensure_ascii=False).encode(), status=400),
        call("query"),
    ),
    "an error's text": (answers_bytes(f"x{ZERO}\x1b[31my".encode(), "text/plain", status=500), call("query")),
}


@pytest.mark.parametrize("form", FORMS)
async def test_hidden_text_is_stripped_from_whatever_it_comes_in(place: Place, form: str) -> None:
    script, rpc = FORMS[form]
    answer = await place.asked("stripped", script, rpc)
    said = answer.text
    if form == "a file":
        said = base64.b64decode(answer.json()["result"]["contents"][0]["blob"]).decode()
    assert "xy" in said
    for hidden in (ZERO, "\\u200b", SPELLED[0], "\\udb40", "\x1b", "\\u001b", "\x9b", "\\u009b"):
        assert hidden not in said
    events = [one for one in await place.recorded("stripped") if one.call_id]
    last = [one for one in events if one.call_id == events[-1].call_id]
    assert {"HIDDEN_TEXT", "TAG_CHARACTERS"} & {each.label for one in last for each in one.findings}


async def test_what_is_to_be_refused_is_withheld_and_recorded_with_what_was_found(place: Place) -> None:
    for told, label in ((ZERO, "HIDDEN_TEXT"), (SPELLED, "TAG_CHARACTERS"), ("\x1b[8m", "ANSI_ESCAPES")):
        answer = await place.asked("refused", answers(tool_text(f"canary{told}")))
        assert answer.status_code == 502
        assert answer.json()["error"]["code"] == 5020
        assert "canary" not in answer.text
        events = await place.recorded("refused")
        assert found(events) == {(label, "$.result.content[0].text")}
        assert "the answer holds" in events[-1].reason
        assert events[-1].body == b""


async def test_a_stream_ends_before_what_is_to_be_refused(place: Place) -> None:
    # Envoy may not have sent the head yet: then it answers itself.
    with suppress(httpx.RemoteProtocolError):
        answer = await place.asked("refused", streamed(10_000))
        assert answer.status_code >= 500
        assert "notifications/message" not in answer.text
    last = (await place.recorded("refused"))[-1]
    assert last.kind == event_pb2.EVENT_KIND_STREAM_END
    assert {one.label for one in last.findings} == {"HIDDEN_TEXT", "TAG_CHARACTERS"}


async def test_a_result_that_is_too_large_is_cut_with_a_mark_or_refused(place: Place) -> None:
    told = "r" * 50_000
    answer = await place.asked("stripped", answers(tool_text(told)))
    assert len(answer.content) <= BOUND
    assert text_of(answer).startswith("r" * (BOUND // 2))
    assert "[cut by the gateway: " in text_of(answer)
    recorded = (await place.recorded("stripped"))[-1]
    assert {one.label for one in recorded.findings} == {"OVERSIZED"}
    assert recorded.body == answer.content
    for target, content in (
        ("refused", tool_text(told)),
        ("stripped", {**tool_text(""), "structuredContent": {"a": told}}),
    ):
        answer = await place.asked(target, answers(content))
        assert answer.status_code == 502
        assert f"larger than {BOUND} bytes" in answer.text
        assert {one.label for one in (await place.recorded(target))[-1].findings} == {"OVERSIZED"}
