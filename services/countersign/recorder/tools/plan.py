"""What a listing, or an operator, does to the pins, worked out before it is done: pure.

A tool's life: unknown -> accepted (while its target's first listing goes on, or when the target may offer new tools) or
new; accepted -> changed, when another definition is seen; changed -> accepted, when the accepted definition is seen
again or an operator accepts the other; new -> accepted, by an operator. What is not listed any more stays as it was.
Any state -> unknown, when an operator has the tool forgotten; then the target's first listing is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum

from countersign.pins import Flag

FIRST_LISTING_US = 600 * 1_000_000
"""How long a first listing may take, by pages, until it counts as complete."""

FIRST_LISTING_TOOLS = 2_000
"""How many tools a first listing pins at most."""

MAX_TOOLS = 10_000
"""How many tools of a target are kept; what it offers beyond is withheld, since a target chooses names at no cost."""


class ToolState(IntEnum):
    """How a tool stands; the numbers are those of ``ToolState`` in tools.proto."""

    ACCEPTED = 1
    NEW = 2
    CHANGED = 3


@dataclass(frozen=True, slots=True)
class Offer:
    """A tool as its target lists it: the digest of its definition, and the definition's canonical JSON, masked."""

    name: str
    digest: bytes
    definition: str
    flags: tuple[Flag, ...] = ()

    @property
    def hidden(self) -> bool:
        """Whether something in it is hidden: then nobody but an operator accepts it."""
        return any(flag.hidden for flag in self.flags)


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What was accepted, when (microseconds since the epoch), and by whom; by nobody where nobody was asked."""

    digest: bytes
    definition: str
    time_us: int
    issuer: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    """A known tool: as it was seen last, and as it was accepted, if it was."""

    target: str
    seen: Offer
    accepted: Acceptance | None
    first_seen_us: int
    changed_us: int

    @property
    def state(self) -> ToolState:
        """How it stands."""
        if self.accepted is None:
            return ToolState.NEW
        return ToolState.ACCEPTED if self.accepted.digest == self.seen.digest else ToolState.CHANGED


@dataclass(frozen=True, slots=True)
class ListedTarget:
    """A target whose tools were seen: its first listing goes on until ``open_until_us``, and is complete when 0."""

    target: str
    first_seen_us: int
    open_until_us: int
    tool_count: int


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a listing, each name once. ``ends`` when no other follows; ``allow_new`` as ``new_tools: allow``."""

    target: str
    offers: tuple[Offer, ...]
    ends: bool
    allow_new: bool


@dataclass(frozen=True, slots=True)
class Change:
    """A tool as it stands now, and as it stood before."""

    before: Tool | None
    after: Tool


@dataclass(frozen=True, slots=True)
class Observation:
    """What a page does: the target and every listed tool as they stand afterwards, and what of that is a change.

    ``overflow`` counts new tools that are not kept because there are too many; they stand as new all the same.
    """

    target: ListedTarget
    tools: tuple[Tool, ...]
    changes: tuple[Change, ...]
    overflow: int
    is_news: bool


def observe(listed: ListedTarget | None, known: Mapping[str, Tool], page: Page, now_us: int) -> Observation:
    """Work out what a page does to a target (``None``: never listed) of whose tools ``known`` are those on the page."""
    before = listed or ListedTarget(page.target, now_us, now_us + FIRST_LISTING_US, 0)
    count, overflow = before.tool_count, 0
    tools: list[Tool] = []
    changes: list[Change] = []
    for offer in page.offers:
        old = known.get(offer.name)
        is_first = old is None and now_us < before.open_until_us and count < FIRST_LISTING_TOOLS
        new = _seen(page.target, old, offer, now_us, trusted=(is_first or page.allow_new) and not offer.hidden)
        tools.append(new)
        if old is None and count >= MAX_TOOLS:
            tools[-1] = replace(new, accepted=None)
            overflow += 1
            continue
        count += old is None
        if old != new:
            changes.append(Change(old, new))
    is_over = page.ends or now_us >= before.open_until_us or count >= FIRST_LISTING_TOOLS
    after = replace(before, tool_count=count, open_until_us=0 if is_over else before.open_until_us)
    return Observation(after, tuple(tools), tuple(changes), overflow, is_news=bool(changes) or after != listed)


def _seen(target: str, old: Tool | None, offer: Offer, now_us: int, *, trusted: bool) -> Tool:
    acceptance = Acceptance(offer.digest, offer.definition, now_us) if trusted else None
    if old is None:
        return Tool(target, offer, acceptance, first_seen_us=now_us, changed_us=now_us)
    if old.seen.digest != offer.digest:
        old = replace(old, seen=offer, changed_us=now_us)
    if old.state is ToolState.ACCEPTED or acceptance is None:
        return old
    return replace(old, accepted=acceptance, changed_us=now_us)


@dataclass(frozen=True, slots=True)
class Review:
    """What an operator's acceptance does: the changes, and the names of those that stand as they were asked for."""

    changes: tuple[Change, ...]
    accepted: tuple[str, ...]
    not_accepted: tuple[str, ...]


def accept(
    known: Mapping[str, Tool], asked: Iterable[tuple[str, bytes]], *, issuer: str, subject: str, now_us: int
) -> Review:
    """Accept each (name, digest) that is what was seen last; leave what is unknown or was seen otherwise."""
    changes: list[Change] = []
    accepted: list[str] = []
    refused: list[str] = []
    for name, digest in asked:
        tool = known.get(name)
        if tool is None or tool.seen.digest != digest:
            refused.append(name)
            continue
        accepted.append(name)
        if tool.state is not ToolState.ACCEPTED:
            acceptance = Acceptance(digest, tool.seen.definition, now_us, issuer, subject)
            changes.append(Change(tool, replace(tool, accepted=acceptance, changed_us=now_us)))
    return Review(tuple(changes), tuple(accepted), tuple(refused))


@dataclass(frozen=True, slots=True)
class Forgetting:
    """What an operator has forgotten: the target afterwards, the tools as they stood, the names of those left alone."""

    target: ListedTarget | None
    tools: tuple[Tool, ...]
    not_forgotten: tuple[str, ...]


def forget(listed: ListedTarget | None, known: Mapping[str, Tool], asked: Iterable[tuple[str, bytes]]) -> Forgetting:
    """Forget each (name, digest) that is what was seen last, and what was accepted of it; leave the others.

    None is trusted at sight when it comes again: that there was a listing is not forgotten, and a first one is over.
    """
    tools: list[Tool] = []
    refused: list[str] = []
    for name, digest in asked:
        tool = known.get(name)
        if tool is None or tool.seen.digest != digest:
            refused.append(name)
        else:
            tools.append(tool)
    if tools and listed is not None:
        listed = replace(listed, open_until_us=0, tool_count=listed.tool_count - len(tools))
    return Forgetting(listed, tuple(tools), tuple(refused))
