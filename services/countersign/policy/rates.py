"""Rate limits, applied: who has called a target as often as it may, and when the next call may come. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from countersign.model.principal import Principal
from countersign.model.rule import Effect, RateLimit, Rule, Selector, Window
from countersign.model.situation import Usage
from countersign.model.windows import TIERS, Departure
from countersign.policy.matcher import Matcher

_WORDS: Mapping[Window, str] = MappingProxyType({Window.MINUTE: "minute", Window.HOUR: "hour", Window.DAY: "24 hours"})
_SECOND_US = 1_000_000


class RateLimits:
    """The limits of one version of gateway.yaml. Immutable; the order of limits means nothing."""

    def __init__(self, limits: Sequence[RateLimit]) -> None:
        # So that of several limits always the same is named.
        ordered = sorted(limits, key=lambda one: (-TIERS[one.window].window_us, one.calls, one.name))
        self._limits = tuple(_Bound(limit) for limit in ordered)

    def bind(self, principal: Principal, target: str) -> bool:
        """Whether any limit is about this principal at this target, and so needs its usage."""
        return any(bound.is_about(principal, target) for bound in self._limits)

    def exceeded(self, principal: Principal, target: str, usage: Usage, *, more: int = 1) -> tuple[RateLimit, ...]:
        """Return the limits that ``more`` calls beyond ``usage`` would break, those with the longest window first.

        Ask it for calls that are counted, not for connection methods; for a batch, ``more`` is how many it holds.
        """
        return tuple(
            bound.limit
            for bound in self._limits
            if bound.is_about(principal, target) and _calls(usage, bound.limit.window) + more > bound.limit.calls
        )


def retry_after_s(limit: RateLimit, leaving: Iterable[Departure], *, more: int = 1) -> int:
    """Return in how many seconds (at least 1) enough calls have left the window for ``more`` to pass.

    ``leaving`` are all calls in the limit's window. Where that is never (a batch larger than the limit), the whole
    window.
    """
    ordered = sorted(leaving, key=lambda one: one.after_us)
    excess = sum(one.calls for one in ordered) + more - limit.calls
    longest_us = TIERS[limit.window].window_us
    wait_us = 0
    for departure in ordered:
        if excess <= 0:
            break
        excess -= departure.calls
        wait_us = departure.after_us
    if excess > 0:
        wait_us = max(wait_us, longest_us)
    return max(1, -(-wait_us // _SECOND_US))


def describe(limit: RateLimit, *, more: int = 1) -> str:
    """Return what a caller is told of the limit that ``more`` calls at once hit."""
    calls = "1 call" if limit.calls == 1 else f"{limit.calls} calls"
    named = f'the rate limit "{limit.name}" ({calls} in any {_WORDS[limit.window]})'
    return f"{named} is reached" if more <= limit.calls else f"{named} never lets {more} calls pass at once"


class _Bound:
    """A limit with its globs compiled."""

    __slots__ = ("_matcher", "limit")

    def __init__(self, limit: RateLimit) -> None:
        given = limit.selector
        selector = Selector(
            groups=given.groups,
            principals=given.principals,
            kinds=given.kinds,
            actors=given.actors,
            targets=given.targets,
        )
        self.limit = limit
        self._matcher = Matcher(Rule(limit.name, Effect.DENY, selector))

    def is_about(self, principal: Principal, target: str) -> bool:
        return self._matcher.reaches(target) and self._matcher.knows(principal)


def _calls(usage: Usage, window: Window) -> int:
    match window:
        case Window.MINUTE:
            return usage.calls_1m
        case Window.HOUR:
            return usage.calls_1h
        case Window.DAY:
            return usage.calls_24h
