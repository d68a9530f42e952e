"""What Envoy hands to the bridge: the judged body, and for whom authz vouches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from countersign.bridge.sessions import Whose
from countersign.config import GatewayConfig, Target
from countersign.jsontext import Document, JsonRefused, JsonValue, parse
from countersign.mcp import Era, MessageKind
from countersign.mcp.eras import MODERN_VERSION
from countersign.mcp.errors import malformed
from countersign.mcp.message import read_envelope, read_id
from countersign.model.door import PRINCIPAL_HEADER, SESSION_HEADER
from countersign.runtime.sealing import Sealer, Unsealable

SESSION_ID_HEADER = "mcp-session-id"
VERSION_HEADER = "mcp-protocol-version"


class NotVouchedFor(Exception):
    """It did not come by way of authz."""


@dataclass(frozen=True, slots=True)
class Posted:
    """One JSON-RPC message of a client; ``method`` is empty for an answer."""

    document: Document
    kind: MessageKind
    method: str
    id_json: str


def whose(headers: Mapping[str, str], sealer: Sealer) -> Whose:
    """Return the caller. Raises ``NotVouchedFor``."""
    sealed, recorded = headers.get(PRINCIPAL_HEADER, ""), headers.get(SESSION_HEADER, "")
    if not sealed or not recorded:
        raise NotVouchedFor
    try:
        return Whose(sealer.open_principal(sealed), recorded)
    except Unsealable:
        raise NotVouchedFor from None


def target_at(path: str, config: GatewayConfig) -> Target | None:
    """Return the target that is served at this path under what gateway.yaml states now."""
    target = config.targets.get(path.strip("/").partition("/")[0])
    return (
        target if target is not None and target.stdio is not None and target.stdio.path(target.name) == path else None
    )


def era_of(headers: Mapping[str, str]) -> Era:
    """Return the era of a request; authz saw to it that header and body agree."""
    return Era.MODERN if headers.get(VERSION_HEADER) == MODERN_VERSION else Era.LEGACY


def read_post(body: bytes, max_depth: int) -> Posted:
    """Read a body that was judged already, as strictly as it was then. Raises ``McpRefused``."""
    try:
        document = parse(body, max_depth=max_depth)
    except JsonRefused:
        raise malformed("the body is not JSON") from None
    root: JsonValue = document.root
    if isinstance(root, list):
        raise malformed("this target takes one message at a time, and no batches")
    if not isinstance(root, dict):
        raise malformed("a message must be an object")
    rpc_id, id_json = read_id(root)
    envelope = read_envelope(document, rpc_id, id_json)
    return Posted(document, envelope.kind, envelope.method, id_json)
