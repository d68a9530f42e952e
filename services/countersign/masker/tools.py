"""Which tools of a listing may be released: those that stand as they were accepted, once that is on the record."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

from countersign.jsontext import JsonValue
from countersign.masker.definitions import observed
from countersign.masker.withheld import Withheld
from countersign.masking import Masker
from countersign.mcp import ToolPage
from countersign.pins import Definition, Unpinnable, read_definition
from countersign.runtime.aside import Aside
from countersign.runtime.pins import NotObserved, Observed, Page, Pin, PinState

log = logging.getLogger(__name__)


class Pins(Protocol):
    """What is known of the pins: ``PinnedTools``, and what tests put in its place."""

    def pin(self, target: str, tool: str) -> Pin | None:
        """Return what is freshly known of a tool."""

    def is_open(self, target: str) -> bool:
        """Whether the target's first listing goes on, or that cannot be told."""

    async def output_schema(self, target: str, tool: str) -> JsonValue:
        """Return what an accepted tool declares of its structured output; ``None`` when nothing is known of that."""

    async def observe(self, target: str, page: Page, *, allow_new: bool) -> Sequence[Pin]:
        """Have a page recorded; return how its tools stand. Raises ``NotObserved``."""


class Unobserved(Exception):
    """These pages must be observed before it can be said what of them may be released."""

    def __init__(self, pages: Sequence[Listed]) -> None:
        super().__init__("a listing of tools must be observed first")
        self.pages = tuple(pages)


class Listed:
    """A page of tools, read: one definition for each position."""

    def __init__(self, page: ToolPage) -> None:
        try:
            self.definitions: tuple[Definition, ...] = tuple(map(read_definition, page.tools))
        except Unpinnable as error:
            raise Withheld(str(error)) from None
        self.ends = page.ends
        self.keys = tuple((definition.name, definition.digest) for definition in self.definitions)
        if len(dict(self.keys)) != len(set(self.keys)):
            raise Withheld("the target lists two different tools of one name")

    @property
    def size_bytes(self) -> int:
        """About how much there is to look at."""
        return sum(len(definition.canonical) for definition in self.definitions)


class ToolGate:
    """Decides for one answer which of the listed tools are released.

    ``withheld`` answers at once from what is known, and may be called in a thread; what it does not know it demands
    to be observed.
    """

    def __init__(self, pins: Pins, target: str, masker: Masker, aside: Aside, *, allow_new: bool) -> None:
        self._pins = pins
        self._target = target
        self._masker = masker
        self._aside = aside
        self._allow_new = allow_new
        self._told: dict[tuple[str, bytes], bool] = {}
        self._ended = False

    def withheld(self, pages: Sequence[Listed]) -> list[frozenset[int]]:
        """Return for each page the positions that are not released. Raises ``Unobserved``."""
        unobserved = [page for page in pages if self._is_news(page)]
        if unobserved:
            raise Unobserved(unobserved)
        return [
            frozenset(index for index, key in enumerate(page.keys) if self._standing(key) is not True) for page in pages
        ]

    async def observe(self, pages: Sequence[Listed]) -> None:
        """Have the pages recorded, and learn how their tools stand. Raises ``Withheld``, ``NotMaskable``."""
        for page in pages:
            await self._observe(page)

    async def _observe(self, page: Listed) -> None:
        news = {key: one for key, one in zip(page.keys, page.definitions, strict=True) if self._standing(key) is None}
        masked = await self._aside.run(page.size_bytes, lambda: [observed(one, self._masker) for one in news.values()])
        tools = tuple(tool for tool in masked if tool is not None)
        if len(tools) < len(masked):
            log.warning("a tool is withheld for ever: its name would be masked", extra={"target": self._target})
        try:
            pins = await self._pins.observe(self._target, Page(tools, page.ends), allow_new=self._allow_new)
        except NotObserved as error:
            raise Withheld(str(error)) from None
        self._told.update(dict.fromkeys(news, False))
        self._told.update({(tool.name, tool.digest): _stands(tool, pin) for tool, pin in zip(tools, pins, strict=True)})
        self._ended = self._ended or page.ends

    def _is_news(self, page: Listed) -> bool:
        if any(self._standing(key) is None for key in page.keys):
            return True
        # The end of a first listing is news of its own: what is listed after it is not accepted unseen.
        return page.ends and not self._ended and self._pins.is_open(self._target)

    def _standing(self, key: tuple[str, bytes]) -> bool | None:
        """Whether a tool is released as it is listed here; ``None`` when only an observation can tell."""
        if key in self._told:
            return self._told[key]
        name, digest = key
        pin = self._pins.pin(self._target, name)
        if pin is None:
            return None
        if pin.state is PinState.ACCEPTED:
            return True if digest == pin.accepted else None
        # It waits to be accepted already, unless the target was allowed new tools since.
        is_settled = digest == pin.seen and (pin.state is PinState.HIDDEN or not self._allow_new)
        return False if is_settled else None


def _stands(tool: Observed, pin: Pin) -> bool:
    return pin.state is PinState.ACCEPTED and pin.accepted == tool.digest
