"""What a piece of work costs the processor, however busy the machine is."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

RUNS = 3


def cpu_s(work: Callable[[], object]) -> float:
    """Return the least processor time, in seconds, of a few runs.

    The first run may load modules, and a collection of garbage costs what all tests before it have left behind: neither
    is the work's own, so the least counts, and nothing is collected meanwhile.
    """
    gc.collect()
    gc.disable()
    try:
        return min(_once(work) for _ in range(RUNS))
    finally:
        gc.enable()


def _once(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began
