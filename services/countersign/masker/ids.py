"""The ids of answers: the caller's own, by which it knows its answer, so they come back to it as it sent them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from countersign.jsontext import Document, Edit, JsonValue, apply_edits, check, value_span
from countersign.mcp.message import id_text
from countersign.model.event import Finding


def with_own_ids(
    document: Document, masked: bytes, findings: Sequence[Finding], asked: Collection[str], *, max_depth: int
) -> bytes:
    """Return the masked form of ``document`` with those ids unmasked that are in ``asked`` (as JSON texts).

    An id may look like somebody's number, or be called by a name that a mask's fields hold.
    """
    # Of many findings only some places, or none, are known.
    if not any(finding.place.endswith(".id") or not finding.place for finding in findings):
        return masked
    after = check(masked, max_depth=max_depth)
    edits: list[Edit] = []
    for path, value in _ids(document.root):
        was, is_now = value_span(document, path), value_span(after, path)
        if was is not None and is_now is not None and id_text(value) in asked:
            edits.append(Edit(*is_now, document.text[slice(*was)]))
    return apply_edits(after.text, edits).encode()


def only_ids(root: JsonValue) -> JsonValue:
    """Return what :func:`with_own_ids` reads of the root of a document: the ids, where they stand."""
    if isinstance(root, list):
        return [only_ids(each) if isinstance(each, dict) else None for each in root]
    return {"id": root["id"]} if isinstance(root, dict) and "id" in root else None


def _ids(root: JsonValue) -> list[tuple[tuple[str | int, ...], JsonValue]]:
    if isinstance(root, list):
        return [
            ((index, "id"), each["id"]) for index, each in enumerate(root) if isinstance(each, dict) and "id" in each
        ]
    return [(("id",), root["id"])] if isinstance(root, dict) and "id" in root else []
