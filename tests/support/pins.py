"""Pins in memory: a store that keeps the promises of the real one, and a recorder's pins without a recorder."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from countersign.jsontext import JsonValue, parse
from countersign.pins import read_definition, suspicions
from countersign.recorder.tools.plan import Acceptance, ListedTarget, Offer, Tool
from countersign.recorder.tools.plan import Page as PlannedPage
from countersign.recorder.tools.plan import observe as plan_observation
from countersign.recorder.tools.ports import PAGE_BYTES, News, Standing
from countersign.runtime.pins import NotObserved, Page, Pin, PinState
from countersign.runtime.postgres import DatabaseUnavailable


def tool(name: str = "query", description: str = "Runs a query.", **more: object) -> dict[str, object]:
    """A tool as a server lists it."""
    return {"name": name, "description": description, "inputSchema": {"type": "object"}, **more}


def offer(name: str = "query", description: str = "Runs a query.", **more: object) -> Offer:
    """The same, as the masker hands it on."""
    definition = read_definition(parse(json.dumps(tool(name, description, **more))).root)
    return Offer(definition.name, definition.digest, definition.canonical, suspicions(definition))


class MemoryPinStore:
    """See ``PinStore``. Set ``away`` to make it unavailable."""

    def __init__(self) -> None:
        self.away = False
        self._revision = 0
        self._targets: dict[str, tuple[int, ListedTarget]] = {}
        self._tools: dict[tuple[str, str], tuple[int, Tool]] = {}
        self._forgotten: dict[tuple[str, str], int] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    async def close(self) -> None:
        """See ``PinStore``."""

    @asynccontextmanager
    async def held(self, target: str) -> AsyncIterator[_Held]:
        """See ``PinStore``."""
        async with self._turns.setdefault(target, asyncio.Lock()):
            self._ask()
            held = _Held(self, target, self._targets[target][1] if target in self._targets else None)
            yield held
            self._ask()
            if held.saved is not None:
                listed, tools, forgotten = held.saved
                self._revision += 1
                for name in forgotten:
                    if self._tools.pop((target, name), None) is not None:
                        self._forgotten[target, name] = self._revision
                self._targets[target] = (self._revision, listed)
                self._tools.update({(target, one.seen.name): (self._revision, one) for one in tools})

    async def news(self, after: int) -> News | None:
        """See ``PinStore``."""
        self._ask()
        if self._revision <= after:
            return None
        return News(
            self._revision,
            [listed for revision, listed in self._targets.values() if revision > after],
            [_standing(one) for revision, one in self._tools.values() if revision > after],
            [key for key, revision in self._forgotten.items() if revision > after > 0],
        )

    async def tool(self, target: str, name: str) -> Tool | None:
        """See ``PinStore``."""
        self._ask()
        return self.known(target, [name]).get(name)

    async def page(self, target: str, *, pending: bool, after: tuple[str, str], limit: int) -> Sequence[Tool]:
        """See ``PinStore``."""
        self._ask()
        found: list[Tool] = []
        size = 0
        for key in sorted(self._tools):
            one = self._tools[key][1]
            if key <= after or target not in ("", one.target) or (pending and one.state == one.state.ACCEPTED):
                continue
            size += len(one.seen.definition) + (len(one.accepted.definition) if one.accepted else 0)
            if len(found) == limit or (found and size > PAGE_BYTES):
                break
            found.append(one)
        return found

    def known(self, target: str, names: Collection[str]) -> dict[str, Tool]:
        """Those of a target's tools that have one of ``names``."""
        return {name: self._tools[target, name][1] for name in names if (target, name) in self._tools}

    @property
    def revision(self) -> int:
        """The newest revision."""
        return self._revision

    def _ask(self) -> None:
        if self.away:
            raise DatabaseUnavailable("away")


class _Held:
    def __init__(self, store: MemoryPinStore, target: str, listed: ListedTarget | None) -> None:
        self._store = store
        self._target = target
        self.listed = listed
        self.saved: tuple[ListedTarget, Sequence[Tool], Sequence[str]] | None = None

    async def tools(self, names: Collection[str]) -> dict[str, Tool]:
        return self._store.known(self._target, names)

    async def save(self, listed: ListedTarget, tools: Sequence[Tool], forgotten: Sequence[str] = ()) -> int:
        self.saved = (listed, tools, forgotten)
        return self._store.revision + 1


def _standing(one: Tool) -> Standing:
    accepted = one.accepted.digest if one.accepted else b""
    return Standing(one.target, one.seen.name, one.state, one.seen.digest, accepted, one.seen.hidden)


@dataclass
class FakePins:
    """What the masker asks of ``PinnedTools``: judged by the recorder's own plan, and known at once.

    While ``refuse`` is set nothing can be observed; while ``stale`` is set nothing is known without observing.
    """

    refuse: bool = False
    stale: bool = False
    now_us: int = 1_790_000_000_000_000
    observed: list[Page] = field(default_factory=list)
    _targets: dict[str, ListedTarget] = field(default_factory=dict)
    _tools: dict[str, dict[str, Tool]] = field(default_factory=dict)

    def pin(self, target: str, name: str) -> Pin | None:
        """See ``PinnedTools``."""
        found = None if self.stale else self._tools.get(target, {}).get(name)
        return None if found is None else _pin(found)

    def is_open(self, target: str) -> bool:
        """See ``PinnedTools``."""
        return self.stale or target not in self._targets or self._targets[target].open_until_us > self.now_us

    async def observe(self, target: str, page: Page, *, allow_new: bool) -> Sequence[Pin]:
        """See ``PinnedTools``."""
        self.observed.append(page)
        if self.refuse:
            raise NotObserved("refused")
        offers = tuple(Offer(one.name, one.digest, one.definition, one.flags) for one in page.tools)
        known = self._tools.setdefault(target, {})
        planned = PlannedPage(target, offers, page.ends, allow_new)
        seen = plan_observation(self._targets.get(target), known, planned, self.now_us)
        self._targets[target] = seen.target
        known.update({change.after.seen.name: change.after for change in seen.changes})
        return [_pin(one) for one in seen.tools]

    async def output_schema(self, target: str, name: str) -> JsonValue:
        """See ``PinnedTools``."""
        known = self._tools.get(target, {}).get(name)
        if known is None or known.accepted is None:
            return None
        definition = parse(known.accepted.definition).root
        return definition.get("outputSchema") if isinstance(definition, dict) else None

    def accept(self, target: str, name: str) -> None:
        """Accept what was seen last."""
        one = self._tools[target][name]
        accepted = Acceptance(one.seen.digest, one.seen.definition, self.now_us)
        self._tools[target][name] = Tool(target, one.seen, accepted, one.first_seen_us, self.now_us)


def _pin(one: Tool) -> Pin:
    accepted = one.accepted.digest if one.accepted else b""
    state = PinState(one.state.name.lower())
    if one.seen.hidden and state is not PinState.ACCEPTED:
        state = PinState.HIDDEN
    return Pin(state, one.seen.digest, accepted)
