"""What the pins need of a store."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from countersign.recorder.tools.plan import ListedTarget, Tool, ToolState

PAGE_TOOLS = 500
PAGE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Standing:
    """A tool as those need it who decide: see ``ToolPin`` in tools.proto."""

    target: str
    name: str
    state: ToolState
    seen_digest: bytes
    accepted_digest: bytes
    hidden: bool


@dataclass(frozen=True, slots=True)
class News:
    """What changed up to ``revision``: ``forgotten`` (target, name) came before ``tools``, which may be known again."""

    revision: int
    targets: Sequence[ListedTarget]
    tools: Sequence[Standing]
    forgotten: Sequence[tuple[str, str]] = ()


class HeldTarget(Protocol):
    """A target's pins while nobody else can change them."""

    @property
    def listed(self) -> ListedTarget | None:
        """The target; ``None`` when its tools were never listed."""

    async def tools(self, names: Collection[str]) -> dict[str, Tool]:
        """Return those of its tools that have one of ``names``."""

    async def save(self, listed: ListedTarget, tools: Sequence[Tool], forgotten: Sequence[str] = ()) -> int:
        """Write the target and these tools, drop the ``forgotten``; return the revision of that. Once, and last."""


class PinStore(Protocol):
    """Where pins are kept. Every method raises ``DatabaseUnavailable``."""

    def held(self, target: str) -> AbstractAsyncContextManager[HeldTarget]:
        """Hold a target's pins against everybody else, in any process.

        What was saved inside is durable, and visible, when the block has ended, and never happened when it raised.
        """

    async def news(self, after: int) -> News | None:
        """Return what changed after a revision, all of it as of one moment; ``None`` when nothing did.

        Revisions begin with 1 and grow in the order in which changes become visible.
        """

    async def tool(self, target: str, name: str) -> Tool | None:
        """Return one tool; ``None`` when it is not known."""

    async def page(self, target: str, *, pending: bool, after: tuple[str, str], limit: int) -> Sequence[Tool]:
        """Return tools of ``target`` (of all when empty), ordered by target and name, that come behind ``after``.

        Only those that wait to be accepted when ``pending``. At most ``limit`` and, past the first, ``PAGE_BYTES``.
        """

    async def close(self) -> None:
        """Let go of all connections."""
