"""Screening as a step of an answer's way: its strings, the texts in its files, and how large it is. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from countersign.jsontext import JsonText, apply_edits, check
from countersign.masker.withheld import SHOWN
from countersign.masking import Blobs, Masked
from countersign.masking.places import bounded
from countersign.model.event import Finding
from countersign.model.handoff import Handoff
from countersign.screening import Dangerous, Oversized, Screen, Screened, Screening, cut_text, fitted

if TYPE_CHECKING:
    from countersign.masker.content import Content, Shows

_Cut = Callable[[str, int, Oversized], tuple[str, tuple[Finding, ...]]]
# What these answer is put before a model as it is. A listing is whole, or of no use.
_BOUNDED = frozenset({"tools/call", "prompts/get", "resources/read"})


class Screens:
    """Screens the answers to one request as its target's ``screening`` says. All methods raise ``Dangerous``.

    ``shows`` is asked of what is to be cut: a cut must not leave of a credential all but its last character.
    """

    def __init__(self, screening: Screening, blobs: Blobs, handoff: Handoff, shows: Shows, *, max_depth: int) -> None:
        self._screen = Screen(screening, max_depth=max_depth)
        self._blobs = blobs
        self._max_depth = max_depth
        asked = {call.method for call in handoff.calls}
        self._bound = screening.text_bytes if asked <= _BOUNDED else None
        self._how = screening.oversized
        self._shows = shows

    def message(self, body: JsonText, *, free: bool) -> Screened:
        """Screen a JSON message; ``free`` one that may be none of MCP. A key may have become another's: read it again.

        Raises ``NotMaskable`` as ``Blobs`` does, too.
        """
        screened = self._screen.json(body, free=free)
        said = body if screened.text is None else check(screened.text, max_depth=self._max_depth)
        edits, in_files = self._blobs.masked(said, self._file)
        text = apply_edits(said.text, edits) if edits else screened.text
        return Screened(text, bounded((*screened.findings, *in_files)))

    def text(self, text: str) -> Screened:
        """Screen a plain text."""
        screened = self._screen.text(text)
        return Screened(screened.text, bounded(screened.findings))

    def fitted(self, content: Content) -> Content:
        """Cut a result that is too large, once it is masked: no cut may hide half a value from a mask."""
        return self._cut(content, fitted)

    def fitted_text(self, content: Content) -> Content:
        """Cut a plain text likewise."""
        return self._cut(content, cut_text)

    def _cut(self, content: Content, cut: _Cut) -> Content:
        bound = self._bound
        if bound is None or len(content.released) <= bound:
            return content
        if self._shows(content.released):
            raise Dangerous(SHOWN)
        released, found = cut(content.released.decode(), bound, self._how)
        if not found:
            return content
        # Its masks may have made it longer than what is released; nobody sees more in the record than the caller did.
        recorded, _ = cut(content.recorded.decode(), bound, self._how)
        return replace(
            content, released=released.encode(), recorded=recorded.encode(), findings=content.findings + found
        )

    def _file(self, data: bytes) -> Masked:
        screened = self._screen.text(data.decode())
        return Masked(data if screened.text is None else screened.text.encode(), screened.findings)
