"""What two observations must be to count as the same; a gateway that is dead must never pass."""

from __future__ import annotations

from typing import Any

import pytest

from tests.matrix import table
from tests.matrix.cells import Cell
from tests.matrix.comparing import Compared, Reason, Verdict, compare
from tests.matrix.peers import Peer
from tests.matrix.steps import Door, Saw, Step, call

STEPS = [call(name, name) for name in ("one", "two", "three")] + [Step("ping", "ping", "ping")]
ANSWER = {"result": {"content": [{"type": "text", "text": "yes"}]}, "told": {}}
GONE = {"error": {"code": -32601, "message": "Method not found"}, "told": {}}


def saw(**changed: Any) -> list[Saw]:
    """What a client saw; a step that is changed to None was not written."""
    whole = {"connect": {"version": "2025-11-25"}, "one": ANSWER, "two": ANSWER, "three": ANSWER, "ping": GONE}
    return [Saw("run", step, what) for step, what in {**whole, **changed}.items() if what is not None]


def compared(direct: list[Saw], gateway: list[Saw], *known: Reason) -> Compared:
    return compare("client", "server", STEPS, direct, gateway, known)


def test_equal_observations_are_the_same_and_what_is_not_there_directly_is_not_offered() -> None:
    found = compared(saw(), saw())
    assert not found.unexplained
    assert found.verdicts["calls"] == Verdict.SAME
    assert found.verdicts["ping"] == found.verdicts["tasks"] == Verdict.NOT_OFFERED


def test_a_gateway_through_which_nothing_is_seen_differs_in_all() -> None:
    found = compared(saw(), [Saw("run", "broke", "nobody answers")])
    assert found.verdicts["connect"] == found.verdicts["calls"] == found.verdicts["ping"] == Verdict.DIFFERS


@pytest.mark.parametrize("seen", [[], saw(connect=None), saw(one=None, two=None, three=None)])
def test_a_pair_that_does_nothing_directly_cannot_be_compared(seen: list[Saw]) -> None:
    with pytest.raises(AssertionError):
        compared(seen, seen)


@pytest.mark.parametrize(
    "other",
    [
        None,
        {"silent": True, "told": {}},
        {"result": {"content": []}, "told": {}},
        {**ANSWER, "told": {"log": [{"level": "info", "data": "more"}]}},
        {"error": {"code": 1, "message": "no"}, "told": {}},
    ],
)
def test_each_other_observation_is_a_difference(other: Any) -> None:
    found = compared(saw(), saw(two=other))
    assert [difference.step for difference in found.unexplained] == ["two"]
    assert found.verdicts["calls"] == Verdict.DIFFERS


def test_what_is_seen_through_the_gateway_alone_is_a_difference() -> None:
    assert compared(saw(two=None), saw()).unexplained


def test_new_ids_and_times_and_the_scope_of_caches_are_no_difference() -> None:
    first = {"result": {"id": "0" * 32, "at": "2026-11-22T10:00:00Z", "cacheScope": "public"}, "told": {}}
    second = {"result": {"id": "1" * 32, "at": "2026-11-22T10:00:01.5Z", "cacheScope": "private"}, "told": {}}
    assert not compared(saw(one=first), saw(one=second)).unexplained


def test_a_reason_explains_its_step_alone() -> None:
    reason = Reason("ping", "in other words")
    worded = {"error": {"code": -32601, "message": "none such"}, "told": {}}
    found = compared(saw(), saw(ping=worded, one=worded), reason)
    assert found.reasons == {reason}
    assert found.verdicts["ping"] == Verdict.EXPLAINED
    assert [difference.step for difference in found.unexplained] == ["one"]
    elsewhere = Reason("ping", "in other words", server="another")
    assert compared(saw(), saw(ping=worded), elsewhere).verdicts["ping"] == Verdict.DIFFERS


def test_the_table_is_read_as_it_was_written() -> None:
    peers = {
        "time": Peer("time", "time", "time", Door(command=["time"])),
        "fast": Peer("fast", "F", "fast", Door("http://x")),
    }
    worded = {"error": {"code": -32601, "message": "none such"}, "told": {}}
    cells = {
        Cell("time", "python", "auto"): compared(saw(), saw(ping=worded), Reason("ping", "so it is")),
        Cell("time", "sdk1", "legacy"): compared(saw(), saw(one=None)),
        Cell("fast", "python", "auto"): compared(saw(), saw()),
    }
    part = table.write(cells, peers)
    assert "so it is" in part
    document = table.replaced(f"before\n{table.BEGIN}old{table.END}after\n", part)
    assert document.startswith("before\n")
    assert document.endswith("after\n")
    assert "old" not in document
    assert table.read(document, peers) == table.marks(cells)


def test_that_a_resource_changed_is_heard_as_often_as_others_change_it_but_heard() -> None:
    def heard(*uris: str) -> dict[str, Any]:
        news = [{"method": "notifications/resources/updated", "params": {"uri": uri}} for uri in uris]
        return {**ANSWER, "told": {"notice": news}}

    assert not compared(saw(two=heard("a", "a", "b")), saw(two=heard("a", "b", "b"))).unexplained
    for other in (heard("a"), heard("b", "c"), heard()):
        assert compared(saw(two=heard("a", "b")), saw(two=other)).unexplained
