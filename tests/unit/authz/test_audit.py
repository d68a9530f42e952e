"""The door to the recorder vouches for whoever has a token for the gateway, and opens the rest for auditors only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from countersign.authz.audit import AuditDoor
from countersign.authz.envoy import Answer, Forward, Inquiry
from countersign.identity import IdentityUnavailable, Unidentified
from countersign.mcp import HttpRequest
from countersign.model.door import PRINCIPAL_HEADER
from countersign.model.principal import Principal
from countersign.runtime.rulebook import Rulebook
from tests.unit.authz.bench import ALICE, GATEWAY, NOW_US, SEALER, Bench, Verifier

SESSIONS = "/countersign.api.recorder.v1.SessionService/ListSessions"
REVIEW = "/countersign.api.access.v1.ToolReviewService/AcceptTools"
REVOKE = "/countersign.api.access.v1.RevocationService/Revoke"
APPROVALS = "/countersign.api.approvals.v1.ApprovalService/DecideApproval"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
CAROL = replace(ALICE, subject="carol", groups=("auditors",))


class Asking(Verifier):
    """Takes everybody for ``principal``, and notes for whom tokens had to be."""

    def __init__(self, principal: Principal) -> None:
        super().__init__()
        self.principal = principal
        self.audiences: list[str] = []

    async def verify(self, authorization: str | None, audience: str) -> Principal:
        self.audiences.append(audience)
        await super().verify(authorization, audience)
        return self.principal


class Door:
    """The door, with a verifier that the test controls."""

    def __init__(self, folder: Path, cache_dir: Path, principal: Principal = ALICE) -> None:
        path = folder / "gateway.yaml"
        path.write_text(GATEWAY + "auditors: {groups: [auditors]}\n")
        rulebook = Rulebook(path, {}, cache_dir, reads=())
        self.bench, self.verifier = Bench(rulebook), Asking(principal)
        self._door = AuditDoor(rulebook, self.verifier, SEALER, self.bench.judge, lambda: NOW_US)

    async def ask(self, path: str) -> Forward | Answer:
        headers = {"authorization": "Bearer x", PRINCIPAL_HEADER: "forged"}
        return await self._door.admit(Inquiry("audit", "", HttpRequest("POST", headers, b""), path, "192.0.2.7", ""))


@pytest.mark.parametrize("path", [SESSIONS, REVIEW, REVOKE, APPROVALS])
async def test_the_recorder_is_told_who_was_verified_and_never_gets_the_token(
    tmp_path: Path, rules_cache: Path, path: str
) -> None:
    door = Door(tmp_path, rules_cache)
    answer = await door.ask(path)
    assert isinstance(answer, Forward)
    assert SEALER.open_principal(answer.set_headers[PRINCIPAL_HEADER]) == ALICE
    assert "authorization" in answer.remove_headers
    # No masker has to do with it, and no target.
    assert answer.handoff is None
    assert door.verifier.audiences == ["https://gateway.test"]


async def test_what_the_recorder_does_not_record_is_for_auditors_only(tmp_path: Path, rules_cache: Path) -> None:
    refused = await Door(tmp_path, rules_cache).ask(REFLECTION)
    assert isinstance(refused, Answer)
    assert refused.reply.status == 403
    assert isinstance(await Door(tmp_path, rules_cache, CAROL).ask(REFLECTION), Forward)


@pytest.mark.parametrize("path", [SESSIONS, REVIEW, REVOKE, APPROVALS, REFLECTION])
async def test_nobody_gets_in_unidentified_and_the_attempt_is_recorded(
    tmp_path: Path, rules_cache: Path, path: str
) -> None:
    door = Door(tmp_path, rules_cache)
    door.verifier.error = Unidentified("no bearer token", presented=False)
    answer = await door.ask(path)
    assert isinstance(answer, Answer)
    assert answer.reply.status == 401
    assert [event.reason for event in door.bench.sink.durable] == ["no bearer token"]
    door.verifier.error = IdentityUnavailable("no keys")
    answer = await door.ask(path)
    assert isinstance(answer, Answer)
    assert answer.reply.status == 503
