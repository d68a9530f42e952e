"""A request reaches its target changed as authz decided, or not at all, and what was not sent is on the record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb

from countersign.masker.ends import Ends
from countersign.masker.request import NoTokens, RequestSide
from countersign.masker.withheld import Withheld
from countersign.mcp.headers import encoded_header
from countersign.model.handoff import HandedCall, Handoff
from countersign.model.principal import Principal, PrincipalKind
from countersign.runtime.aside import Aside
from countersign.runtime.moments import new_id
from countersign.runtime.rulebook import Rulebook
from countersign.runtime.sealing import Sealer
from tests.support.revoking import nobody_is
from tests.support.sinks import Sink

MAIL = "canary@" + "example.org"
ALICE = Principal("https://idp.test", "alice", ("analysts",), PrincipalKind.PERSON, "t1")
GATEWAY = """
version: 1
gateway: {url: "https://gateway.test"}
identity: {oidc: [{issuer: "https://idp.test"}]}
targets:
  orders: {mcp: "http://127.0.0.1:9000/mcp", mask_request: {mask: [pii]}}
  plain: {mcp: "http://127.0.0.1:9001/mcp"}
rules: [{name: read, allow: {groups: [analysts], targets: ["*"], tools: [query]}}]
masks: {pii: {detect: [email]}}
"""


@pytest.fixture(scope="module")
def rulebook(tmp_path_factory: pytest.TempPathFactory, rules_cache: Path) -> Rulebook:
    path = tmp_path_factory.mktemp("request") / "gateway.yaml"
    path.write_text(GATEWAY)
    return Rulebook(path, {}, rules_cache, reads=())


class Vault:
    """Turns one token back, or refuses to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.seen: list[bytes] = []

    async def put_back(self, handoff: Handoff, body: bytes) -> bytes:
        self.seen.append(body)
        if self.error is not None:
            raise self.error
        return body.replace(b"token-1", b"real value")


def head(handoff: Handoff | None, headers: Mapping[str, str] | None = None, *, ends: bool) -> pb.ProcessingRequest:
    message = pb.ProcessingRequest(request_headers=pb.HttpHeaders(end_of_stream=ends))
    for name, value in (headers or {}).items():
        message.request_headers.headers.headers.add(key=name, raw_value=value.encode())
    if handoff is not None:
        metadata = message.metadata_context.filter_metadata["envoy.filters.http.ext_authz"]
        metadata.fields["handoff"].string_value = handoff.to_json()
    return message


class Bench:
    def __init__(self, rulebook: Rulebook, vault: Vault | None = None) -> None:
        self.sink, self.vault = Sink(), vault or Vault()
        self.version = rulebook.current.config.version
        aside = Aside(from_bytes=100_000, at_once=1)
        self.sealer = Sealer(bytes(range(32)))
        self.ends = Ends()
        self.side = RequestSide(
            *(rulebook, self.sink, self.vault, self.sealer, aside, lambda: 1, new_id, nobody_is, self.ends)
        )

    def handoff(self, *, target: str = "orders", mask: bool = False, unmask: bool = False) -> Handoff:
        calls = (HandedCall("7", "tools/call", "query"),)
        return Handoff(*(new_id(), new_id(), 0, target, "legacy", ALICE, calls, (), self.version), "", mask, unmask)

    async def send(
        self, body: bytes, handoff: Handoff | None, headers: Mapping[str, str] | None = None
    ) -> pb.ProcessingResponse:
        """Play authz, unless the handoff has a mark, and Envoy; return what became of the request."""
        if handoff is not None and not handoff.sent_mark:
            judged = body.replace(MAIL.encode(), b"[EMAIL]") if handoff.mask_request else body
            judged = judged.replace(b"token-1", b"real value") if handoff.unmask else judged
            handoff = replace(handoff, sent_mark=self.sealer.mark_request(judged))
        (first,) = await self.side.step(head(handoff, headers, ends=not body))
        if first.WhichOneof("response") == "immediate_response" or not body:
            return first
        assert first.WhichOneof("response") == "request_headers"
        (reply,) = await self.side.step(pb.ProcessingRequest(request_body=pb.HttpBody(body=body, end_of_stream=True)))
        return reply


@pytest.fixture
def bench(rulebook: Rulebook) -> Bench:
    return Bench(rulebook)


def call(note: str) -> bytes:
    params = {"name": "query", "arguments": {"note": note}}
    return json.dumps({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}).encode()


def sent(reply: pb.ProcessingResponse) -> bytes:
    """The changed body; its length must be told along with it."""
    common = reply.request_body.response
    (length,) = common.header_mutation.set_headers
    assert (length.header.key, int(length.header.raw_value)) == ("content-length", len(common.body_mutation.body))
    return bytes(common.body_mutation.body)


