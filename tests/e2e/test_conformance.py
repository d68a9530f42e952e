"""The public conformance suite finds through the real Envoy what it finds without it, check by check.

Here on the Python SDK's server; `make conformance` takes the TypeScript SDK's server and client, too.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.comparison import read_lines
from tests.conformance.gateway import setup
from tests.conformance.reference import PYTHON
from tests.conformance.report import details
from tests.conformance.run import LINES, RESULTS, Outcome, of_server, running_pair
from tests.conformance.suite import ERAS, RUN_S
from tests.support.in_turn import InTurn
from tests.support.issuer import running_issuer

pytestmark = pytest.mark.timeout(2 * RUN_S)


@pytest.fixture(scope="module")
def outcome(in_turn: InTurn) -> Iterator[Outcome]:
    with running_issuer() as issuer, running_pair(PYTHON) as pair:
        gateway = in_turn.take(setup(issuer.url, [pair.behind]))
        yield of_server(gateway, issuer, pair, ERAS, read_lines(LINES))


@pytest.mark.parametrize("era", ERAS)
def test_the_suite_finds_the_same_through_the_gateway(outcome: Outcome, era: str) -> None:
    (comparison,) = (each for each in outcome.comparisons if each.era == era)
    assert not comparison.problems
    assert comparison.rows


@pytest.mark.parametrize("era", ERAS)
def test_the_results_in_the_docs_are_those_of_now(outcome: Outcome, era: str) -> None:
    told = RESULTS.read_text("utf-8")
    (comparison,) = (each for each in outcome.comparisons if each.era == era)
    assert "\n".join(details(comparison)) in told, "write them anew: make conformance ARGS=--docs"
