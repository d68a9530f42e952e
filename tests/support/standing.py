"""What authz knows beside the rules, as a test says it is: how tools stand, and what was used."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from countersign.model.principal import Principal
from countersign.model.rule import Window
from countersign.model.situation import Usage
from countersign.model.windows import Departure
from countersign.runtime.pins import Pin, PinState


@dataclass
class Tools:
    """Tools stand as ``states`` says, all others as ``otherwise``; ``seen`` is the digest of what they are now.

    Those in ``repeated`` say that they may be called twice.
    """

    otherwise: PinState = PinState.ACCEPTED
    states: dict[str, PinState] = field(default_factory=dict)
    seen: bytes = b"seen"
    repeated: frozenset[str] = frozenset()

    def state(self, target: str, tool: str) -> PinState:
        return self.states.get(tool, self.otherwise)

    def pin(self, target: str, tool: str) -> Pin | None:
        return Pin(self.state(target, tool), self.seen, b"accepted")

    async def description(self, target: str, tool: str) -> str:
        return f"What {tool} does."

    async def repeatable(self, target: str, tool: str) -> bool:
        return tool in self.repeated


@dataclass
class Used:
    """Everybody used ``usage``; calls that are counted are added to it."""

    usage: Usage = field(default_factory=Usage)
    fresh: bool = True
    counted: int = 0
    leaving: tuple[Departure, ...] = ()

    def of(self, principal: Principal, target: str, now_us: int) -> Usage:
        return self.usage

    def count_call(self, principal: Principal, target: str, now_us: int) -> None:
        self.counted += 1
        usage = self.usage
        self.usage = replace(
            usage, calls_1m=usage.calls_1m + 1, calls_1h=usage.calls_1h + 1, calls_24h=usage.calls_24h + 1
        )

    def departures(self, principal: Principal, target: str, window: Window, now_us: int) -> tuple[Departure, ...]:
        return self.leaving
