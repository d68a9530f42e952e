"""A rule that cannot be evaluated denies the call, whatever its effect, and names itself; nothing of the call leaks."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations

import pytest

from countersign import statements
from countersign.model.call import Call, NameKind
from countersign.model.decision import Decision, Outcome
from countersign.model.principal import PrincipalKind
from countersign.model.rule import ArgConstraint, Rule
from countersign.model.situation import Situation, Usage
from countersign.policy import BadCondition, BadConstraint, Policy
from countersign.statements import StatementClass, Verdict
from tests.unit.policy.calls import NOW, Fields, allow, approve, deny, person, resource, tool

ALICE = person("analysts")
LIMITED = (ArgConstraint("limit", at_most=100),)


def judged(rules: list[Rule], call: Call, situation: Situation = NOW) -> Decision:
    return Policy(rules, version="v1").decide(ALICE, call, situation)


@pytest.mark.parametrize("make", [allow, approve, deny])
@pytest.mark.parametrize(
    "arguments", ['{"limit": "1000"}', '{"limit": true}', '{"limit": null}', '{"limit": [1]}', "[]"]
)
@pytest.mark.parametrize("fields", [{"args": LIMITED}, {"when": "args.limit <= 100"}])
def test_a_rule_that_throws_denies_whatever_its_effect(
    make: Callable[..., Rule], arguments: str, fields: Fields
) -> None:
    call = tool("query", arguments=arguments)
    decision = judged([allow("open"), make("guard", tools=("query",), **fields)], call)
    assert decision.outcome is Outcome.DENY
    assert decision.rules == ("guard",)
    assert decision.masks == ()
    assert decision.reason.startswith('"guard" could not be evaluated (')
    assert judged([allow("open"), make("guard", tools=("other",), **fields)], call).allowed


@pytest.mark.parametrize(
    "condition",
    [
        "has(args.limit) && args.limit > 100",
        "'limit' in args",
        "args['limit'] > 100",
        "has(args.page.limit) && args.page.limit > 100",
        "has(args.page) && has(args['page'].limit)",
    ],
)
@pytest.mark.parametrize(
    "arguments",
    [
        '{"LIMIT": 1000, "PAGE": {"limit": 1000}}',
        '{"limit": 1, "Limit": 1000, "page": {"limit": 1, "Limit": 1000}}',
        '{"L\u0131mit": 1, "l\u0069M\u0069t": 1000, "page": {"L\u0069mit": 1000}}',
    ],
)
def test_no_condition_is_evaded_by_the_case_of_a_key(condition: str, arguments: str) -> None:
    decision = judged([allow("open"), deny("too many", when=condition)], tool("query", arguments=arguments))
    assert decision.rules == ("too many",)
    assert "only in case" in decision.reason
    assert judged([allow("open"), deny("other", when="has(args.x)")], tool("query", arguments=arguments)).allowed


def test_neither_the_record_nor_the_caller_is_told_an_argument() -> None:
    arguments = '{"limit": "hunter2", "key": "hunter2"}'
    rules = [allow(), allow("a", args=LIMITED), deny("b", when="args[args.key] == 1"), deny("c", when="args.limit > 1")]
    decision = judged(rules, tool("query", arguments=arguments))
    assert decision.rules == ("a", "b", "c")
    assert "hunter2" not in repr(decision)


def test_denying_and_throwing_rules_are_named_in_one_order() -> None:
    rules = [
        deny("z", message="No."),
        deny("c", when="args.x > 1"),
        allow("b", args=LIMITED),
        approve("a", when="args.limit > 1"),
        allow("open"),
    ]
    decisions = {judged(list(order), tool("query", arguments='{"limit": "x"}')) for order in permutations(rules)}
    assert len(decisions) == 1
    decision = decisions.pop()
    assert decision.rules == ("a", "b", "c", "z")
    assert decision.message == "No."
    assert decision.reason.startswith('denied by "z"; ')


def test_constraints_throw_in_any_order_even_beside_one_that_is_not_met() -> None:
    constraints = (ArgConstraint("region", one_of=("eu",)), *LIMITED)
    call = tool("query", arguments='{"region": "us", "limit": "x"}')
    for args in permutations(constraints):
        assert judged([allow("open"), allow("limited", args=args)], call).rules == ("limited",)


def test_a_condition_is_asked_only_where_the_arguments_are_as_they_must_be() -> None:
    rule = deny("big", args=(ArgConstraint("format", one_of=("csv",)),), when="args.rows > 10")
    assert judged([allow(), rule], tool("query", arguments='{"format": "json"}')).allowed
    assert not judged([allow(), rule], tool("query", arguments='{"format": "csv"}')).allowed


def test_arguments_are_those_of_the_call_or_else_all_params() -> None:
    rule = allow("one", args=(ArgConstraint("uri", one_of=("file:///a",)),))
    call = resource("file:///a")
    assert judged([rule], Call(call.target, call.method, call.name, call.name_kind, '{"uri": "file:///a"}')).allowed
    assert not judged([rule], Call(call.target, call.method, call.name, call.name_kind, '{"uri": "file:///b"}')).allowed
    assert not judged([rule], call).allowed
    outside = tool("query")
    params = '{"name": "query", "limit": 5, "arguments": {"limit": 500}}'
    assert not judged([allow(args=LIMITED)], Call("orders", outside.method, "query", outside.name_kind, params)).allowed


@pytest.mark.parametrize("arguments", ["", "null", "{}"])
def test_absent_arguments_are_an_empty_object(arguments: str) -> None:
    call = tool("query", arguments=arguments)
    assert not judged([allow(args=LIMITED)], call).allowed
    assert judged([allow(args=LIMITED)], call).rules == ()
    assert judged([allow(when="size(args) == 0")], call).allowed


def test_arguments_are_not_read_unless_a_rule_that_selects_the_call_asks() -> None:
    broken = tool("query", arguments='{"a": 1, "a": 2}')
    assert judged([allow(), deny(tools=("other",), args=LIMITED), deny(when="usage.rows_1h > 5")], broken).allowed
    assert not judged([allow(), deny(args=LIMITED)], broken).allowed


def test_usage_and_time_decide() -> None:
    rules = [allow(), deny("much", when="usage.rows_1h > 10000"), approve("late", when="request.time.getHours() >= 20")]
    day, night = 1_770_030_000_000_000, 1_770_070_000_000_000
    assert judged(rules, tool("query"), Situation(day, usage=Usage(rows_1h=10_000))).allowed
    assert judged(rules, tool("query"), Situation(day, usage=Usage(rows_1h=10_001))).rules == ("much",)
    assert judged(rules, tool("query"), Situation(night)).outcome is Outcome.APPROVE


def test_it_is_told_which_calls_are_judged_by_usage() -> None:
    policy = Policy(
        [allow(when="usage.rows_1h < 5", tools=("query",)), deny(groups=("guests",), when="usage.calls_1m > 5")],
        version="v",
    )
    assert policy.needs_usage(ALICE, tool("query"))
    assert not policy.needs_usage(ALICE, tool("other"))
    assert not policy.needs_usage(ALICE, Call("orders", "tools/list"))
    assert policy.needs_usage(person("guests"), Call("orders", "tools/list"))


def test_who_may_connect_does_not_depend_on_arguments_or_the_moment() -> None:
    connect = Call("orders", "initialize", params_json="[")
    for rule in (
        allow(args=LIMITED),
        approve(args=LIMITED),
        allow(when="args.x > 1"),
        approve(when="usage.rows_1h > 1"),
    ):
        assert judged([rule], connect).allowed
    assert not judged([allow(), deny(when="usage.rows_1h == 0")], connect).allowed
    assert not judged([allow(), deny(when="args.x > 1")], connect).allowed


def test_what_may_be_offered_does_not_depend_on_arguments_or_the_moment() -> None:
    def offered(*rules: Rule) -> bool:
        return Policy(rules, version="v").offers(ALICE, "orders", NameKind.TOOL, "query")

    assert offered(allow(args=LIMITED))
    assert offered(approve(when="usage.rows_1h > 1"))
    assert offered(allow(), deny(args=LIMITED))
    assert offered(allow(), deny(when="usage.rows_1h > 1"))
    assert not offered(allow(), deny())
    assert not offered(deny(args=LIMITED))
    assert offered(allow(), deny(shadow=True))
    assert not offered(allow(shadow=True))


def test_approval_beats_allowance_and_keeps_the_masks_of_both() -> None:
    decision = judged([allow("a", masks=("m",)), approve("z", masks=("n",)), approve("b")], tool("query"))
    assert (decision.outcome, decision.rules, decision.masks) == (Outcome.APPROVE, ("b", "z"), ("m", "n"))
    assert decision.reason == 'needs approval by "b", "z"'
    assert not decision.allowed
    assert judged([allow(), approve(), deny()], tool("query")).outcome is Outcome.DENY
    assert judged([approve()], tool("query")).outcome is Outcome.APPROVE


def test_rules_select_by_subject_and_kind() -> None:
    alice, bot = ALICE, person(subject="bot-7")
    assert judged([allow(principals=("ali*",))], tool("query")).allowed
    assert not judged([allow(principals=("bot-*",))], tool("query")).allowed
    assert judged([allow(kinds=(PrincipalKind.PERSON,))], tool("query")).allowed
    assert not judged([allow(kinds=(PrincipalKind.AGENT, PrincipalKind.MACHINE))], tool("query")).allowed
    assert not Policy([allow(groups=("analysts",), principals=("*",))], version="v").decide(bot, tool("q"), NOW).allowed
    assert not judged([allow(), deny(principals=(alice.subject,))], tool("query")).allowed


def test_rules_on_trial_count_only_on_trial() -> None:
    rules = [allow("real"), deny("new", shadow=True), allow("more", masks=("m",), shadow=True)]
    assert Policy(rules, version="v").decide(ALICE, tool("query"), NOW).rules == ("real",)
    tried = Policy(rules, version="v", trial=True).decide(ALICE, tool("query"), NOW)
    assert (tried.outcome, tried.rules, tried.shadow) == (Outcome.DENY, ("new",), None)
    throwing = [allow("real"), deny("new", shadow=True, when="args.x > 1")]
    assert Policy(throwing, version="v").decide(ALICE, tool("query"), NOW).allowed


def test_a_policy_with_a_rule_that_cannot_be_compiled_is_not_made() -> None:
    with pytest.raises(BadCondition):
        Policy([allow(when="foo")], version="v")
    with pytest.raises(BadCondition):
        Policy([allow(when="foo", shadow=True)], version="v")
    with pytest.raises(BadConstraint):
        Policy([allow(args=(ArgConstraint("x"),))], version="v")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the room of statements is asked; it takes what starts with ``boom`` amiss."""
    texts = list[str]()

    def classify(text: str, dialect: str) -> Verdict:
        if text:  # the empty text is asked only to learn whether there is such a dialect
            texts.append(text)
        if text.startswith("boom"):
            raise RecursionError(text)
        return Verdict(frozenset({StatementClass.READ}), frozenset({f"{dialect}.t"}))

    monkeypatch.setattr(statements, "classify_sql", classify)
    return texts


