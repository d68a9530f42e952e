"""What a piece of work costs the processor, however busy the machine is."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

RUNS = 3
# What takes so long is measured well enough by one run fewer; the least of those is no less.
_LONG_S = 0.4


def cpu_s(work: Callable[[], object]) -> float:
    """Return the least processor time, in seconds, of a few runs.

    The first run may load modules, and a collection of garbage costs what all tests before it have left behind: neither
    is the work's own, so the least counts, and nothing is collected meanwhile.
    """
    gc.collect()
    gc.disable()
    try:
        spent = [_once(work) for _ in range(RUNS - 1)]
        return min(spent) if sum(spent) > _LONG_S else min(*spent, _once(work))
    finally:
        gc.enable()


def _once(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began
