"""One whole run: reference servers and a client, a gateway, and the suite with each of them, twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.client import CLIENT, COMMAND, Passage, environment, passages
from tests.conformance.comparison import Comparison, Line, compare, read_lines
from tests.conformance.gateway import PERSON, setup
from tests.conformance.reference import SERVERS, RunningReference, running_reference
from tests.conformance.suite import Leg, Run, required, run_clients, run_servers
from tests.support.gateway import Gateway, running_gateway
from tests.support.issuer import RunningIssuer, running_issuer

LINES = Path(__file__).with_name("differences.toml")
RESULTS = Path(__file__).parents[2] / "docs" / "conformance-results.md"
PEERS = (*SERVERS, CLIENT)


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
    """Processor time in seconds: the suite's and the server's, directly and through the gateway; the gateway's own.

    The suite's is also that of the clients that it starts, whose servers are its own.
    """

    suite_s: tuple[float, float]
    server_s: tuple[float, float]
    gateway_s: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one peer, a comparison for each revision, and what all of them took."""

    peer: str
    comparisons: tuple[Comparison, ...]
    costs: Costs


@contextmanager
def running_pair(name: str) -> Iterator[Pair]:
    """Both of them, until they are left."""
    with running_reference(name) as direct, running_reference(name) as behind:
        yield Pair(direct, behind)


def outcomes(peers: Sequence[str], eras: tuple[str, ...]) -> Iterator[Outcome]:
    """Start what is needed, and compare each peer under each revision."""
    lines = read_lines(LINES)
    with ExitStack() as stack:
        issuer = stack.enter_context(running_issuer())
        pairs = [stack.enter_context(running_pair(name)) for name in SERVERS if name in peers]
        through = passages(eras) if CLIENT in peers else ()
        gateway = stack.enter_context(running_gateway(setup(issuer.url, [pair.behind for pair in pairs], through)))
        for pair in pairs:
            yield of_server(gateway, issuer, pair, eras, lines)
        if through:
            yield of_client(gateway, issuer, through, eras, lines)


def of_server(
    gateway: Gateway, issuer: RunningIssuer, pair: Pair, eras: Sequence[str], lines: Sequence[Line]
) -> Outcome:
    """Compare one server under these revisions."""
    endpoint = gateway.endpoint(pair.name)

    def direct(era: str) -> Run:
        return run_servers(pair.direct.url, era)

    def through(era: str) -> Run:
        return run_servers(endpoint, era, issuer.token(PERSON, endpoint))

    before = (pair.direct.cpu_s(), pair.behind.cpu_s(), _cpu_s(gateway))
    compared, suite_s = _compared(pair.name, Leg.SERVER, eras, direct, through, lines)
    after = (pair.direct.cpu_s(), pair.behind.cpu_s(), _cpu_s(gateway))
    direct_s, behind_s, gateway_s = (now - then for now, then in zip(after, before, strict=True))
    return Outcome(pair.name, compared, Costs(suite_s, (direct_s, behind_s), gateway_s))


def of_client(
    gateway: Gateway, issuer: RunningIssuer, passages: Sequence[Passage], eras: Sequence[str], lines: Sequence[Line]
) -> Outcome:
    """Compare the client under these revisions."""

    def through(era: str) -> Run:
        ways = ((each, gateway.endpoint(each.target)) for each in passages if each.era == era)
        return run_clients(COMMAND, era, environment((each, url, issuer.token(PERSON, url)) for each, url in ways))

    before = _cpu_s(gateway)
    compared, suite_s = _compared(CLIENT, Leg.CLIENT, eras, lambda era: run_clients(COMMAND, era, {}), through, lines)
    return Outcome(CLIENT, compared, Costs(suite_s, (0.0, 0.0), _cpu_s(gateway) - before))


def _compared(
    peer: str,
    leg: Leg,
    eras: Sequence[str],
    direct: Callable[[str], Run],
    through: Callable[[str], Run],
    lines: Sequence[Line],
) -> tuple[tuple[Comparison, ...], tuple[float, float]]:
    """Returns the suite's processor time, too."""
    # With servers it waits most of the time; clients it starts all at once by itself.
    with ThreadPoolExecutor(2 * len(eras) if leg is Leg.SERVER else 1) as at_once:
        first, second = [at_once.submit(direct, era) for era in eras], [at_once.submit(through, era) for era in eras]
    compared = tuple(
        compare(peer, era, required(era, leg), one.result().results, other.result().results, lines)
        for era, one, other in zip(eras, first, second, strict=True)
    )
    return compared, (sum(run.result().cpu_s for run in first), sum(run.result().cpu_s for run in second))


def _cpu_s(gateway: Gateway) -> float:
    spent = [process.cpu_times() for process in gateway.processes()]
    return float(sum(times.user + times.system for times in spent))
