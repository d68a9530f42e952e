"""What is marked as masked in a body is what masks replaced, and not a text in which something was hidden."""

from __future__ import annotations

import pytest

from countersign.api.recorder.v1 import event_pb2
from countersign.cli.placeholders import MASKED, pretty


def marked(label: str) -> bool:
    """Whether the one text of a body is marked where a finding of this label says so."""
    event = event_pb2.Event(body=b'{"result":{"text":"plain"}}')
    event.findings.add(label=label, place="$.result.text", count=1)
    return any(span.style == MASKED for line in pretty(event, whole=True) for span in line.spans)


@pytest.mark.parametrize(
    ("label", "is_masked"),
    [("EMAIL", True), ("HIDDEN_TEXT", False), ("TAG_CHARACTERS", False), ("ANSI_ESCAPES", False), ("OVERSIZED", False)],
)
def test_only_what_masks_found_is_marked(label: str, is_masked: bool) -> None:
    assert marked(label) is is_masked
