"""The measuring itself: all paths, sizes and concurrencies in turn, in short slices, for several rounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from tests.bench import answers, target
from tests.bench.figures import Figures, Slice, summed
from tests.bench.load import Generator, Plan
from tests.bench.plain import running_plain_envoy
from tests.bench.processes import cpu_s, peak_mb, spent_between
from tests.support.gateway import Setup, Upstream, running_gateway
from tests.support.issuer import running_issuer

DIRECT, PLAIN, GOVERNED = "direct", "plain envoy", "governed"
PATHS = (DIRECT, PLAIN, GOVERNED)
PARTS = ("envoy", "authz", "masker", "recorder", "postgres")
CLIENTS = (1, 16)


@dataclass(frozen=True, slots=True)
class Way:
    """One way to the target: where to send, with which token, and whose CPU time it costs."""

    name: str
    port: int
    path: str
    headers: Mapping[str, str]
    processes: Mapping[str, psutil.Process]

    def plan(self, size_kb: int, clients: int, seconds: int) -> Plan:
        """The plan of one slice."""
        rpc = answers.request(size_kb)
        answer = answers.answer(size_kb)
        return Plan(
            port=self.port,
            path=self.path,
            headers={**answers.headers_of(rpc), **self.headers},
            body=answers.body_of(rpc).decode(),
            expected=(answer.masked if self.name == GOVERNED else answer.raw).decode(),
            clients=clients,
            seconds=seconds,
        )


@contextmanager
def running_ways() -> Iterator[Sequence[Way]]:
    """The three ways to one static target, each with processes of its own; ended with the block."""
    with (
        running_issuer() as issuer,
        TemporaryDirectory(prefix="cs-bench-") as folder,
        target.running_target() as (target_process, target_port),
        running_plain_envoy(target_port, Path(folder)) as (plain_process, plain_port),
        running_gateway(
            Setup(issuer.url, {"orders": Upstream(f"http://127.0.0.1:{target_port}{target.PATH}")})
        ) as gateway,
    ):
        behind = {"target": psutil.Process(target_process.pid)}
        token = issuer.token("alice", gateway.endpoint("orders"))
        yield (
            Way(DIRECT, target_port, target.PATH, {}, behind),
            Way(PLAIN, plain_port, target.PATH, {}, {"envoy": psutil.Process(plain_process.pid), **behind}),
            Way(
                GOVERNED,
                gateway.port,
                "/orders/mcp",
                {"authorization": f"Bearer {token}"},
                {**{name: gateway.part(name) for name in PARTS}, **behind},
            ),
        )


@dataclass(frozen=True, slots=True)
class Measuring:
    """How much is measured. ``seconds`` is the length of a slice."""

    rounds: int
    seconds: int
    sizes_kb: tuple[int, ...] = answers.SIZES_KB
    clients: tuple[int, ...] = CLIENTS

    def slices(self, ways: Sequence[Way]) -> list[tuple[int, int, Way]]:
        """One round: the ways follow each other most closely, so that what disturbs one disturbs all."""
        return [(size, clients, way) for size in self.sizes_kb for clients in self.clients for way in ways]

    def run(self, generator: Generator, ways: Sequence[Way], tell: Callable[[str], None]) -> list[Figures]:
        """Warm up, then measure; ``tell`` is told of each slice before it begins.

        Raises:
            LoadFailed: when the generator does not work.
            NothingAnswered: when a path gave no right answer at all.
            psutil.NoSuchProcess: when a part ended meanwhile.
        """
        for way in ways:
            tell(f"warming up: {way.name}")
            generator.run(way.plan(self.sizes_kb[0], max(self.clients), 1))
        wanted = self.slices(ways)
        found: dict[tuple[int, int, str], list[Slice]] = {}
        for number in range(self.rounds):
            for size_kb, clients, way in wanted:
                tell(f"round {number + 1} of {self.rounds}: {size_kb} KB, {clients} clients, {way.name}")
                one = measured(generator, way, way.plan(size_kb, clients, self.seconds))
                found.setdefault((size_kb, clients, way.name), []).append(one)
        return [summed(name, size_kb, clients, slices) for (size_kb, clients, name), slices in found.items()]


def measured(generator: Generator, way: Way, plan: Plan) -> Slice:
    """One slice with the CPU time that it cost. Raises as ``Measuring.run``."""
    before = cpu_s(way.processes)
    outcome = generator.run(plan)
    cpu = spent_between(before, cpu_s(way.processes))
    return Slice(outcome.calls, outcome.seconds, outcome.wrong, outcome.problem, outcome.latencies(), cpu)


def peaks_mb(ways: Sequence[Way]) -> dict[str, float]:
    """Peak memory of each process so far; the two Envoys by the way that they serve."""
    return {
        f"{name} ({way.name})" if name == "envoy" else name: peak_mb(process)
        for way in ways
        for name, process in way.processes.items()
    }
