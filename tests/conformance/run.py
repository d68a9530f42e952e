"""One whole run: reference servers, a gateway, and the suite against each of them, twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.comparison import Comparison, Line, compare, read_lines
from tests.conformance.gateway import PERSON, setup
from tests.conformance.reference import RunningReference, running_reference
from tests.conformance.suite import required, run_suite
from tests.support.gateway import Gateway, running_gateway
from tests.support.issuer import RunningIssuer, running_issuer

LINES = Path(__file__).with_name("differences.toml")


@dataclass(frozen=True, slots=True)
class Costs:
    """Processor time of one comparison, in seconds: the suite's (both runs), the server's, and the gateway's."""

    suite_s: float
    server_s: float
    gateway_s: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """A comparison and what it took."""

    comparison: Comparison
    costs: Costs


def outcomes(servers: Sequence[str], eras: Sequence[str]) -> Iterator[Outcome]:
    """Start what is needed, and compare each server under each revision."""
    lines = read_lines(LINES)
    with ExitStack() as stack:
        issuer = stack.enter_context(running_issuer())
        references = [stack.enter_context(running_reference(name)) for name in servers]
        gateway = stack.enter_context(running_gateway(setup(issuer.url, references)))
        for reference in references:
            for era in eras:
                yield outcome(gateway, issuer, reference, era, lines)


def outcome(
    gateway: Gateway, issuer: RunningIssuer, reference: RunningReference, era: str, lines: Sequence[Line]
) -> Outcome:
    """Compare one server under one revision.

    One run after the other: what a server tells all who listen, both would hear.
    """
    server_before, gateway_before = reference.cpu_s(), _cpu_s(gateway)
    direct = run_suite(reference.url, era)
    endpoint = gateway.endpoint(reference.name)
    through = run_suite(endpoint, era, issuer.token(PERSON, endpoint))
    comparison = compare(reference.name, era, required(era), direct.results, through.results, lines)
    spent = Costs(direct.cpu_s + through.cpu_s, reference.cpu_s() - server_before, _cpu_s(gateway) - gateway_before)
    return Outcome(comparison, spent)


def _cpu_s(gateway: Gateway) -> float:
    spent = [process.cpu_times() for process in gateway.processes()]
    return float(sum(times.user + times.system for times in spent))