def refused(reply: pb.ProcessingResponse) -> int:
    assert MAIL.encode() not in reply.SerializeToString()
    return int(reply.immediate_response.status.code)


async def test_what_authz_found_is_masked_on_its_way(bench: Bench) -> None:
    reply = await bench.send(call(f"to {MAIL}"), bench.handoff(mask=True))
    assert sent(reply) == call("to [EMAIL]")
    assert bench.sink.durable == []
    assert not bench.side.unfinished


@pytest.mark.parametrize(
    ("arguments", "set_to", "removed"),
    [
        ({"who": MAIL, "n": 42}, {"mcp-param-who": "[EMAIL]"}, []),
        ({"who": f"é {MAIL}"}, {"mcp-param-who": "=?base64?w6kgW0VNQUlMXQ==?="}, []),
        ({"who": "token-1", "note": MAIL}, {"mcp-param-who": "real value"}, []),
        ({"who": "nobody", "note": MAIL}, {}, []),
        ({"who": "ab", MAIL: "ab"}, {}, []),
    ],
)
async def test_headers_that_repeat_arguments_follow_them(
    bench: Bench, arguments: dict[str, object], set_to: dict[str, str], removed: list[str]
) -> None:
    message = json.loads(call(""))
    message["params"]["arguments"] = arguments
    headers = {
        f"mcp-param-{name}": encoded_header(str(value)) for name, value in arguments.items() if name in ("who", "n")
    }
    reply = await bench.send(json.dumps(message).encode(), bench.handoff(mask=True, unmask=True), headers)
    mutation = reply.request_body.response.header_mutation
    told = {each.header.key: each.header.raw_value.decode() for each in mutation.set_headers}
    del told["content-length"]
    assert (told, list(mutation.remove_headers)) == (set_to, removed)


async def test_tokens_are_put_back_after_masking(bench: Bench) -> None:
    reply = await bench.send(call(f"token-1 of {MAIL}"), bench.handoff(mask=True, unmask=True))
    assert sent(reply) == call("real value of [EMAIL]")
    assert bench.vault.seen == [call("token-1 of [EMAIL]")]


OURS = b'"requestState":"cs-wait1.x","inputResponses":{"approval":{"action":"accept"}}'


def going_on(note: str, members: bytes = OURS) -> bytes:
    """The same call with these members at the end of its params."""
    return call(note)[:-2] + b"," + members + b"}}"


async def go_on(bench: Bench, state: str, judged: bytes, *, mask: bool = False) -> pb.ProcessingResponse:
    mark = bench.sealer.mark_request(judged)
    return await bench.send(going_on(MAIL), replace(bench.handoff(mask=mask), state=state, sent_mark=mark))


async def test_a_target_never_gets_our_state(bench: Bench) -> None:
    assert sent(await go_on(bench, "{}", call(MAIL))) == call(MAIL)
    assert bench.sink.durable == []


async def test_a_target_gets_its_own_state_back_masked_like_any_request(bench: Bench) -> None:
    own = b'"requestState":"theirs"'
    reply = await go_on(bench, f"{{{own.decode()}}}", going_on("[EMAIL]", own), mask=True)
    assert sent(reply) == going_on("[EMAIL]", own)


async def test_a_target_gets_of_an_approved_call_what_people_saw_and_the_protocol_needs(bench: Bench) -> None:
    meta = b'"_meta":{"example.com/tenant":"production","progressToken":1}'
    judged = going_on(MAIL, b'"_meta":{"progressToken":1}')
    handoff = replace(bench.handoff(), bare=True, sent_mark=bench.sealer.mark_request(judged))
    assert sent(await bench.send(going_on(MAIL, meta), handoff)) == judged


@pytest.mark.parametrize(
    ("state", "judged"),
    [
        ("{}", going_on(MAIL)),
        ('{"requestState":"a"}', going_on(MAIL, b'"requestState":"b"')),
        ('{"name":"other"}', call(MAIL).replace(b"query", b"other")),
        ("not json", call(MAIL)),
    ],
)
async def test_a_state_that_is_not_as_authz_judged_it_is_not_sent(bench: Bench, state: str, judged: bytes) -> None:
    assert refused(await go_on(bench, state, judged)) == 503
    assert len(bench.sink.durable) == 1


async def test_a_request_that_needs_no_change_passes_as_it_came(bench: Bench) -> None:
    reply = await bench.send(call(MAIL), bench.handoff())
    assert reply.WhichOneof("response") == "request_body"
    assert not reply.request_body.response.HasField("body_mutation")
    assert bench.vault.seen == []


