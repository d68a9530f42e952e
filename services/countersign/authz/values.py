"""A request whose tokens become values on their way: judged again as its target gets it.

Whoever chooses what a masked field holds chooses what a token stands for; what no rule would let pass in plain words
must not pass as a token of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from countersign.jsontext import parse, value_span
from countersign.model.call import Call
from countersign.model.decision import Decision, Outcome


def with_values(calls: Sequence[Call], text: str, *, max_depth: int) -> tuple[Call, ...]:
    """Return the calls of a request as its ``text`` says them, which differs from theirs in arguments alone."""
    document = parse(text, max_depth=max_depth)
    is_batch = isinstance(document.root, list)

    def params(index: int) -> str:
        span = value_span(document, (index, "params") if is_batch else ("params",))
        return "" if span is None else document.text[slice(*span)]

    return tuple(replace(call, params_json=params(index)) for index, call in enumerate(calls))


def with_both(said: Sequence[Decision], meant: Sequence[Decision]) -> tuple[Decision, ...]:
    """Return what becomes of calls, from what was decided of them with tokens and of the same with values.

    The values go along only where both let the call pass and hand them over; the answer gets the masks of both.
    """
    return tuple(map(_both, said, meant))


def _both(said: Decision, meant: Decision) -> Decision:
    if meant.outcome is Outcome.DENY:
        reason = f"with the values of its tokens: {meant.reason}"
        return replace(
            said, outcome=Outcome.DENY, rules=meant.rules, masks=(), reason=reason, message=meant.message, unmask=False
        )
    masks, unmask = tuple(sorted({*said.masks, *meant.masks})), said.unmask and meant.unmask
    asking = [each for each in (said, meant) if each.outcome is Outcome.APPROVE]
    if not asking:
        return replace(said, masks=masks, unmask=unmask)
    # Whoever is asked about either must agree; alone its caller may only where both say so.
    rules = tuple(sorted({name for each in asking for name in each.rules}))
    glass = tuple(name for name in asking[0].glass if all(name in each.glass for each in asking))
    return replace(asking[0], masks=masks, unmask=unmask, rules=rules, glass=glass)
