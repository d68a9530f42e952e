"""A judge whom callers come back to, and what they come back with."""

from __future__ import annotations

from pathlib import Path

import pytest

from countersign.authz.envoy import Answer, Forward, Inquiry
from countersign.config import SecretUse
from countersign.mcp import Handle, HandleKind
from countersign.runtime.handles import HandleOwner
from countersign.runtime.moments import new_id
from countersign.runtime.rulebook import Rulebook
from countersign.runtime.sealing import SealedSession
from tests.unit.authz.bench import ALICE, CREDENTIAL, GATEWAY, SEALER, Bench, inquiry

MODERN = "2026-07-28"
TASKS = "io.modelcontextprotocol/tasks"
CARD = "4111 1111 " + "1111 1111"
MORE = """
  - {name: no forms, deny: {methods: [elicitation/create], targets: [orders]}, message: Fill in no forms.}
"""


def text_of(*, more: str = "", target: str = "") -> str:
    text = GATEWAY.replace("masks: {pii", f"{more}masks: {{cards: {{detect: [credit_card]}}, pii")
    return text.replace("  statements:", f"  {target}statements:")


def rulebook_of(path: Path, cache: Path, text: str) -> Rulebook:
    path.write_text(text)
    return Rulebook(path, {"ORDERS_TOKEN": CREDENTIAL}, cache, reads={SecretUse.TARGETS})


@pytest.fixture
def bench(tmp_path: Path, rules_cache: Path) -> Bench:
    return Bench(rulebook_of(tmp_path / "gateway.yaml", rules_cache, GATEWAY))


class Session:
    """A legacy session of alice's, in which its target asks."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.id = new_id()
        self.sealed = SEALER.seal_session(ALICE, "orders", SealedSession("theirs", self.id))
        self.owner = HandleOwner(self.id, ALICE.issuer, ALICE.subject, "orders")

    async def asked(self, id_json: str, method: str = "elicitation/create") -> None:
        await self.bench.handles.keep(self.owner, [Handle(HandleKind.REQUEST, id_json, method)])

    def inquiry(self, body: object, **headers: str) -> Inquiry:
        return inquiry(body, mcp_session_id=self.sealed, **headers)

    async def ask(self, body: object, **headers: str) -> Forward | Answer:
        return await self.bench.ask(self.inquiry(body, **headers))


def answer(rpc_id: object = 7, **said: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": rpc_id, **(said or {"result": {"action": "accept", "content": {"name": "x"}}})}


def modern(
    params: dict[str, object],
    method: str = "tools/call",
    name: str = "query",
    *,
    can: dict[str, object] | None = None,
) -> Inquiry:
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": can if can is not None else {"extensions": {TASKS: {}}},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
    return inquiry(body, mcp_protocol_version=MODERN, mcp_method=method, mcp_name=name)


ALICES = HandleOwner("", ALICE.issuer, ALICE.subject, "orders")
