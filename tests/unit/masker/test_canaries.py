"""Values planted in every place of every message, cut at every byte, reach neither caller nor record nor log."""

from __future__ import annotations

import base64
import json
import logging
import random
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb

from countersign.demo import orders_data
from countersign.masker.budget import Budget
from countersign.masker.exchange import Exchange
from countersign.mcp import Handle
from countersign.model.handoff import HandedCall, Handoff
from countersign.model.principal import Principal, PrincipalKind
from countersign.runtime.aside import Aside
from countersign.runtime.handles import HandleOwner, Known
from countersign.runtime.moments import new_id
from countersign.runtime.rulebook import Rulebook
from countersign.runtime.sealing import Sealer
from tests.support import speech
from tests.support.handles import MemoryHandles
from tests.support.pins import FakePins
from tests.support.revoking import nobody_is
from tests.support.sinks import Sink

ALICE = Principal("https://idp.test", "alice", ("analysts",), PrincipalKind.PERSON, "t1")
GATEWAY = """
version: 1
gateway: {url: "https://gateway.test"}
identity: {oidc: [{issuer: "https://idp.test"}]}
targets: {orders: {mcp: "http://127.0.0.1:9000/mcp", new_tools: allow}}
rules: [{name: all, allow: {groups: [analysts], targets: [orders]}, mask: [pii, secrets]}]
masks:
  pii: {detect: [email, credit_card, us_ssn], fields: [shoe_size]}
  secrets: {detect: [secrets]}
"""
JSON, EVENTS = "application/json", "text/event-stream"
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4}){2,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


@pytest.fixture(scope="module")
def rulebook(tmp_path_factory: pytest.TempPathFactory, rules_cache: Path) -> Rulebook:
    path = tmp_path_factory.mktemp("canaries") / "gateway.yaml"
    path.write_text(GATEWAY)
    return Rulebook(path, {}, rules_cache, reads=())


class Planter:
    """Makes texts, each with a value of its own, and remembers them."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        self.planted: list[str] = []
        makers: list[Callable[[], str]] = [
            lambda: f"canary.{rng.getrandbits(40):x}@example.org",
            lambda: orders_data.repository_token(rng),
            lambda: orders_data.card_number(rng),
            lambda: orders_data.social_security_number(rng),
        ]
        self._words = speech.words(makers)

    def say(self) -> str:
        value, text = next(self._words)
        self.planted.append(value)
        return text

    def found_in(self, data: bytes) -> list[int]:
        """The numbers of the values that stand in ``data``, in base64 within it too; never the values."""
        text = opened(data)
        return [number for number, value in enumerate(self.planted) if value in text]


def opened(data: bytes) -> str:
    """A text with what stands in base64 in it."""
    text = data.decode()
    return text + "".join(base64.b64decode(each).decode("latin-1") for each in _BASE64.findall(text))


class Shown(MemoryHandles):
    """Every task is the caller's."""

    async def find(self, owner: HandleOwner, handles: Sequence[Handle]) -> Sequence[Known | None]:
        """See ``Handles``."""
        return [Known()] * len(handles)


async def pass_through(
    rulebook: Rulebook,
    pieces: Sequence[bytes],
    *,
    method: str = "tools/call",
    era: str = "modern",
    kind: str = JSON,
    status: int = 200,
) -> tuple[bytes, bytes, Sink]:
    """Play Envoy for one answer that comes in these pieces; return what was released, recorded, and the sink."""
    sink, sealer = Sink(), Sealer(bytes(range(32)))
    aside = Aside(from_bytes=1 << 20, at_once=1)
    exchange = Exchange(
        rulebook,
        sink,
        sealer,
        FakePins(),
        aside,
        Budget(1 << 24),
        lambda: 1,
        new_id,
        nobody_is,
        handles=Shown(),
    )
    calls = (HandedCall("1", method, "query"),)
    version = rulebook.current.config.version
    handoff = Handoff(new_id(), new_id(), 0, "orders", era, ALICE, calls, ("pii", "secrets"), version)
    head = pb.ProcessingRequest()
    for name, value in ((":status", str(status)), ("content-type", kind)):
        head.response_headers.headers.headers.add(key=name, raw_value=value.encode())
    head.attributes["envoy.filters.http.ext_proc"].fields["response.code_details"].string_value = "via_upstream"
    metadata = head.metadata_context.filter_metadata["envoy.filters.http.ext_authz"]
    metadata.fields["handoff"].string_value = handoff.to_json()
    replies = list(await exchange.step(head))
    for number, piece in enumerate(pieces):
        body = pb.HttpBody(body=piece, end_of_stream=number == len(pieces) - 1)
        replies += await exchange.step(pb.ProcessingRequest(response_body=body))
    refused = [reply.immediate_response.body for reply in replies if reply.HasField("immediate_response")]
    assert refused == []
    released = b"".join(reply.response_body.response.body_mutation.streamed_response.body for reply in replies)
    recorded = "\n".join(repr(event) for event in sink.durable).encode() + b"".join(each.body for each in sink.durable)
    return released, recorded, sink


def cut(data: bytes, rng: random.Random) -> list[bytes]:
    """The same bytes in a few pieces."""
    ends = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(1, 9)))
    return [data[start:end] for start, end in zip([0, *ends], [*ends, len(data)], strict=True)]


