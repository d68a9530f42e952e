"""How much of the machine others took while we measured."""

from __future__ import annotations

import os
import resource
import time
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Noise:
    """A reading of the clocks at the begin."""

    wall_s: float
    machine_s: float
    own_s: float

    @classmethod
    def begin(cls) -> Noise:
        """Read the clocks."""
        return cls(time.monotonic(), _machine_s(), _own_s())

    def others_share(self) -> float:
        """The share (0..1) of all cores that other processes used since; call it when all children have ended."""
        others_s = (_machine_s() - self.machine_s) - (_own_s() - self.own_s)
        return max(0.0, others_s / ((time.monotonic() - self.wall_s) * (os.cpu_count() or 1)))


def _machine_s() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq + times.steal)


def _own_s() -> float:
    # Of children only those count that have ended and were waited for.
    mine = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in mine)
