"""Starts children in order, restarts those that end, and stops all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from countersign.local.child import CannotStart, Child, ChildSpec

FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 10.0
STEADY_S = 30.0
"""A child that ran so long before it ended is restarted at once, as if for the first time."""
STOP_WITHIN_S = 8.0


@dataclass(slots=True)
class _Kept:
    """A child that is wanted: the process that runs now (none while it is between two), and its keeper."""

    spec: ChildSpec
    child: Child | None
    keeper: asyncio.Task[None] = field(init=False)


class Supervisor:
    """Keeps children running. ``say`` is told, for people, whatever happens to a part."""

    def __init__(self, say: Callable[[str, str], None]) -> None:
        self._say = say
        self._kept: list[_Kept] = []

    async def start(self, *specs: ChildSpec) -> None:
        """Start these side by side; return when all are ready. Raises ``CannotStart`` for the first that is not.

        Whichever is ready first, those named later are stopped earlier: they may rely on those before them to the end.
        """
        results = await asyncio.gather(*map(self._start, specs), return_exceptions=True)
        for result in results:
            if result is not None:
                raise result
        order = {spec.name: number for number, spec in enumerate(specs)}
        self._kept.sort(key=lambda kept: order.get(kept.spec.name, -1))

    async def _start(self, spec: ChildSpec) -> None:
        began = asyncio.get_running_loop().time()
        child = await Child.start(spec)
        # Kept as soon as it runs: should the others fail or be cancelled, ``stop`` must find it.
        kept = _Kept(spec, child)
        kept.keeper = asyncio.ensure_future(self._keep(kept, child))
        self._kept.append(kept)
        self._say_ready(kept.spec, child, began)

    def _say_ready(self, spec: ChildSpec, child: Child, began: float) -> None:
        self._say(spec.name, f"ready after {asyncio.get_running_loop().time() - began:.1f} s (pid {child.pid})")

    def begin(self, spec: ChildSpec) -> None:
        """Start one more, in the background: it is tried until it is ready, and kept running from then on."""
        kept = _Kept(spec, None)
        kept.keeper = asyncio.ensure_future(self._begin(kept))
        self._kept.append(kept)

    async def _begin(self, kept: _Kept) -> None:
        began = asyncio.get_running_loop().time()
        try:
            child = kept.child = await Child.start(kept.spec)
            self._say_ready(kept.spec, child, began)
        except (CannotStart, OSError) as error:
            child, _ = await self._restart(kept, _reason(kept.spec, error), FIRST_WAIT_S)
        await self._keep(kept, child)

    async def renew(self, spec: ChildSpec) -> None:
        """End the child of this name; it is started again as ``spec`` says now, and so from then on."""
        for kept in self._kept:
            if kept.spec.name == spec.name:
                kept.spec = spec
                if kept.child is not None:
                    await kept.child.stop(within_s=STOP_WITHIN_S)

    async def stop(self, first: str = "") -> None:
        """Stop all, the one named ``first`` and then the last started first, within ``STOP_WITHIN_S`` altogether."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + STOP_WITHIN_S
        order = [kept for kept in self._kept if kept.spec.name != first]
        order += [kept for kept in self._kept if kept.spec.name == first]
        for kept in reversed(order):
            kept.keeper.cancel()
            await asyncio.wait({kept.keeper})
            if kept.child is not None:
                # The database comes last and must have time for its shutdown.
                await kept.child.stop(within_s=max(0.5, (deadline - loop.time()) / 2))
                self._say(kept.spec.name, "stopped")
        self._kept.clear()

    async def _keep(self, kept: _Kept, child: Child) -> None:
        loop = asyncio.get_running_loop()
        wait_s = FIRST_WAIT_S
        while True:
            began = loop.time()
            status = await child.ended()
            kept.child = None
            if loop.time() - began > STEADY_S:
                wait_s = FIRST_WAIT_S
            reason = f"ended by signal {-status}" if status < 0 else f"ended with status {status}"
            child, wait_s = await self._restart(kept, reason, wait_s)

    async def _restart(self, kept: _Kept, reason: str, wait_s: float) -> tuple[Child, float]:
        while True:
            self._say(kept.spec.name, f"{reason}; restarting in {wait_s:.1f} s")
            await asyncio.sleep(wait_s)
            wait_s = min(LONGEST_WAIT_S, wait_s * 2)
            try:
                child = await Child.start(kept.spec)
            except (CannotStart, OSError) as error:
                # No room for a log, no more descriptors: that may pass, and nobody else would try again.
                reason = _reason(kept.spec, error)
                continue
            kept.child = child
            self._say(kept.spec.name, f"ready again (pid {child.pid})")
            return child, wait_s


def _reason(spec: ChildSpec, error: CannotStart | OSError) -> str:
    return str(error) if isinstance(error, CannotStart) else f"{spec.name} cannot be started: {error.strerror}"
