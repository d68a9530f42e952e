"""Conditions are refused when they are compiled if they could not be enforced, each at its place and with a remedy."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from countersign.model.call import Call
from countersign.model.principal import Principal
from countersign.model.situation import Situation, Usage
from countersign.policy import VOCABULARY, BadCondition, compile_condition
from countersign.policy.arguments import Arguments
from countersign.policy.conditions import Variables
from countersign.policy.errors import CannotJudge
from tests.unit.policy.calls import NOW, person, tool


def holds(text: str, arguments: str = "{}", *, principal: Principal | None = None, situation: Situation = NOW) -> bool:
    call = tool("query", arguments=arguments)
    return compile_condition(text).holds(variables(call, principal or person("analysts", "eu"), situation))


def variables(call: Call, principal: Principal, situation: Situation) -> Variables:
    return Variables(principal, call, situation, Arguments(call))


def throws(text: str, arguments: str = "{}") -> CannotJudge:
    with pytest.raises(CannotJudge) as thrown:
        holds(text, arguments)
    return thrown.value


@pytest.mark.parametrize(
    ("text", "line", "column", "what", "remedy"),
    [
        ("principal.subjet == 'a'", 1, 11, "principal has no field subjet", "did you mean subject?"),
        ("prinicpal.subject == 'a'", 1, 1, "there is no prinicpal", "did you mean principal?"),
        ("usage.rows_1h > 3 &&\n  usage.rows_1w > 3", 2, 9, "usage has no field rows_1w", "did you mean rows_1m?"),
        ("xyz == 'a'", 1, 1, "there is no xyz", "use one of principal, target"),
        ("'😀é' == 'x' || foo", 1, 16, "there is no foo", "use one of principal"),
        ("usage.rows_1h > 1 && nope(1)", 1, 22, "there is no function nope", "use one of sql, shell"),
        ("call.name.startWith('x')", 1, 11, "there is no function startWith", "did you mean startsWith?"),
        ("principal.groups.exist(g, g == 'a')", 1, 18, "there is no function exist", "did you mean exists?"),
        ("sql(args.q).only_reads", 1, 1, "sql does not take these", "sql(text: string, dialect: string)"),
        ("sql(3, 'mysql').only_reads", 1, 1, "sql cannot be applied to (int, string)", "sql(text: string"),
        ("sql(args.q, 'mysql').only_read", 1, 22, "has no field only_read", "only_reads"),
        ("call.name == 3", 1, 11, "== cannot be applied to (string, int)", "same type"),
        ("principal.groups == 'admins'", 1, 18, "== cannot be applied to (list(string), string)", "same type"),
        ("usage.rows_1h > '5'", 1, 15, "> cannot be applied to (int, string)", "same type"),
        ("args.x in 3", 1, 8, "in cannot be applied", "same type"),
        ("size(principal) > 1", 1, 1, "size cannot be applied", "types that CEL defines"),
        ("args.x +", 1, 9, "ends too early", "complete it"),
        ("", 1, 1, "ends too early", "complete it"),
        ("((call.name == 'x')", 1, 20, "ends too early", "complete it"),
        ("call.name = 'x'", 1, 11, "= is not understood", "write == instead"),
        ("call.name == 'x' and true", 1, 18, "and is not expected", "write && instead"),
        ("not true", 1, 1, "not is not expected", "write ! instead"),
        ("call.name == 'x", 1, 14, "is not understood", "CEL's language"),
        ("call.name", 1, 1, "neither true nor false, but of type string", "compare it"),
        ("args.flag", 1, 1, "known only when it is called", "write `args.flag == true`"),
        ("args", 1, 1, "neither true nor false, but of type map", "compare it"),
        ("1 / 0 > 1", 1, 1, "throws, whatever the call: it divides by zero", "correct it"),
        ("args.q.matches('(a')", 1, 16, "no regular expression", "RE2"),
        ("matches(args.q, 'a(?=b)')", 1, 17, "no regular expression", "RE2"),
        ("sql(args.q,\n 'postgre').only_reads", 2, 2, 'no dialect "postgre"', 'did you mean "postgres"?'),
        ("sql(args.q, 'cobol').only_reads", 1, 13, 'no dialect "cobol"', "use one of "),
        ("'destructve_ddl' in sql(args.q, 'mysql').classes", 1, 1, "destructve_ddl", 'did you mean "destructive_ddl"?'),
        ("shell(args.q).classes == ['read', 'wite']", 1, 35, 'no class of statements "wite"', '"write"'),
        ("redis(args.q).classes.exists(c, c == 'drop')", 1, 38, 'no class of statements "drop"', "use one of read"),
        ("mongo(args.q).classes[0] != 'drop'", 1, 29, 'no class of statements "drop"', "use one of read"),
        ("mongo(args.q).classes.exists(c, c in ['ddl', 'dll'])", 1, 46, '"dll"', 'did you mean "ddl"?'),
        ("principal.kind == 'human'", 1, 19, 'no kind of principal "human"', "person, agent, machine"),
        ("call.kind in ['tool', 'tol']", 1, 23, 'no kind of name "tol"', 'did you mean "tool"?'),
        ("in_network(request.source_address, '10.0.0.1/8')", 1, 36, "is no network", '"10.0.0.0/8"'),
        ("in_network(request.source_address, 'office')", 1, 36, "is no network", '"2001:db8::/32"'),
        ("has(usage.rows_1h)", 1, 4, "has() is false for rows_1h when it is empty or 0", "has() is for args"),
        ("(" * 40 + "true" + ")" * 40, 1, 1, "nested too deeply", "several rules"),
        ("!" * 4_097, 1, 1, "longer than 4096 characters", "several rules"),
    ],
)
def test_what_could_not_be_enforced_is_refused_at_its_place(
    text: str, line: int, column: int, what: str, remedy: str
) -> None:
    with pytest.raises(BadCondition) as refused:
        compile_condition(text)
    error = refused.value
    assert (error.line, error.column) == (line, column), str(error)
    assert what in error.what
    assert remedy in error.remedy
    assert "countersign." not in str(error)


@pytest.mark.parametrize(
    "text",
    ["-" * 3_000 + "1", "args" + ".a" * 1_900, "[" * 1_500, "+".join(["1"] * 1_500), "\x00", "'\\ud800'", "1 ? 2"],
)
def test_no_text_brings_the_compiler_down(text: str) -> None:
    with pytest.raises(BadCondition):
        compile_condition(text)


@pytest.mark.parametrize(
    ("text", "always"),
    [
        ("true", True),
        ("1 + 1 == 3", False),
        ("args.x == 1 || true", True),
        ("principal.subject == 'a' && false", False),
        ("'ddl' in ['read']", False),
        ("principal.subject == 'a'", None),
        ("has(args.x)", None),
        ("usage.rows_1h >= 0", None),
    ],
)
def test_a_condition_that_says_the_same_of_every_call_is_told(text: str, always: bool | None) -> None:
    assert compile_condition(text).always is always


def test_every_word_of_the_vocabulary_can_be_used() -> None:
    for variable in VOCABULARY.variables:
        for field in VOCABULARY.fields_of(variable.type):
            compile_condition(f"type({variable.name}.{field.name}) == type({variable.name}.{field.name})")
    samples = {"string": "args.x", "Statement": ".only_reads", "bool": ""}
    for function in VOCABULARY.functions:
        parameters = ", ".join(samples[type_] for _, type_ in function.parameters)
        compile_condition(f"{function.name}({parameters}){samples[function.result]}")
    for field in VOCABULARY.fields_of("Statement"):
        compile_condition(f"type(redis(args.x).{field.name}) == type(1)")


def test_the_builtins_of_the_vocabulary_are_known_to_the_compiler() -> None:
    for name in VOCABULARY.builtins:
        with pytest.raises(BadCondition) as refused:
            compile_condition(f"{name}(1, 2, 3, 4, 5, 6)")
        assert "there is no function" not in refused.value.what, name


def test_the_vocabulary_holds_all_that_is_known_of_use() -> None:
    assert {field.name for field in VOCABULARY.fields_of("Usage")} == {field.name for field in fields(Usage)}
    for structure in VOCABULARY.structures:
        assert all(re.fullmatch(r"[a-z].*[^.]", field.meaning) for field in structure.fields)


@pytest.mark.parametrize(
    ("text", "arguments", "expected"),
    [
        ("principal.subject == 'alice' && principal.kind == 'person'", "{}", True),
        ("principal.issuer == 'https://issuer.example' && 'eu' in principal.groups", "{}", True),
        ("principal.groups.exists(g, g.startsWith('admin'))", "{}", False),
        ("target.name == 'orders' && call.method == 'tools/call' && call.name == 'query'", "{}", True),
        ("call.kind == 'tool'", "{}", True),
        ("request.time == timestamp('2026-02-02T02:40:00Z')", "{}", True),
        ("request.time.getHours('Europe/Berlin') == 3", "{}", True),
        ("in_network(request.source_address, '192.0.2.0/24')", "{}", True),
        ("in_network(request.source_address, '2001:db8::/32')", "{}", False),
        ("usage.rows_1h > 10000 || usage.calls_1m == 0", "{}", True),
        ("args.limit > 100", '{"limit": 101}', True),
        ("args.limit > 100", '{"limit": 99.5}', False),
        ("args.limit == 1", '{"limit": 1.0}', True),
        ("args.limit == 1", '{"limit": true}', False),
        ("args.limit == 1", '{"limit": "1"}', False),
        ("args.limit > 9223372036854775807", '{"limit": 18446744073709549568}', True),
        ("args['naïve 😀'].sub[1] == null", '{"naïve 😀": {"sub": [1, null]}}', True),
        ("has(args.limit)", '{"limit": null}', True),
        ("has(args.limit)", "{}", False),
        ("has(args.a.b) && args.a.b > 1", '{"a": {}}', False),
        ("args.q.matches('^[a-z]+$')", '{"q": "abc"}', True),
        ("args.list.all(x, x < 3) && size(args.list) == 2", '{"list": [1, 2]}', True),
        ("args.q.lowerAscii().split(' ')[0] == 'select'", '{"q": "SELECT 1"}', True),
    ],
)
def test_a_condition_reads_the_call_as_it_is(text: str, arguments: str, expected: bool) -> None:
    assert holds(text, arguments) is expected


@pytest.mark.parametrize(
    ("text", "arguments", "reason"),
    [
        ("args.limit > 100", "{}", "a key that is not there"),
        ("args.limit > 100", '{"limit": "101"}', "of another type"),
        ("args.limit > 100", '{"limit": true}', "of another type"),
        ("args.limit > 100", '{"limit": 1e400}', "too large"),
        ("args.limit > 100", '{"limit": 36893488147419103232}', "too large"),
        ("args.limit > 100", '{"limit": ' + "9" * 5_000 + "}", "too large"),
        ("100 / args.n > 1", '{"n": 0}', "divides by zero"),
        ("args.n * 2 > 1", '{"n": 9223372036854774784}', "too large"),
        ("args.n != 9007199254740992", '{"n": 9007199254740993}', "not every target holds exactly"),
        ("args.n != 1", '{"n": 1, "m": [-18446744073709551615]}', "too large"),
        ("args.n != 1", '{"n": 1, "m": [18446744073709551615]}', "not every target holds exactly"),
        ("args.l[3] == 1", '{"l": [1]}', "outside its list"),
        ("args.flag && true", '{"flag": "yes"}', "of another type"),
        ("args.q.matches(args.p)", '{"q": "a", "p": "("}', "cannot be evaluated"),
        ("sql(args.q, args.d).only_reads", '{"q": "SELECT 1", "d": "cobol"}', "the dialect is not known"),
        ("in_network(args.a, '10.0.0.0/8')", '{"a": "hunter2"}', "the address or the network is none"),
        ("in_network('10.0.0.1', args.n)", '{"n": "10.0.0.1/8"}', "the address or the network is none"),
        ("args.l.all(x, args.l.all(y, args.l.all(z, true)))", f'{{"l": {list(range(100))}}}', "too many steps"),
        ("has(args.x)", f'{{"x": {[[1] * 1_000] * 100}}}', "too many values"),
        ("args.x == 1", '{"x": 1, "x": 1}', "not plain JSON: a key is repeated"),
        ("args.x == 1", '{"x": "\\ud800"}', "not plain JSON: a surrogate"),
        ("args.x == 1", "[1]", "no object"),
        ("args.x == 1", '{"x": ' + "[" * 200 + "]" * 200 + "}", "nested too deeply"),
    ],
)
def test_what_cannot_be_evaluated_throws_in_general_terms(text: str, arguments: str, reason: str) -> None:
    error = throws(text, arguments)
    assert reason in error.reason
    assert not any(secret in error.reason for secret in ("hunter2", "cobol", "yes", "36893488147419103232"))


def test_a_condition_without_arguments_does_not_read_them() -> None:
    assert holds("principal.subject == 'alice'", '{"x": 1, "x": 1}')


def test_an_address_that_is_not_known_throws() -> None:
    with pytest.raises(CannotJudge):
        holds("in_network(request.source_address, '10.0.0.0/8')", situation=Situation(0))


@pytest.mark.parametrize(
    ("address", "cidr", "expected"),
    [
        ("10.1.2.3", "10.0.0.0/8", True),
        ("::ffff:10.1.2.3", "10.0.0.0/8", True),
        ("::ffff:0a01:0203", "10.0.0.0/8", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("2001:db8::1", "2001:db8::/32", True),
        ("2001:DB8:0::1", "2001:db8::/32", True),
        ("10.1.2.3", "::/0", False),
        ("2001:db8::1", "0.0.0.0/0", False),
    ],
)
def test_an_address_is_in_a_network_however_it_is_written(address: str, cidr: str, expected: bool) -> None:
    assert holds(f"in_network('{address}', args.n)", f'{{"n": "{cidr}"}}') is expected


def test_a_principal_that_cel_cannot_hold_throws() -> None:
    with pytest.raises(CannotJudge):
        holds("principal.subject != 'x'", principal=person(subject="\ud800"))
    with pytest.raises(CannotJudge):
        holds("usage.rows_1h < 5", situation=Situation(0, usage=Usage(rows_1h=2**70)))