def as_event(message: object, *, lines: bool = False, end: str = "\n") -> bytes:
    """One server-sent event; with ``lines``, its JSON over as many data lines as it has tokens."""
    text = json.dumps(message, indent=1 if lines else None, ensure_ascii=False)
    data = end.join(f"data: {line}" for line in text.split("\n"))
    return f"event: message{end}{data}{end}{end}".encode()


def spoken() -> Iterator[tuple[str, str, str, Callable[[Callable[[], str]], dict[str, object]]]]:
    """Each message: its name, an era that has it, the method that asks for it, and how it is made."""
    for era in ("legacy", "modern"):
        for name in speech.RESULTS:
            yield name, era, speech.asked_by(name), lambda say, name=name: speech.result(name, say)  # type: ignore[misc]  # bound early
        yield "error", era, "tools/call", speech.error


def unasked() -> Iterator[tuple[str, str, Callable[[Callable[[], str]], dict[str, object]]]]:
    """Each message that a stream may hold beside the answer."""
    for era in ("legacy", "modern"):
        for name in speech.NOTIFICATIONS:
            yield name, era, lambda say, name=name: speech.notification(name, say)  # type: ignore[misc]  # bound early
    for name in speech.REQUESTS:
        yield name, "legacy", lambda say, name=name: speech.request(name, say)  # type: ignore[misc]  # bound early


