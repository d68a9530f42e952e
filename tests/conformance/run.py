"""One whole run: reference servers, a gateway, and the suite against each of them, twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.comparison import Comparison, Line, compare, read_lines
from tests.conformance.gateway import PERSON, setup
from tests.conformance.reference import RunningReference, running_reference
from tests.conformance.suite import required, run_suite
from tests.support.gateway import Gateway, running_gateway
from tests.support.issuer import RunningIssuer, running_issuer

LINES = Path(__file__).with_name("differences.toml")
RESULTS = Path(__file__).parents[2] / "docs" / "conformance-results.md"


@dataclass(frozen=True, slots=True)
class Pair:
    """A reference server twice: one that the suite reaches directly, one that only the gateway reaches.

    What a server tells all who listen must not make good what the gateway kept back.
    """

    direct: RunningReference
    behind: RunningReference

    @property
    def name(self) -> str:
        """The server's name, and its target's."""
        return self.direct.name


@dataclass(frozen=True, slots=True)
class Costs:
    """Processor time in seconds: the suite's and the server's, directly and through the gateway; the gateway's own."""

    suite_s: tuple[float, float]
    server_s: tuple[float, float]
    gateway_s: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one server, a comparison for each revision, and what all of them took."""

    server: str
    comparisons: tuple[Comparison, ...]
    costs: Costs


@contextmanager
def running_pair(name: str) -> Iterator[Pair]:
    """Both of them, until they are left."""
    with running_reference(name) as direct, running_reference(name) as behind:
        yield Pair(direct, behind)


def outcomes(servers: Sequence[str], eras: Sequence[str]) -> Iterator[Outcome]:
    """Start what is needed, and compare each server under each revision."""
    lines = read_lines(LINES)
    with ExitStack() as stack:
        issuer = stack.enter_context(running_issuer())
        pairs = [stack.enter_context(running_pair(name)) for name in servers]
        gateway = stack.enter_context(running_gateway(setup(issuer.url, [pair.behind for pair in pairs])))
        for pair in pairs:
            yield outcome(gateway, issuer, pair, eras, lines)


def outcome(gateway: Gateway, issuer: RunningIssuer, pair: Pair, eras: Sequence[str], lines: Sequence[Line]) -> Outcome:
    """Compare one server under these revisions: all runs at once, since they wait most of their time."""
    before = (pair.direct.cpu_s(), pair.behind.cpu_s(), _cpu_s(gateway))
    endpoint = gateway.endpoint(pair.name)
    with ThreadPoolExecutor(2 * len(eras)) as at_once:
        direct = [at_once.submit(run_suite, pair.direct.url, era) for era in eras]
        through = [at_once.submit(run_suite, endpoint, era, issuer.token(PERSON, endpoint)) for era in eras]
    after = (pair.direct.cpu_s(), pair.behind.cpu_s(), _cpu_s(gateway))
    compared = tuple(
        compare(pair.name, era, required(era), first.result().results, second.result().results, lines)
        for era, first, second in zip(eras, direct, through, strict=True)
    )
    direct_s, behind_s, gateway_s = (now - then for now, then in zip(after, before, strict=True))
    suite_s = (sum(run.result().cpu_s for run in direct), sum(run.result().cpu_s for run in through))
    return Outcome(pair.name, compared, Costs(suite_s, (direct_s, behind_s), gateway_s))


def _cpu_s(gateway: Gateway) -> float:
    spent = [process.cpu_times() for process in gateway.processes()]
    return float(sum(times.user + times.system for times in spent))
