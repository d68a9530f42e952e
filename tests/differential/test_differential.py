"""A run that is always the same one; ``make fuzz`` tries more cases, each time other ones."""

from __future__ import annotations

import json
from typing import Any

import pytest

from countersign.jsontext import JsonValue, Number
from tests.differential import reports
from tests.differential.cases import cases
from tests.differential.drafts import Case
from tests.differential.mutations import MUTATIONS
from tests.differential.readings import Reading, joined, judged
from tests.differential.runs import PEERS, Run, run

SEED = 1
CASES = 100_000
FEW = 3_000
_NESTED = 80


@pytest.fixture(scope="module")
def full() -> Run:
    done = run(SEED, CASES)
    reports.write(done)
    print(reports.summary(done))
    return done


# Half a minute of two cores, which others may want as well.
@pytest.mark.timeout(600)
def test_whatever_is_let_pass_is_read_alike_by_every_target(full: Run) -> None:
    assert full.count == CASES
    assert full.disagreements == [], reports.report(full)


def test_nothing_lawful_is_refused(full: Run) -> None:
    assert full.passed["honest"] > CASES / 25
    assert full.false_refusals == [], reports.report(full)


def test_a_run_tries_every_kind_of_trick_and_every_target_acts(full: Run) -> None:
    # Without the targets a run would find nothing, either.
    assert set(full.acted) == set(PEERS)
    assert min(full.acted.values()) > full.let_pass / 4
    tried = {kind: full.passed[kind] + full.refused[kind] for kind in MUTATIONS}
    assert min(tried.values()) > CASES / 200
    assert all(full.refused[kind] for kind in MUTATIONS)


def lenient(case: Case, pairs: Any = None) -> list[Reading] | None:
    """A judge as many are written: with the first parser at hand, and no more than a look at what it needs."""
    if case.body.count(b"[") + case.body.count(b"{") > _NESTED:
        return None
    try:
        body = json.loads(case.body, parse_int=Number, parse_float=Number, object_pairs_hook=pairs)
        kind, rpc_id = ("request", body["id"]) if "id" in body else ("notification", None)
        params: JsonValue = body.get("params")
        method = body["method"].lower()
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    version = joined(case.headers).get("mcp-protocol-version")
    era = "modern" if version == "2026-07-28" else "legacy"
    return [Reading(kind, method, rpc_id, params, era)]


def first_of_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(reversed(pairs))


@pytest.mark.parametrize(
    ("pairs", "missed"), [(None, "method_twin"), (None, "rpc_id_odd"), (first_of_each, "key_repeated")]
)
def test_a_judge_that_is_not_strict_is_noticed(pairs: Any, missed: str) -> None:
    done = run(SEED, FEW, lambda case: lenient(case, pairs))
    assert set(PEERS) <= set(done.disagreed)
    assert done.disagreed[missed] > FEW / 300


def test_a_case_is_the_same_one_each_time() -> None:
    assert [each.body for each in cases(SEED, 300)] == [each.body for each in cases(SEED, 300)]
    assert sum(judged(each) is not None for each in cases(SEED, 300)) > 50
