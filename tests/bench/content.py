"""What treats the answers to one call, as the masker service has it."""

from __future__ import annotations

from collections.abc import Iterable

from countersign.masker.body import Body
from countersign.masker.content import ContentMasker
from countersign.masker.declared import Declared
from countersign.masker.tools import ToolGate
from countersign.masking import Blobs, MaskCatalog
from countersign.mcp import Era
from countersign.model.handoff import HandedCall, Handoff
from countersign.model.principal import Principal, PrincipalKind
from countersign.model.rule import Mask
from countersign.policy import Policy
from countersign.runtime.aside import Aside
from countersign.runtime.memory import give_back_large_blocks
from tests.support.pins import FakePins

__all__ = ["Body", "content_masker", "give_back_large_blocks"]

_DEPTH = 64


def content_masker(catalog: MaskCatalog, masks: Iterable[Mask]) -> ContentMasker:
    """Make one for the answer to a call of a tool, with id 1, whose caller gets these masks."""
    caller = Principal("https://idp.example", "bench", (), PrincipalKind.AGENT, "token")
    names = tuple(mask.name for mask in masks)
    call = HandedCall("1", "tools/call", "rows")
    gate = ToolGate(FakePins(), "target", catalog.for_records(), Aside(from_bytes=1, at_once=1), allow_new=False)
    return ContentMasker(
        Handoff("session", "call", 0, "target", Era.LEGACY.value, caller, (call,), names, "version"),
        Policy([], version="version"),
        catalog,
        gate,
        Blobs(refuse_binary=False),
        Declared({}, max_depth=_DEPTH),
        max_depth=_DEPTH,
    )
