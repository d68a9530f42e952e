"""A rule about a tool that is nowhere is told, with what was probably meant, and no rule that may be right."""

from __future__ import annotations

import time

from countersign.config import Unoffered, unoffered
from countersign.config.offered import SUGGESTED_AMONG, SUGGESTIONS
from countersign.model.rule import Effect, Rule, Selector

OFFERED = {"orders": ("query", "list_orders"), "stock": ("count",)}


def rule(*tools: str, targets: tuple[str, ...] | None = None, name: str = "x") -> Rule:
    return Rule(name, Effect.DENY, Selector(targets=targets, tools=tools))


def test_a_misspelt_tool_is_told_at_the_target_that_offers_what_was_meant() -> None:
    assert unoffered([rule("qeury")], OFFERED) == (Unoffered("x", "orders", "qeury", "query"),)
    assert unoffered([rule("cuont")], OFFERED) == (Unoffered("x", "stock", "cuont", "count"),)
    assert unoffered([rule("drop", targets=("st*",))], OFFERED) == (Unoffered("x", "stock", "drop"),)


def test_case_matters_to_rules_so_it_is_told() -> None:
    assert unoffered([rule("Query")], OFFERED) == (Unoffered("x", "orders", "Query", "query"),)


def test_what_some_reached_target_offers_is_not_told() -> None:
    assert unoffered([rule("count"), rule("query", targets=("*",)), rule("count", targets=("stock",))], OFFERED) == ()
    assert unoffered([rule("count", targets=("orders",))], OFFERED) == (Unoffered("x", "orders", "count"),)


def test_globs_and_rules_without_tools_are_not_told() -> None:
    assert unoffered([rule("qeu*", "?"), Rule("y", Effect.ALLOW, Selector(groups=("*",)))], OFFERED) == ()


def test_targets_whose_listing_is_not_known_are_left_alone() -> None:
    assert unoffered([rule("anything", targets=("new",))], OFFERED) == ()
    assert unoffered([rule("anything", targets=("new", "orders"))], OFFERED) == ()
    assert unoffered([rule("anything")], {}) == ()


def test_each_is_told_once_and_in_order() -> None:
    rules = [rule("b", "a", "b", name="two"), rule("b", name="one"), rule("b", name="one")]
    assert [(each.rule, each.tool) for each in unoffered(rules, OFFERED)] == [("one", "b"), ("two", "a"), ("two", "b")]


def test_a_target_that_offers_very_much_costs_little_to_be_compared() -> None:
    many = {"orders": frozenset(f"query_thing_{number}" for number in range(10_000))}
    rules = [rule(f"query_something_{number}", name=f"r{number}") for number in range(1_000)]
    began = time.process_time()
    assert {each.meant for each in unoffered(rules, many)} == {None}
    few = {"orders": [f"query_thing_{number}" for number in range(SUGGESTED_AMONG)]}
    found = unoffered(rules, few)
    assert len(found) == 1_000
    assert sum(each.meant is not None for each in found) == SUGGESTIONS
    assert time.process_time() - began < 10


def test_a_warning_says_what_to_do() -> None:
    assert str(Unoffered("x", "orders", "qeury", "query")) == (
        "the rule `x` names the tool `qeury`, which `orders` does not offer: did you mean `query`?"
    )
    assert "mend the name" in str(Unoffered("x", "orders", "qeury"))
