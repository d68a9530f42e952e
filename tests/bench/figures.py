"""The arithmetic of the benchmark: latencies, and the figures of one path, size and concurrency over all its slices."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


class NothingAnswered(ValueError):
    """No call of a path was answered rightly, so there is nothing to make figures of."""


class Latencies:
    """Counted latencies in microseconds, each kept to three significant digits."""

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self._counts: Counter[int] = Counter()
        for us, count in (counts or {}).items():
            self._counts[_three_digits(us)] += count

    @property
    def counts(self) -> Mapping[int, int]:
        """How often each latency was seen."""
        return self._counts

    @property
    def total(self) -> int:
        """How many there are."""
        return self._counts.total()

    def percentile_ms(self, percent: float) -> float:
        """The smallest latency that at least ``percent`` of all do not exceed (nearest rank), in milliseconds.

        Raises:
            ValueError: when there are none, or for a percentage outside 0..100.
        """
        if not self._counts or not 0 <= percent <= 100:
            raise ValueError("a percentile needs latencies and a percentage from 0 to 100")
        needed = max(1.0, self.total * percent / 100)
        seen = 0
        for us in sorted(self._counts):
            seen += self._counts[us]
            if seen >= needed - 1e-9:
                break
        return us / 1000

    @staticmethod
    def merged(several: Iterable[Latencies]) -> Latencies:
        """All of them as one."""
        together: Counter[int] = Counter()
        for one in several:
            together.update(one.counts)
        return Latencies(together)


def _three_digits(us: int) -> int:
    step = 1
    while us >= 1000 * step:
        step *= 10
    return us // step * step


@dataclass(frozen=True, slots=True)
class Slice:
    """One uninterrupted stretch of load on one path. ``cpu_s`` is the CPU time that each process spent on it."""

    calls: int
    seconds: float
    wrong: int
    problem: str
    latencies: Latencies
    cpu_s: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Figures:
    """What the slices of one path, size and concurrency come to. CPU time is milliseconds a call, by process."""

    path: str
    size_kb: int
    clients: int
    calls: int
    wrong: int
    problem: str
    calls_per_s: float
    calls_per_s_least: float
    calls_per_s_most: float
    p50_ms: float
    p99_ms: float
    cpu_ms: Mapping[str, float]


def summed(path: str, size_kb: int, clients: int, slices: Sequence[Slice]) -> Figures:
    """Pool the slices: the throughput is the median over them, the percentiles are those of all their calls.

    Raises:
        NothingAnswered: when no call was answered rightly; the message holds the first problem.
    """
    calls = sum(one.calls for one in slices)
    problem = next((one.problem for one in slices if one.problem), "")
    if not calls:
        raise NothingAnswered(f"{path}, {size_kb} KB, {clients} clients: no right answer at all ({problem})")
    latencies = Latencies.merged(one.latencies for one in slices)
    rates = [one.calls / one.seconds for one in slices]
    names = list(dict.fromkeys(name for one in slices for name in one.cpu_s))
    return Figures(
        path=path,
        size_kb=size_kb,
        clients=clients,
        calls=calls,
        wrong=sum(one.wrong for one in slices),
        problem=problem,
        calls_per_s=statistics.median(rates),
        calls_per_s_least=min(rates),
        calls_per_s_most=max(rates),
        p50_ms=latencies.percentile_ms(50),
        p99_ms=latencies.percentile_ms(99),
        cpu_ms={name: sum(one.cpu_s.get(name, 0.0) for one in slices) * 1000 / calls for name in names},
    )


def ratio(figures: Figures, base: Figures) -> float:
    """Throughput as a share of another path's."""
    return figures.calls_per_s / base.calls_per_s