async def test_no_answer_holds_a_value_in_any_place(rulebook: Rulebook, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    planted = 0
    for seed, (name, era, method, make) in enumerate(spoken()):
        planter = Planter(seed)
        message = make(planter.say)
        planted += len(planter.planted)
        for data, kind in (
            (json.dumps(message).encode(), JSON),
            (json.dumps(message, ensure_ascii=False, indent=2).encode(), JSON),
            (as_event(message), EVENTS),
            (as_event(message, lines=True, end="\r\n"), EVENTS),
        ):
            pieces = cut(data, random.Random(seed))
            released, recorded, _ = await pass_through(rulebook, pieces, method=method, era=era, kind=kind)
            # All of the message came through, and only the values are gone.
            assert opened(released).count("note ") == len(planter.planted), (name, era, kind)
            assert planter.found_in(released) == [], (name, era, kind)
            assert planter.found_in(recorded) == [], (name, era, kind)
            assert planter.found_in(caplog.text.encode()) == [], (name, era, kind)
    # Whatever the types say: that many texts were planted, and not just a few.
    assert planted > 500


@pytest.mark.parametrize("status", [400, 404, 500, 503])
async def test_no_error_page_holds_a_value(rulebook: Rulebook, status: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    planter = Planter(status)
    page = f"<html><title>{planter.say()}</title><a href='/x?who={planter.say()}'>{planter.say()}</a></html>"
    bodies = [
        (json.dumps(speech.error(planter.say)).encode(), JSON),
        (json.dumps({planter.say(): [planter.say(), {"error": planter.say()}]}).encode(), JSON),
        (json.dumps({"trace": planter.say()}).encode(), "text/plain"),
        (f"{planter.say()}\n  at {planter.say()}".encode(), "text/plain; charset=utf-8"),
        (page.encode(), "text/html"),
    ]
    for seed, (data, kind) in enumerate(bodies):
        pieces = cut(data, random.Random(seed))
        released, recorded, _ = await pass_through(rulebook, pieces, kind=kind, status=status)
        assert released.count(b"note ") == data.count(b"note "), kind
        assert planter.found_in(released + recorded + caplog.text.encode()) == [], kind


async def test_no_message_beside_an_answer_holds_a_value(rulebook: Rulebook, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for seed, (name, era, make) in enumerate(unasked()):
        planter = Planter(seed)
        message = make(planter.say)
        for data in (as_event(message), as_event(message, lines=True, end="\r")):
            pieces = cut(data, random.Random(seed))
            released, recorded, sink = await pass_through(rulebook, pieces, era=era, kind=EVENTS)
            assert opened(released).count("note ") == len(planter.planted), (name, era)
            assert len(sink.durable) == 2, name
            assert planter.found_in(released) == [], (name, era)
            assert planter.found_in(recorded + caplog.text.encode()) == [], (name, era)


def telling() -> dict[str, object]:
    """An answer in which values stand behind every way to write a text: escapes, several bytes, JSON within JSON."""
    inner = json.dumps({"to": MAIL, "note": f"é{CARD}€"})
    result = {
        "content": [{"type": "text", "text": inner}],
        "structuredContent": {"💳": [f"ü {SSN}", {"shoe_size": 47}]},
    }
    return {"jsonrpc": "2.0", "id": 1, "result": {**result, MAIL: f"{TOKEN}\n"}}


MAIL, CARD, SSN = "canary@" + "example.org", "4111" + "1111" * 3, "536-" + "22-" + "8726"
TOKEN = orders_data.repository_token(random.Random(1))
DOCUMENTS = {
    "JSON": (json.dumps(telling(), ensure_ascii=False).encode(), JSON),
    "escaped JSON": (json.dumps(telling()).replace("@", r"\u0040").replace("-", r"\u002d").encode(), JSON),
    "one data line": (b": hi\n\n" + as_event(telling()), EVENTS),
    "data lines that end in CRLF": (b"\xef\xbb\xbf" + as_event(telling(), lines=True, end="\r\n"), EVENTS),
    "data lines that end in CR": (as_event(telling(), lines=True, end="\r"), EVENTS),
}


@pytest.mark.parametrize("document", DOCUMENTS)
async def test_wherever_an_answer_is_cut_it_comes_out_the_same(rulebook: Rulebook, document: str) -> None:
    data, kind = DOCUMENTS[document]
    whole, _, _ = await pass_through(rulebook, [data], kind=kind)
    for value in (MAIL, CARD, SSN, TOKEN, "47"):
        assert value.encode() not in whole
    for at in range(1, len(data)):
        released, recorded, _ = await pass_through(rulebook, [data[:at], data[at:]], kind=kind)
        assert released == whole, at
        assert not [value for value in (MAIL, CARD, SSN, TOKEN) if value.encode() in recorded], at


@pytest.mark.parametrize("document", DOCUMENTS)
async def test_an_answer_that_comes_byte_by_byte_comes_out_the_same(rulebook: Rulebook, document: str) -> None:
    data, kind = DOCUMENTS[document]
    whole, _, _ = await pass_through(rulebook, [data], kind=kind)
    released, _, _ = await pass_through(rulebook, [data[at : at + 1] for at in range(len(data))], kind=kind)
    assert released == whole