def test_many_rules_about_one_statement_have_it_understood_once(asked: list[str]) -> None:
    rules = [allow(), *(deny(f"d{i}", when=f"sql(args.q, 'mysql').row_bound > {i}") for i in range(20))]
    for _ in range(3):
        for text in ("first of all", "second of all"):
            assert judged(rules, tool("query", arguments=f'{{"q": "{text}"}}')).allowed
    assert asked == ["first of all", "second of all"]


def test_one_text_in_two_dialects_is_two_questions(asked: list[str]) -> None:
    rules = [allow(when="sql(args.q, 'mysql').reads == ['mysql.t'] && sql(args.q, 'sqlite').reads == ['sqlite.t']")]
    assert judged(rules, tool("query", arguments='{"q": "a text in two dialects"}')).allowed
    assert len(asked) == 2


def test_a_classifier_that_fails_denies_and_its_words_stay_inside(asked: list[str]) -> None:
    rules = [allow(), deny("sql", when="!sql(args.q, 'mysql').only_reads")]
    decision = judged(rules, tool("query", arguments='{"q": "boom hunter2"}'))
    assert decision.reason == '"sql" could not be evaluated (the statement could not be classified)'
    assert asked == ["boom hunter2"]


def test_threads_judge_alike(asked: list[str]) -> None:
    rules = [
        allow("even", when="args.n % 2 == 0"),
        deny("three", args=(ArgConstraint("n", one_of=(3, 6, 9)),)),
        deny("sql", when="sql(args.q, 'mysql').reads != ['mysql.t']"),
    ]
    policy = Policy(rules, version="v")

    def allowed(number: int) -> bool:
        call = tool("query", arguments=f'{{"n": {number % 10}, "q": "{number % 7}"}}')
        return policy.decide(ALICE, call, NOW).allowed

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(allowed, range(2_000))) == [n % 10 in (0, 2, 4, 8) for n in range(2_000)]


