"""Beside the rules stand tools as they were accepted, what was used before, and rules on trial: none can be evaded."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest

from countersign.authz.deciding import Decided, Decider, Undecidable
from countersign.model.call import Call, NameKind
from countersign.model.decision import Decision, Outcome
from countersign.model.principal import Principal, PrincipalKind
from countersign.model.rule import Window
from countersign.model.situation import Situation, Usage
from countersign.model.windows import Departure
from countersign.runtime.pins import PinState
from countersign.runtime.rulebook import InForce, Rulebook
from tests.support.standing import Tools, Used

NOW = Situation(1_790_000_000_000_000, "192.0.2.7")
ALICE = Principal("https://idp.test", "alice", ("analysts",), PrincipalKind.PERSON, "t1")
QUERY = Call("orders", "tools/call", "query", NameKind.TOOL)
PING = Call("orders", "ping")
WHATEVER_IS_NEW = (PinState.NEW, PinState.CHANGED, PinState.UNLISTED)
PENDING = (*WHATEVER_IS_NEW, PinState.HIDDEN)
HEAD = """
version: 1
gateway: {url: "https://gateway.test"}
identity: {oidc: [{issuer: "https://idp.test"}]}
targets:
  orders: {mcp: "http://127.0.0.1:9000/mcp"}
  loose: {mcp: "http://127.0.0.1:9001/mcp", new_tools: allow}
