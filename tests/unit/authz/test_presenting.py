"""What targets are shown, what of it may be tried twice, and what happens when it cannot be had."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb

from countersign.authz.envoy import Answer, Forward, respond
from countersign.authz.renewing import NO_CREDENTIAL, RenewalService
from countersign.config import Secret, SecretUse, Target
from countersign.credentials import CredentialUnavailable, Presented
from countersign.model.event import EventKind
from countersign.model.handoff import Handoff
from countersign.model.principal import Principal, PrincipalKind
from countersign.model.revocation import RevocationKind
from countersign.model.telltale import HEADER, read, telltales_of
from countersign.runtime.revocations import check
from countersign.runtime.rulebook import Rulebook
from countersign.runtime.sealing import Sealer
from tests.support.revoking import FakeRevocations, revocation
from tests.unit.authz.bench import CREDENTIAL, GATEWAY, SEALER, Bench, call, inquiry

MARK = Sealer(b"k" * 32).mark_shown
RETRIED = {"x-envoy-retry-on", "x-envoy-retriable-status-codes", "x-envoy-max-retries"}


@dataclass
class Given:
    """Gives ``secret`` under ``handle``, or raises ``error``; ``asked`` are the tokens that came along."""

    secret: str = "given"
    handle: str = "handle"
    error: Exception | None = None
    asked: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    async def present(self, target: Target, principal: Principal, token: Secret) -> Presented:
        self.asked.append(token.reveal())
        return await self._given()

    async def again(self, handle: str) -> Presented | None:
        return await self._given() if handle == self.handle else None

    def refused(self, handle: str) -> None:
        self.refusals.append(handle)

    async def _given(self) -> Presented:
        if self.error is not None:
            raise self.error
        return Presented({"authorization": Secret(f"Bearer {self.secret}")}, self.handle)


@pytest.fixture(scope="module")
def rulebook(tmp_path_factory: pytest.TempPathFactory, rules_cache: Path) -> Rulebook:
    path: Path = tmp_path_factory.mktemp("gateway") / "gateway.yaml"
    path.write_text(GATEWAY)
    return Rulebook(path, {"ORDERS_TOKEN": CREDENTIAL}, rules_cache, reads={SecretUse.TARGETS})


def bench(rulebook: Rulebook, given: Given) -> Bench:
    made = Bench(rulebook)
    made.judge._presenting._credentials = given
    return made


async def forwarded(made: Bench, body: object = None, verb: str = "POST", **headers: str) -> Forward:
    answer = await made.ask(inquiry(body, verb=verb, authorization="Bearer callers-token", **headers))
    assert isinstance(answer, Forward), answer
    return answer


def asks(method: str, **params: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


async def test_the_caller_is_shown_to_who_gives_credentials_and_never_to_the_target(rulebook: Rulebook) -> None:
    given = Given()
    forward = await forwarded(bench(rulebook, given), call())
    assert given.asked == ["callers-token"]
    assert forward.set_headers["authorization"] == "Bearer given"
    assert "callers-token" not in str(respond(forward))
    assert "given" not in repr(forward)


async def test_a_target_is_told_apart_by_what_it_is_shown_now(rulebook: Rulebook) -> None:
    shown = {name: Presented({"authorization": Secret(f"Bearer {name}-secret")}, "", shared=True) for name in "ab"}

    @dataclass
    class Shared(Given):
        now: str = "a"

        async def _given(self) -> Presented:
            return shown[self.now]

    given = Shared()
    made = bench(rulebook, given)
    for given.now in ("a", "a", "b", "a"):
        forward = await forwarded(made, call())
        assert forward.handoff is not None
        assert forward.handoff.shown == telltales_of([f"{given.now}-secret".encode()], SEALER.mark_shown)


@pytest.mark.parametrize(
    ("body", "again"),
    [
        (asks("tools/list"), True),
        (asks("ping"), True),
        (call("tool_reads"), True),
        (call("query"), False),
        (asks("initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo={}), False),
        ({"jsonrpc": "2.0", "method": "notifications/initialized"}, False),
    ],
    ids=["tools/list", "ping", "a tool that reads", "a tool that may write", "initialize", "a notification"],
)
async def test_only_what_is_safe_to_repeat_may_be_tried_twice(rulebook: Rulebook, body: object, again: bool) -> None:
    made = bench(rulebook, Given())
    made.tools.repeated = frozenset({"tool_reads"})
    forward = await forwarded(made, body)
    assert RETRIED.issubset(forward.set_headers) is again
    assert RETRIED.isdisjoint(forward.set_headers) is not again


async def test_a_batch_is_as_safe_as_its_worst_call(rulebook: Rulebook) -> None:
    made = bench(rulebook, Given())
    made.tools.repeated = frozenset({"tool_reads"})
    for tools, again in ((("tool_reads", "tool_reads"), True), (("tool_reads", "query"), False)):
        batch = [call(tool, rpc_id=number) for number, tool in enumerate(tools)]
        forward = await forwarded(made, batch, mcp_protocol_version="2025-03-26")
        assert RETRIED.issubset(forward.set_headers) is again


async def test_a_caller_cannot_have_its_call_tried_twice(rulebook: Rulebook) -> None:
    headers: dict[str, Any] = dict.fromkeys((name.replace("-", "_") for name in RETRIED), "5xx")
    forward = await forwarded(bench(rulebook, Given()), call(), **headers)
    assert set(forward.remove_headers) >= RETRIED


async def test_what_cannot_be_had_anew_is_not_tried_twice(rulebook: Rulebook) -> None:
    forward = await forwarded(bench(rulebook, Given(handle="")), asks("tools/list"))
    assert RETRIED.isdisjoint(forward.set_headers)
    assert "credential" not in respond(forward).dynamic_metadata.fields


async def test_nothing_is_sent_without_the_credential_and_the_record_says_so(rulebook: Rulebook) -> None:
    made = bench(rulebook, Given(error=CredentialUnavailable("the token endpoint does not answer in time")))
    answer = await made.ask(inquiry(call(), authorization="Bearer callers-token"))
    assert isinstance(answer, Answer)
    assert answer.reply.status == 503
    assert "nothing was sent" in json.loads(answer.reply.body)["error"]["message"]
    assert b"token endpoint" not in answer.reply.body
    kinds = [(event.kind, event.status, event.reason) for event in made.sink.durable]
    assert kinds[-1] == (EventKind.RESPONSE, 503, "the token endpoint does not answer in time: nothing was sent")


async def test_a_credential_that_fails_otherwise_lets_nothing_pass(rulebook: Rulebook) -> None:
    made = bench(rulebook, Given(error=RuntimeError("unforeseen")))
    with pytest.raises(RuntimeError):
        await made.ask(inquiry(call(), authorization="Bearer callers-token"))


ALICE = Principal("https://idp.test", "alice", (), PrincipalKind.PERSON, "t1")
HANDOFF = Handoff("session-1", "call-1", 1, "orders", "legacy", ALICE, (), (), "v1")


def renewing(given: Given, revocations: FakeRevocations | None = None) -> RenewalService:
    asked = revocations or FakeRevocations()
    return RenewalService(given, lambda principal, session_id: check(asked, principal, 1, session_id), MARK)


class Stream:
    """Envoy's end of a stream: says the messages, and keeps the replies; ``ended`` is the status of an abort."""

    def __init__(self, *messages: pb.ProcessingRequest) -> None:
        self.messages = list(messages)
        self.replies: list[pb.ProcessingResponse] = []
        self.ended: grpc.StatusCode | None = None

    async def read(self) -> object:
        return self.messages.pop(0) if self.messages else grpc.aio.EOF

    async def write(self, reply: pb.ProcessingResponse) -> None:
        self.replies.append(reply)

    async def abort(self, code: grpc.StatusCode, _details: str) -> None:
        self.ended = code