async def test_a_request_without_a_body_passes(bench: Bench) -> None:
    reply = await bench.send(b"", bench.handoff())
    assert reply.WhichOneof("response") == "request_headers"
    assert not bench.side.unfinished


async def test_a_request_that_nobody_judged_is_not_sent(bench: Bench) -> None:
    assert refused(await bench.send(call("x"), None)) == 503


@pytest.mark.parametrize("how", ["no such policy", "no such target", "a target that masks nothing"])
async def test_what_cannot_be_masked_as_decided_is_not_sent_and_recorded(bench: Bench, how: str) -> None:
    bench.version = "another" if how == "no such policy" else bench.version
    target = {"no such target": "gone", "a target that masks nothing": "plain"}.get(how, "orders")
    assert refused(await bench.send(call(MAIL), bench.handoff(target=target, mask=True))) == 503
    (event,) = bench.sink.durable
    assert (event.status, event.reason.partition(":")[0]) == (503, "the call was not sent")


async def test_a_finding_where_nothing_can_be_changed_is_not_sent(bench: Bench) -> None:
    body = call("x").replace(b'"query"', json.dumps(MAIL).encode())
    assert refused(await bench.send(body, bench.handoff(mask=True))) == 503
    assert len(bench.sink.durable) == 1


@pytest.mark.parametrize("judged", [call("token-1"), call("another value"), call("real value") + b" ", b""])
async def test_what_is_not_as_authz_judged_it_is_not_sent_and_recorded(bench: Bench, judged: bytes) -> None:
    handoff = replace(bench.handoff(unmask=True), sent_mark=bench.sealer.mark_request(judged))
    assert refused(await bench.send(call("token-1"), handoff)) == 503
    (event,) = bench.sink.durable
    assert event.reason == "the call was not sent: it would not be what was judged"


async def test_a_mark_of_another_deployment_is_none(bench: Bench) -> None:
    mark = Sealer(bytes(range(1, 33))).mark_request(call("real value"))
    assert refused(await bench.send(call("token-1"), replace(bench.handoff(unmask=True), sent_mark=mark))) == 503


async def test_tokens_that_cannot_be_put_back_are_not_sent(rulebook: Rulebook) -> None:
    bench = Bench(rulebook, Vault(Withheld("a token has expired")))
    reply = await bench.send(call("token-1"), bench.handoff(unmask=True))
    assert refused(reply) == 503
    assert b"a token has expired" in reply.immediate_response.body
    assert [event.reason for event in bench.sink.durable] == ["the call was not sent: a token has expired"]


async def test_without_a_vault_nothing_that_needs_one_is_sent(bench: Bench) -> None:
    with pytest.raises(Withheld):
        await NoTokens().put_back(bench.handoff(unmask=True), b"")


async def test_what_was_not_sent_and_cannot_be_recorded_is_still_not_sent(bench: Bench) -> None:
    bench.sink.refuse = lambda _: True
    bench.version = "another"
    assert refused(await bench.send(call(MAIL), bench.handoff(mask=True))) == 503


async def test_a_mistake_of_ours_is_recorded_as_not_sent(rulebook: Rulebook) -> None:
    bench = Bench(rulebook, Vault(RuntimeError(MAIL)))
    with pytest.raises(RuntimeError):
        await bench.send(call("token-1"), bench.handoff(unmask=True))
    assert bench.side.unfinished
    await bench.side.cut("masking failed")
    assert [(event.status, event.reason) for event in bench.sink.durable] == [(502, "masking failed")]
    assert not bench.side.unfinished


async def test_half_a_request_is_never_released(bench: Bench) -> None:
    await bench.side.step(head(bench.handoff(mask=True), ends=False))
    with pytest.raises(ValueError, match="whole"):
        await bench.side.step(pb.ProcessingRequest(request_body=pb.HttpBody(body=b"{", end_of_stream=False)))


@pytest.mark.parametrize("first", ["what changes it", "who hears that its caller left"])
async def test_what_was_not_sent_is_ended_on_the_record_by_one_alone(rulebook: Rulebook, first: str) -> None:
    bench = Bench(rulebook, Vault(Withheld("no such token")))
    handoff = bench.handoff(unmask=True)
    if first == "who hears that its caller left":
        assert bench.ends.mine(handoff.call_id)
        bench.ends.over(handoff.call_id)
    assert refused(await bench.send(call("token-1"), handoff)) == 503
    assert len(bench.sink.durable) == (1 if first == "what changes it" else 0)
    assert not bench.ends.mine(handoff.call_id)