"""
READ = '  - {name: read, allow: {groups: [analysts], tools: [query, "list_*"]}}\n'
DENIALS = '  - {name: bulk, deny: {tools: [query]}, when: "usage.rows_1h > 1000"}\n'
ARGUED = '  - {name: odd, deny: {tools: [query]}, when: "has(args.odd)"}\n'
LIMIT = "rate_limits: [{name: slow down, groups: [analysts], targets: [orders], calls: 3, per: 1m}]\n"


class Compile(Protocol):
    """Puts rules in force, and what else gateway.yaml is to state."""

    def __call__(self, rules: str = READ, rest: str = "") -> InForce: ...


@pytest.fixture
def in_force(tmp_path: Path, rules_cache: Path) -> Compile:
    def compiled(rules: str = READ, rest: str = "") -> InForce:
        path = tmp_path / "gateway.yaml"
        path.write_text(f"{HEAD}rules:\n{rules}{rest}")
        return Rulebook(path, {}, rules_cache, reads=()).current

    return compiled


async def decide(
    now: InForce,
    *calls: Call,
    tools: Tools | None = None,
    used: Used | None = None,
    size_bytes: int = 100,
    approved: Decision | None = None,
) -> Decided:
    asked = calls or (QUERY,)
    target = now.config.targets[asked[0].target]
    decider = Decider(tools or Tools(), used or Used())
    return await decider.decide(now, target, ALICE, asked, NOW, size_bytes, approved=approved)


@pytest.mark.parametrize("state", PENDING)
async def test_a_tool_that_nobody_accepted_is_denied_whatever_the_rules_say(in_force: Compile, state: PinState) -> None:
    decided = await decide(in_force(), tools=Tools(states={"query": state}))
    assert decided.verdict.outcome is Outcome.DENY
    assert "tool" in decided.verdict.reason
    assert decided.verdict.masks == ()


@pytest.mark.parametrize("state", WHATEVER_IS_NEW)
async def test_a_target_may_be_trusted_with_its_tools(in_force: Compile, state: PinState) -> None:
    loose = replace(QUERY, target="loose")
    assert (await decide(in_force(), loose, tools=Tools(state))).verdict.allowed


async def test_no_target_is_trusted_with_what_it_hides(in_force: Compile) -> None:
    loose = replace(QUERY, target="loose")
    decided = await decide(in_force(), loose, tools=Tools(states={"query": PinState.HIDDEN}))
    assert decided.verdict.outcome is Outcome.DENY
    assert "hidden" in decided.verdict.reason


@pytest.mark.parametrize("state", [PinState.ACCEPTED, PinState.UNSEEN_TARGET])
async def test_accepted_tools_and_those_never_listed_are_for_the_rules(in_force: Compile, state: PinState) -> None:
    now = in_force()
    assert (await decide(now, tools=Tools(state))).verdict.allowed
    assert not (await decide(now, replace(QUERY, name="drop"), tools=Tools(state))).verdict.allowed


async def test_nothing_is_concluded_about_tools_from_old_knowledge(in_force: Compile) -> None:
    now = in_force()
    with pytest.raises(Undecidable):
        await decide(now, tools=Tools(PinState.UNKNOWN))
    # What the rules deny anyway, and what names no tool, needs none of it.
    assert not (await decide(now, replace(QUERY, name="drop"), tools=Tools(PinState.UNKNOWN))).verdict.allowed
    assert (await decide(now, PING, tools=Tools(PinState.UNKNOWN))).verdict.allowed


async def test_a_pending_tool_in_a_batch_holds_back_all_of_it(in_force: Compile) -> None:
    other = replace(QUERY, name="list_orders")
    used = Used()
    decided = await decide(in_force(), other, QUERY, PING, tools=Tools(states={"query": PinState.CHANGED}), used=used)
    assert [decision.outcome for decision in decided.decisions] == [Outcome.DENY] * 3
    assert used.counted == 0


async def test_usage_reaches_conditions_and_is_asked_for_only_then(in_force: Compile) -> None:
    many = Used(Usage(rows_1h=1001))
    assert (await decide(in_force(), used=many)).verdict.allowed
    denied = await decide(in_force(READ + DENIALS), used=many)
    assert denied.verdict.rules == ("bulk",)
    assert (await decide(in_force(READ + DENIALS), used=Used(Usage(rows_1h=1000)))).verdict.allowed


@pytest.mark.parametrize(
    ("rules", "rest", "judged"),
    [
        (READ, "", False),
        (READ + DENIALS, "", True),
        (READ, LIMIT, True),
        (READ + DENIALS.replace("}\n", ", mode: shadow}\n"), "", False),
    ],
)
def test_it_is_known_whether_any_call_is_judged_by_usage(
    in_force: Compile, rules: str, rest: str, judged: bool
) -> None:
    assert in_force(rules, rest).judges_by_usage is judged


async def test_who_had_too_much_does_not_connect_either(in_force: Compile) -> None:
    now = in_force(READ + '  - {name: enough, deny: {groups: ["*"]}, when: "usage.rows_1h > 1000"}\n')
    assert (await decide(now, PING, used=Used(Usage(rows_1h=1000)))).verdict.allowed
    assert (await decide(now, PING, used=Used(Usage(rows_1h=1001)))).verdict.rules == ("enough",)
    with pytest.raises(Undecidable):
        await decide(now, PING, used=Used(fresh=False))


async def test_large_calls_judged_by_usage_hold_nobody_up_and_pass_one_by_one(in_force: Compile) -> None:
    rule = '  - {name: once, deny: {tools: [query, drop]}, when: "usage.calls_1h >= 1 && size(args) < 100000"}\n'
    large = json.dumps({"name": "query", "arguments": {f"key{number}": number for number in range(20_000)}})
    now, used = in_force(READ + rule), Used()
    decider = Decider(Tools(), used)
    call, target = replace(QUERY, params_json=large), now.config.targets["orders"]
    asked = [asyncio.ensure_future(decider.decide(now, target, ALICE, [call], NOW, len(large))) for _ in range(4)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    # All of them are under way, and the loop is free for others meanwhile.
    assert not any(one.done() for one in asked)
    bob = replace(ALICE, subject="bob")
    assert not (await decider.decide(now, target, bob, [replace(QUERY, name="drop")], NOW, 100)).verdict.allowed
    assert not any(one.done() for one in asked)
    outcomes = [one.verdict.outcome for one in await asyncio.gather(*asked)]
    assert outcomes == [Outcome.ALLOW, Outcome.DENY, Outcome.DENY, Outcome.DENY]
    assert used.counted == 1


async def test_large_calls_at_once_are_not_more_than_the_limit(in_force: Compile) -> None:
    large = json.dumps({"name": "query", "arguments": {f"key{number}": number for number in range(20_000)}})
    now, used = in_force(READ + ARGUED, LIMIT), Used()
    decider, target = Decider(Tools(), used), now.config.targets["orders"]
    call = replace(QUERY, params_json=large)
    decided = await asyncio.gather(*(decider.decide(now, target, ALICE, [call], NOW, len(large)) for _ in range(6)))
    assert sorted(one.verdict.outcome for one in decided) == [Outcome.ALLOW] * 3 + [Outcome.DENY] * 3
    assert used.counted == 3


async def test_a_call_does_not_pass_on_a_count_that_grew_old_while_it_was_judged(in_force: Compile) -> None:
    used = Used()
    large = json.dumps({"name": "query", "arguments": {f"key{number}": number for number in range(20_000)}})
    now = in_force(READ, LIMIT)
    asked = asyncio.ensure_future(decide(now, replace(QUERY, params_json=large), used=used, size_bytes=len(large)))
    await asyncio.sleep(0)
    used.fresh = False
    with pytest.raises(Undecidable):
        await asked
    assert used.counted == 0


async def test_where_usage_decides_and_is_not_known_nothing_is_decided(in_force: Compile) -> None:
    stale = Used(fresh=False)
    for rules, rest in ((READ + DENIALS, ""), (READ, LIMIT)):
        with pytest.raises(Undecidable):
            await decide(in_force(rules, rest), used=stale)
        assert (await decide(in_force(rules, rest), PING, used=stale)).verdict.allowed
    assert (await decide(in_force(), used=stale)).verdict.allowed
    assert (await decide(in_force(READ, LIMIT), replace(QUERY, target="loose"), used=stale)).verdict.allowed


async def test_calls_count_when_they_pass_and_the_limit_says_when_to_come_back(in_force: Compile) -> None:
    now, used = in_force(READ, LIMIT), Used()
    for _ in range(3):
        assert (await decide(now, used=used)).verdict.allowed
        assert (await decide(now, PING, used=used)).verdict.allowed
        assert not (await decide(now, replace(QUERY, name="drop"), used=used)).verdict.allowed
    used.leaving = (Departure(7_200_000, 3),)
    limited = await decide(now, used=used)
    assert (limited.verdict.outcome, limited.verdict.rules) == (Outcome.DENY, ("slow down",))
    assert limited.retry_after_s == 8
    assert used.counted == 3
    assert (await decide(now, PING, used=used)).verdict.allowed


async def test_a_batch_cannot_carry_more_calls_than_the_limit_has_left(in_force: Compile) -> None:
    now, used = in_force(READ, LIMIT), Used(Usage(calls_1m=1))
    assert (await decide(now, QUERY, QUERY, QUERY, used=used)).retry_after_s > 0
    assert used.counted == 0
    assert (await decide(now, QUERY, PING, QUERY, used=used)).verdict.allowed
    assert used.counted == 2


async def test_a_batch_cannot_carry_more_calls_than_a_condition_lets_pass(in_force: Compile) -> None:
    rule = '  - {name: four, deny: {tools: [query]}, when: "usage.calls_1h >= 4"}\n'
    now, used = in_force(READ + rule), Used(Usage(calls_1h=2))
    decided = await decide(now, QUERY, PING, QUERY, QUERY, used=used)
    assert [decision.rules for decision in decided.decisions] == [("four",)] * 4
    assert used.counted == 0
    assert (await decide(now, QUERY, PING, QUERY, used=used)).verdict.allowed
    assert (await decide(now, used=used)).verdict.rules == ("four",)


async def test_of_several_limits_the_longest_wait_is_told(in_force: Compile) -> None:
    class Leaving(Used):
        def departures(self, principal: Principal, target: str, window: Window, now_us: int) -> tuple[Departure, ...]:
            return (Departure(50_000_000 if window is Window.MINUTE else 3_000_000, 4),)

    limits = "rate_limits: [{name: a, calls: 3, per: 1m}, {name: b, calls: 4, per: 1h}]\n"
    limited = await decide(in_force(READ, limits), used=Leaving(Usage(calls_1m=4, calls_1h=4)))
    assert limited.retry_after_s == 50


async def test_a_batch_that_no_wait_lets_pass_is_denied_without_one(in_force: Compile) -> None:
    never = await decide(in_force(READ, LIMIT), *[QUERY] * 4)
    assert (never.verdict.outcome, never.verdict.rules, never.retry_after_s) == (Outcome.DENY, ("slow down",), 0)
    assert "never lets 4 calls pass" in never.verdict.message


ASK = READ + "  - {name: ask first, approve: {groups: [analysts], tools: [query]}, by: {groups: [owners]}}\n"


async def test_what_needs_approval_passes_only_once_people_agreed_to_this_very_question(in_force: Compile) -> None:
    now, used = in_force(ASK, LIMIT), Used()
    verdict = (await decide(now, used=used)).verdict
    assert (verdict.outcome, verdict.rules, used.usage.calls_1m) == (Outcome.APPROVE, ("ask first",), 0)
    others = (replace(verdict, rules=("x",)), replace(verdict, policy_version="0"), replace(verdict, glass=("g",)))
    for other in others:
        assert (await decide(now, used=used, approved=other)).verdict.outcome is Outcome.APPROVE
    assert (await decide(now, used=used, approved=verdict)).verdict.allowed
    assert used.usage.calls_1m == 1


async def test_what_people_agreed_to_is_still_denied_and_limited(in_force: Compile) -> None:
    verdict = (await decide(in_force(ASK))).verdict
    denying = in_force(ASK + '  - {name: never, deny: {tools: [query]}, when: "usage.rows_1h < 9"}\n')
    assert (await decide(denying, approved=verdict)).verdict.outcome is Outcome.DENY
    limited = in_force(ASK, LIMIT)
    asked = (await decide(limited)).verdict
    assert (await decide(limited, used=Used(Usage(calls_1m=3)), approved=asked)).retry_after_s


async def test_nobody_is_asked_about_a_call_in_a_batch(in_force: Compile) -> None:
    decided = await decide(in_force(ASK), QUERY, replace(QUERY, name="other_tool"))
    assert {decision.outcome for decision in decided.decisions} == {Outcome.DENY}
    decided = await decide(in_force(ASK), QUERY, QUERY)
    assert {decision.outcome for decision in decided.decisions} == {Outcome.DENY}
    assert "batch" in decided.verdict.message


async def test_rules_on_trial_say_their_say_and_bind_nobody(in_force: Compile) -> None:
    plain = await decide(in_force())
    assert plain.verdict.shadow is None
    trial = "  - {name: on trial, deny: {tools: [query]}, mode: shadow}\n"
    tried = await decide(in_force(READ + trial))
    assert tried.verdict.allowed
    assert tried.verdict.shadow is not None
    assert (tried.verdict.shadow.outcome, tried.verdict.shadow.rules) == (Outcome.DENY, ("on trial",))


async def test_rules_on_trial_see_what_was_used_also_where_one_only_connects(in_force: Compile) -> None:
    trial = '  - {name: enough, deny: {groups: ["*"]}, when: "usage.rows_1h > 1000", mode: shadow}\n'
    for call in (QUERY, PING):
        tried = await decide(in_force(READ + trial), call, used=Used(Usage(rows_1h=1001)))
        assert tried.verdict.allowed
        assert tried.verdict.shadow is not None
        assert tried.verdict.shadow.rules == ("enough",)


async def test_a_whole_candidate_is_tried_beside_the_rules_in_force(tmp_path: Path, in_force: Compile) -> None:
    (tmp_path / "candidate.yaml").write_text(f"{HEAD}rules:\n{READ.replace('read', 'read more')}")
    tried = await decide(in_force(READ, "shadow: candidate.yaml\n"))
    assert tried.verdict.rules == ("read",)
    assert tried.verdict.shadow is not None
    assert tried.verdict.shadow.rules == ("read more",)
    assert tried.verdict.shadow.policy_version != tried.verdict.policy_version
