"""Two observations of one pair, directly and through the gateway: equal, but for what must differ."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tests.matrix.steps import FEATURES, Saw, Step

# What is new each time that a server is asked, and what the gateway may change: it filters and masks for one caller.
_NEW_EACH_TIME = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "<uuid>"),
    (re.compile(r"\bT?[0-9a-f]{32}\b"), "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"), "<instant>"),
    (re.compile(r"\d{1,2}:\d\d:\d\d [AP]M"), "<time>"),
)
# Other calls in the modern era, which have nothing of it.
_LEGACY_ALONE = frozenset({"resumption"})
_DROPPED = frozenset({"cacheScope"})
# Lines of a log that a server writes of its own affairs, whenever it comes to it.
_OWN_AFFAIRS = re.compile(r"Roots updated: |Received (Uns|S)ubscribe Resource request")
_UPDATED = "notifications/resources/updated"


class Verdict(StrEnum):
    """What a feature of a pair is, through the gateway."""

    SAME = "same"
    DIFFERS = "differs"
    EXPLAINED = "explained"
    NOT_OFFERED = "not offered"


@dataclass(frozen=True, slots=True)
class Difference:
    """A step of which something else was seen through the gateway."""

    client: str
    server: str
    step: str
    direct: str
    gateway: str

    def __str__(self) -> str:
        at = next((at for at, (a, b) in enumerate(zip(self.direct, self.gateway, strict=False)) if a != b), 0)
        start = max(0, at - 60)
        return (
            f"{self.client} with {self.server}, {self.step}:\n"
            f"   directly: …{self.direct[start : at + 240]}\n   gateway:  …{self.gateway[start : at + 240]}"
        )


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a step may differ; ``None`` stands for every client or server."""

    step: str
    why: str
    client: str | None = None
    server: str | None = None

    def explains(self, difference: Difference) -> bool:
        """Whether it speaks of that difference."""
        return (
            self.step == difference.step
            and self.client in (None, difference.client)
            and self.server in (None, difference.server)
        )


@dataclass(frozen=True, slots=True)
class Compared:
    """A cell of the matrix. ``version`` is the protocol's that client and server agreed on, as the client tells."""

    version: str
    verdicts: Mapping[str, Verdict]
    unexplained: Sequence[Difference]
    reasons: frozenset[Reason]


def compare(
    client: str,
    server: str,
    steps: Sequence[Step],
    direct: Iterable[Saw],
    gateway: Iterable[Saw],
    known: Sequence[Reason],
) -> Compared:
    """Compare what was seen step by step.

    Raises:
        AssertionError: when nothing was seen directly: there would be nothing to compare.
    """
    sides = [{saw.step: saw.what for saw in side} for side in (direct, gateway)]
    straight = sides[0]
    features = {"connect": "connect", "broke": "connect", **{step.name: step.feature for step in steps}}
    assert "connect" in straight, f"{client} does not reach {server} even directly: {straight}"
    assert len(straight) > 3, f"{client} does nothing with {server}: {straight}"
    unexplained, reasons = [], set()
    found: dict[str, Verdict] = {}
    for name in features:
        seen = [_settled(side[name]) if name in side else "nothing" for side in sides]
        if seen == ["nothing", "nothing"]:
            continue
        feature = features[name]
        if feature in _LEGACY_ALONE and straight["connect"]["version"] >= "2026" and seen[0] == seen[1]:
            continue
        if seen[0] != seen[1]:
            difference = Difference(client, server, name, *seen)
            reason = next((each for each in known if each.explains(difference)), None)
            if reason is None:
                unexplained.append(difference)
                found[feature] = Verdict.DIFFERS
            else:
                reasons.add(reason)
                if found.get(feature) != Verdict.DIFFERS:
                    found[feature] = Verdict.EXPLAINED
        elif feature not in found and (feature == "errors" or _offered(straight.get(name))):
            found[feature] = Verdict.SAME
    verdicts = {feature: found.get(feature, Verdict.NOT_OFFERED) for feature in FEATURES}
    return Compared(straight["connect"]["version"], verdicts, unexplained, frozenset(reasons))


def _offered(what: Any) -> bool:
    if not isinstance(what, Mapping) or "result" not in what:
        return isinstance(what, Mapping) and "version" in what
    result = what["result"]
    return not (isinstance(result, Mapping) and result.get("isError"))


def _settled(what: Any) -> str:
    text = json.dumps(_without(what), sort_keys=True, ensure_ascii=False)
    for pattern, instead in _NEW_EACH_TIME:
        text = pattern.sub(instead, text)
    return text


def _without(what: Any) -> Any:
    if isinstance(what, Mapping):
        kept = {key: _without(value) for key, value in what.items() if key not in _DROPPED}
        if isinstance(kept.get("progress"), list):
            # The TypeScript SDK forgets the last of them when it comes in one piece with the answer.
            kept["progress"] = [news for news in kept["progress"] if not _whole(news)]
        if isinstance(kept.get("notice"), list):
            kept["notice"] = _once(kept["notice"])
        # A kind of news of which nothing is left was not told.
        return {key: value for key, value in kept.items() if not (key in ("log", "notice") and value == [])}
    return [_without(each) for each in what if not _at_any_time(each)] if isinstance(what, list) else what


def _once(notices: Sequence[Any]) -> list[Any]:
    """News that a resource changed, each once: pairs share a server, and each hears of the others' changes, too."""
    updates = [each for each in notices if isinstance(each, Mapping) and each.get("method") == _UPDATED]
    first = [each for at, each in enumerate(updates) if each not in updates[:at]]
    return [*(each for each in notices if each not in updates), *first]


def _whole(news: Any) -> bool:
    done, total = (news["progress"], news.get("total")) if isinstance(news, Mapping) else news[:2]
    return bool(done == total)


def _at_any_time(what: Any) -> bool:
    """Whether it is news that a server tells when it comes to it, be it in one step or the next."""
    if not isinstance(what, Mapping):
        return False
    own = "level" in what and _OWN_AFFAIRS.match(str(what.get("data")))
    return bool(own) or what.get("method") == "notifications/tools/list_changed"
