"""Exports of sessions, with bytes changed by whoever wants them to say something else."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence

from countersign.audit import Invalid, verify_export
from tests.support.audited import NOW_S, Record, policy, resealed


def seeds() -> Sequence[bytes]:
    """A true export."""
    return [_EXPORT]


def verify_changed(data: bytes) -> None:
    """What is VALID says what the true export says, with or without bodies; a digest made anew changes nothing."""
    lines = data.splitlines(keepends=True)
    for content in (data, resealed(lines[:-1])):
        try:
            report = verify_export(io.BytesIO(content), policy(), now_s=NOW_S)
        except Invalid:
            continue
        assert report.seal is None or _said(content) == _said(_EXPORT)


def _said(export: bytes) -> list[str]:
    return [json.loads(line)["leaf"] for line in export.splitlines()[1:-2]]


def _export() -> bytes:
    record = Record()
    record.event("a", b'{"id":7}')
    record.event("b")
    record.event("a", kind="response")
    record.seal("a")
    return record.export("a")


_EXPORT = _export()
