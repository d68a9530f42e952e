"""Whoever is revoked while a call is judged, waits or is recorded: nothing is sent, and they hear 401."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from countersign.authz.audit import AuditDoor
from countersign.authz.envoy import Answer, Forward, Inquiry
from countersign.config import SecretUse
from countersign.identity import IdentityUnavailable, Unidentified
from countersign.model.approval import ApprovalState
from countersign.model.event import EventKind
from countersign.model.principal import Principal
from countersign.model.revocation import RevocationKind
from countersign.runtime.rulebook import Rulebook
from tests.support.revoking import of_principal, revocation
from tests.unit.authz.approving.test_stage import Waiting
from tests.unit.authz.bench import ALICE, GATEWAY, SEALER, Bench, Verifier, call, inquiry


@pytest.fixture
def bench(tmp_path: Path, rules_cache: Path) -> Bench:
    path = tmp_path / "gateway.yaml"
    path.write_text(GATEWAY)
    return Bench(Rulebook(path, {"ORDERS_TOKEN": "t"}, rules_cache, reads={SecretUse.TARGETS}))


@pytest.fixture
async def waiting(tmp_path: Path, rules_cache: Path) -> AsyncIterator[Waiting]:
    found = Waiting(tmp_path / "gateway.yaml", rules_cache)
    yield found
    await found.bench.desk.close()


def refused(answer: Forward | Answer) -> str:
    """Why the token was refused, as the caller is told."""
    assert isinstance(answer, Answer)
    assert answer.reply.status == 401
    challenge = dict(answer.reply.headers)["www-authenticate"]
    assert 'error="invalid_token"' in challenge
    return challenge.partition('error_description="')[2].rstrip('"')


async def test_a_revoked_session_is_over_for_a_good_token(bench: Bench) -> None:
    passed = await bench.ask(inquiry(call()))
    assert isinstance(passed, Forward)
    bench.verifier.revocations.revoke(revocation(RevocationKind.SESSION, passed.summary.session))
    found = await bench.ask(inquiry(call()))
    assert refused(found) == "the session was revoked"
    assert bench.sink.durable[-1].kind is EventKind.REFUSED


async def test_a_call_that_waits_to_be_recorded_is_not_sent_once_its_caller_is_revoked(bench: Bench) -> None:
    bench.sink.open.clear()
    asked = asyncio.ensure_future(bench.ask(inquiry(call())))
    await bench.sink.asked.wait()
    bench.verifier.revocations.revoke(of_principal(ALICE))
    bench.sink.open.set()
    assert refused(await asked) == "the token was revoked"
    request, end, attempt = bench.sink.durable
    assert (request.kind, end.kind, attempt.kind) == (EventKind.REQUEST, EventKind.RESPONSE, EventKind.REFUSED)
    assert (end.session_id, end.call_id) == (request.session_id, request.call_id)
    assert end.reason == "the token was revoked: nothing was sent"


async def test_a_call_is_not_sent_once_nobody_knows_who_is_revoked(bench: Bench) -> None:
    bench.sink.open.clear()
    asked = asyncio.ensure_future(bench.ask(inquiry(call())))
    await bench.sink.asked.wait()
    bench.verifier.revocations.forget()
    bench.sink.open.set()
    found = await asked
    assert isinstance(found, Answer)
    assert found.reply.status == 503
    again = await bench.ask(inquiry(call()))
    assert isinstance(again, Answer)
    assert again.reply.status == 503


async def test_the_record_says_which_revocation_it_was_and_the_caller_does_not_hear_it(bench: Bench) -> None:
    made = of_principal(ALICE)
    bench.verifier.revocations.revoke(made)
    with pytest.raises(Unidentified) as caught:
        bench.verifier.still(ALICE)
    bench.verifier.error = caught.value
    found = await bench.ask(inquiry(call()))
    assert refused(found) == "the token was revoked"
    assert isinstance(found, Answer)
    assert made.revocation_id.encode() not in found.reply.body
    assert made.revocation_id in bench.sink.durable[-1].reason
    assert "stolen" not in bench.sink.durable[-1].reason


@pytest.mark.parametrize("era", ["legacy", "modern"])
@pytest.mark.parametrize("known", [True, False], ids=["revoked", "unknown"])
async def test_a_call_that_is_held_for_people_ends_at_once(waiting: Waiting, era: str, *, known: bool) -> None:
    ask = waiting.legacy if era == "legacy" else waiting.modern
    held = asyncio.ensure_future(ask({"table": "a"}))
    await waiting.pending()
    if known:
        waiting.bench.verifier.revocations.revoke(of_principal(ALICE))
        assert refused(await held) == "the token was revoked"
    else:
        waiting.bench.verifier.revocations.forget()
        found = await held
        assert isinstance(found, Answer)
        assert found.reply.status == 503
    assert not [event for event in waiting.bench.sink.durable if event.kind is EventKind.REQUEST]


async def test_what_people_agreed_to_is_not_sent_for_one_who_is_revoked(waiting: Waiting) -> None:
    """The grant must not be taken, either: it is not theirs any more."""
    held = asyncio.ensure_future(waiting.modern({"table": "a"}))
    approval = await waiting.pending()
    waiting.bench.verifier.revocations.known.put(of_principal(ALICE))  # and nobody is told
    await waiting.decide(approval)
    assert refused(await held) == "the token was revoked"
    assert (await waiting.store.get(approval.id)).state is ApprovalState.APPROVED


async def test_the_audit_door_is_shut_for_the_revoked(bench: Bench, tmp_path: Path, rules_cache: Path) -> None:
    class Real(Verifier):
        async def verify(self, authorization: str | None, audience: str) -> Principal:
            found = await super().verify(authorization, audience)
            self.still(found)
            return found

    verifier = Real()
    rulebook = Rulebook(tmp_path / "gateway.yaml", {"ORDERS_TOKEN": "t"}, rules_cache, reads={SecretUse.TARGETS})
    door = AuditDoor(rulebook, verifier, SEALER, bench.judge, lambda: 1)
    asked = replace(inquiry(), route="audit", path="/countersign.api.recorder.v1.SessionService/ListSessions")
    assert isinstance(asked, Inquiry)
    assert isinstance(await door.admit(asked), Forward)
    verifier.revocations.revoke(of_principal(ALICE))
    assert refused(await door.admit(asked)) == "the token was revoked"
    verifier.revocations.forget()
    found = await door.admit(asked)
    assert isinstance(found, Answer)
    assert found.reply.status == 503
    with pytest.raises(IdentityUnavailable):
        verifier.still(ALICE)