@pytest.mark.parametrize(
    ("condition", "text", "expected"),
    [
        ("'destructive_ddl' in sql(args.q, 'postgres').classes", "DROP TABLE orders", True),
        ("'destructive_ddl' in sql(args.q, 'postgres').classes", "SELECT 1", False),
        ("sql(args.q, 'mysql').only_reads", "SELECT id FROM orders WHERE id = 7", True),
        ("sql(args.q, 'postgres').unparsable", "SELEC 1", True),
        ("sql(args.q, 'postgres').row_bound == 5", "SELECT id FROM orders ORDER BY id LIMIT 5", True),
        ("sql(args.q, 'postgres').bounded", "SELECT id FROM orders", False),
        ("sql(args.q, 'postgres').row_bound == -1", "SELECT id FROM orders", True),
        ("'orders' in sql(args.q, 'postgres').relations", "SELECT id FROM orders", True),
        ("'orders' in sql(args.q, 'postgres').writes", "DELETE FROM orders WHERE id = 7", True),
        ("shell(args.q).only_reads", "rm -rf /", False),
        ("redis(args.q).only_reads", "GET a", True),
        ("redis(args.q).only_reads", "FLUSHALL", False),
        ("mongo(args.q).only_reads", "db.orders.drop()", False),
    ],
)
def test_conditions_understand_statements(condition: str, text: str, expected: bool) -> None:
    call = tool("query", arguments=json.dumps({"q": text}))
    assert judged([allow(when=condition)], call).allowed is expected