async def replies(service: RenewalService, *messages: pb.ProcessingRequest) -> list[pb.ProcessingResponse]:
    stream = Stream(*messages)
    await service.Process(cast("Any", None), cast("Any", stream))
    assert stream.ended is None
    return stream.replies


def message(handle: str, status: str = "") -> pb.ProcessingRequest:
    made = pb.ProcessingRequest()
    fields = made.metadata_context.filter_metadata["envoy.filters.http.ext_authz"].fields
    fields["credential"].string_value = handle
    fields["handoff"].string_value = HANDOFF.to_json()
    part = made.response_headers if status else made.request_headers
    header = part.headers.headers.add()
    header.key, header.raw_value = (":status", status.encode()) if status else (":path", b"/mcp")
    return made


async def test_a_second_attempt_gets_what_is_good_now() -> None:
    given = Given(secret="renewed-once")
    reply, told = await replies(renewing(given), message("handle"), message("handle", "401"))
    (option,) = reply.request_headers.response.header_mutation.set_headers
    assert (option.header.key, option.header.raw_value) == ("authorization", b"Bearer renewed-once")
    (option,) = told.response_headers.response.header_mutation.set_headers
    assert option.header.key == HEADER
    assert read(option.header.raw_value.decode()) == telltales_of([b"renewed-once"], MARK)
    # Another filter hears of that, with the answers to first attempts.
    assert given.refusals == []


@pytest.mark.parametrize("given", [Given(handle="another"), Given(error=CredentialUnavailable("away"))])
async def test_there_is_no_second_attempt_without_another_credential(given: Given) -> None:
    [reply] = await replies(renewing(given), message("handle"))
    assert reply.immediate_response.status.code == 502
    assert reply.immediate_response.details == NO_CREDENTIAL


@pytest.mark.parametrize("kind", ["principal", "session", "not known"])
async def test_whoever_was_revoked_meanwhile_sends_nothing_once_more(kind: str) -> None:
    revocations = FakeRevocations()
    if kind == "principal":
        revocations.revoke(revocation(RevocationKind.PRINCIPAL, "alice", "https://idp.test"))
    elif kind == "session":
        revocations.revoke(revocation(RevocationKind.SESSION, "session-1"))
    else:
        revocations.fresh = False
    [reply] = await replies(renewing(Given(secret="renewed"), revocations), message("handle"))
    assert reply.immediate_response.status.code == 502
    assert b"renewed" not in reply.SerializeToString()


async def test_a_call_of_nobody_is_not_sent_once_more() -> None:
    asked = message("handle")
    del asked.metadata_context.filter_metadata["envoy.filters.http.ext_authz"].fields["handoff"]
    stream = Stream(asked)
    await renewing(Given()).Process(cast("Any", None), cast("Any", stream))
    assert stream.ended is grpc.StatusCode.INTERNAL
    assert stream.replies == []


async def test_only_a_401_is_a_refusal() -> None:
    given = Given()
    for status in ("200", "403", "500", "401"):
        [reply] = await replies(renewing(given), message("handle", status))
        assert reply.WhichOneof("response") == "response_headers"
    assert given.refusals == ["handle"]
