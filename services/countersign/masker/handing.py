"""What of an answer its caller can come back with, once it is masked: as it was written, or sealed. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from countersign.jsontext import Edit, apply_edits, parse, quote, value_span
from countersign.mcp import AnswerKind, Era, Handle, HandleKind, check_answer, shown_handles
from countersign.runtime.sealing import is_sealed_state, is_wait

Seal = Callable[[str], str]
"""Return a target's state as its caller, and nobody else, can hand it back without seeing what it says."""


@dataclass(frozen=True, slots=True)
class Handing:
    """How the handles of an answer are handed out. ``methods`` are what messages with these ids (JSON texts) answer.

    Without ``seal`` nobody can come back with a state that masks changed.
    """

    era: Era
    methods: Mapping[str, str]
    max_depth: int
    seal: Seal | None = None

    def out(self, released: bytes, shown: Sequence[Handle]) -> tuple[bytes, tuple[Handle, ...]]:
        """Return a masked answer as its caller gets it, and which of the handles ``shown`` by its target it has then.

        What masks changed nobody can come back with, but for a state, which is sealed.
        """
        document = parse(released, max_depth=self.max_depth)
        answers = check_answer(document, era=self.era, expected_ids=None, in_stream=True)
        left = shown_handles(document, answers, [self.methods.get(answer.id_json) for answer in answers])
        kept = tuple(handle for handle in left if handle in shown)
        states = [handle for handle in shown if handle.kind is HandleKind.STATE]
        results = [answer for answer in answers if answer.kind is AnswerKind.RESULT]
        # Older clients know no states; and where nobody can say which of several it was, none is sealed.
        if self.seal is None or self.era is not Era.MODERN or len(states) != 1 or len(results) != 1:
            return released, kept
        state, span = states[0], value_span(document, (*results[0].path, "result", "requestState"))
        # One that reads like ours is of another gateway behind this one: only sealed it will not be opened here.
        if span is None or (state in kept and not _like_ours(state.value)):
            return released, kept
        # What it says bare must not be good for anything: else callers could find out by guessing what was masked.
        sealed = replace(state, value=self.seal(state.value))
        text = apply_edits(document.text, [Edit(*span, quote(sealed.value))])
        return text.encode(), (*(handle for handle in kept if handle != state), sealed)


def _like_ours(state: str) -> bool:
    return is_sealed_state(state) or is_wait(state)
