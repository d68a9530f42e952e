"""A rule may require who acts for whom: the agent, the person, or both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from countersign.model.decision import Outcome
from countersign.model.principal import Principal, PrincipalKind
from countersign.model.rule import Effect, Rule, Selector
from countersign.policy import Policy
from tests.unit.config.files import edited, loaded, refused
from tests.unit.policy.calls import NOW, tool

ALICE = Principal("https://idp.test", "alice", ("analysts",), PrincipalKind.PERSON, "t")
BOT_FOR_ALICE = replace(ALICE, kind=PrincipalKind.AGENT, actors=("bot-7", "planner"))
CALL = tool("query")
ALLOW = 'allow: {groups: [analysts], targets: [orders], tools: [query, "list_*"]}'


def outcome(rule: Rule, principal: Principal) -> Outcome:
    return Policy((rule,), version="v").decide(principal, CALL, NOW).outcome


@pytest.mark.parametrize(
    ("actors", "principals", "who", "allowed"),
    [
        (("bot-*",), None, BOT_FOR_ALICE, True),
        (("bot-7",), ("alice",), BOT_FOR_ALICE, True),
        (("*",), None, BOT_FOR_ALICE, True),
        (("*",), None, ALICE, False),
        (("bot-7",), None, ALICE, False),
        (("bot-7",), ("bob",), BOT_FOR_ALICE, False),
        (("alice",), None, BOT_FOR_ALICE, False),
        (("planner",), None, BOT_FOR_ALICE, False),
    ],
)
def test_a_rule_with_actors_is_about_who_acts_now(
    actors: tuple[str, ...], principals: tuple[str, ...] | None, who: Principal, *, allowed: bool
) -> None:
    rule = Rule("r", Effect.ALLOW, Selector(actors=actors, principals=principals))
    assert (outcome(rule, who) is Outcome.ALLOW) is allowed


@pytest.mark.parametrize(
    ("when", "allowed"),
    [
        ('"planner" in principal.actors', True),
        ('principal.actors[0] == "bot-7"', True),
        ("size(principal.actors) == 0", False),
        ('principal.token_subject == ""', True),
    ],
)
def test_a_condition_reads_who_acts(when: str, *, allowed: bool) -> None:
    rule = Rule("r", Effect.ALLOW, Selector(groups=("*",)), when=when)
    assert (outcome(rule, BOT_FOR_ALICE) is Outcome.ALLOW) is allowed


def test_a_condition_reads_what_the_token_calls_a_machine() -> None:
    machine = replace(ALICE, kind=PrincipalKind.MACHINE, subject="ci", token_subject="repo:acme/payments")
    rule = Rule("r", Effect.ALLOW, Selector(groups=("*",)), when='principal.token_subject.startsWith("repo:acme/")')
    assert outcome(rule, machine) is Outcome.ALLOW


def test_a_denial_of_agents_leaves_room_for_people(tmp_path: Path) -> None:
    deny = 'deny: {targets: ["*"], tools: ["export_*"]}'
    assert loaded(tmp_path, edited(deny, 'deny: {actors: ["*"]}')).rules[1].selector.actors == ("*",)
    people = edited(ALLOW, 'allow: {actors: ["bot-*"]}', edited(deny, 'deny: {actors: ["*"]}'))
    assert "can never allow" in refused(tmp_path, people)[0].what


def test_actors_alone_say_whom_a_rule_is_about(tmp_path: Path) -> None:
    assert loaded(tmp_path, edited(ALLOW, 'allow: {actors: ["bot-*"]}')).rules
    assert "spaces around" in refused(tmp_path, edited(ALLOW, 'allow: {actors: ["bot "]}'))[0].what
