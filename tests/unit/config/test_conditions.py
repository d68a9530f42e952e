"""``when:`` is compiled at load; what is wrong with it is shown at its own character, in every style of YAML."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countersign.config import document, scalars
from countersign.config.problem import Place, Problems
from tests.unit.config.files import loaded, pointed_at, refused
from tests.unit.config.test_rules import HEAD

RULE = "  - name: x\n    allow: {groups: [a]}\n"
BAD = 'principal.subject != "a\\\\b" && usage.rows_2h < 10'


def with_condition(yaml: str) -> str:
    return f"{HEAD}{RULE}    when: {yaml}\n"


@pytest.mark.parametrize(
    "yaml",
    [
        "usage.rows_2h < 10",
        "usage.calls_1m < 5 && usage.rows_2h < 10 # a remark",
        "usage.calls_1m < 5\n      && usage.rows_2h < 10",
        "usage.calls_1m < 5\n\n\n        &&\n      usage.rows_2h < 10",
        "'principal.subject != ''a'' && usage.rows_2h < 10'",
        "'principal.subject != ''a''\n\n      && usage.rows_2h < 10'",
        '"principal.subject != \\"a\\" && usage.rows_2h < 10"',
        '"principal.subject != \\x22\\u0061\\" \\t\\n&& \\\n      usage.rows_2h < 10"',
        "\"principal.subject != '\\U0001F600' && usage.rows_2h < 10\"",
        "|\n      principal.subject != 'a'\n      && usage.rows_2h < 10",
        "|-  # a remark\n\n        usage.calls_1m < 5 &&\n          usage.rows_2h < 10\n\n",
        "|2-\n        usage.calls_1m < 5 &&\n          usage.rows_2h < 10",
        ">\n      principal.subject != 'größe' &&\n      usage.rows_2h < 10",
        ">-\n\n      principal.subject != 'a' &&\n\n        usage.rows_2h\n      < 10",
        "\n      usage.rows_2h < 10",
    ],
)
def test_a_mistake_is_shown_where_it_stands_in_the_file(tmp_path: Path, yaml: str) -> None:
    text = with_condition(yaml)
    (problem,) = refused(tmp_path, text)
    assert problem.what.startswith("in the condition: ")
    assert "rows_2h" in problem.what
    assert "rows_1h" in problem.remedy or "rows_24h" in problem.remedy
    before = text.split("\n")[problem.line - 1][: problem.column - 1]
    assert pointed_at(text, problem).startswith("rows_2h"), before


def test_lines_that_end_otherwise_are_counted_as_yaml_counts_them(tmp_path: Path) -> None:
    text = with_condition("|\n      usage.calls_1m < 5 &&\n      usage.rows_2h < 10").replace("\n", "\r\n")
    (problem,) = refused(tmp_path, text)
    lines = text.split("\r\n")
    assert lines[problem.line - 1][problem.column - 1 :].startswith("rows_2h")


@pytest.mark.parametrize(
    ("condition", "what", "at"),
    [
        ("nobody == 'a'", "nobody", "nobody"),
        ("principal.subjet == 'a'", "subjet", "subjet"),
        ("sqll(args.q, 'postgres').only_reads", "sqll", ""),
        ("sql(args.q, 'postgress').only_reads", "postgress", "'postgress'"),
        ("'destructve_ddl' in sql(args.q, 'postgres').classes", "destructve_ddl", "'destructve_ddl'"),
        ("in_network(request.source_address, '10.0.0.0/33')", "10.0.0.0/33", "'10.0.0.0/33'"),
        ("usage.rows_1h < 'x'", "", ""),
        ("args.limit", "", "args.limit"),
        ("usage.rows_1h", "", "usage.rows_1h"),
        ("usage.rows_1h <", "", ""),
        ("principal.kind == 'robot'", "robot", "'robot'"),
    ],
)
def test_what_a_condition_cannot_say_is_refused_with_what_to_do(
    tmp_path: Path, condition: str, what: str, at: str
) -> None:
    text = with_condition(condition if condition[0] != "'" else f'"{condition}"')
    (problem,) = refused(tmp_path, text)
    assert what in problem.what
    assert problem.remedy
    assert problem.line == HEAD.count("\n") + 3
    assert pointed_at(text, problem).startswith(at)


@pytest.mark.parametrize(
    ("selector", "condition", "what", "at"),
    [
        ("kind: person", 'principal.kind == "agent"', 'no call whose principal.kind is "agent"', '"agent"'),
        ("kind: person", 'principal.kind in ["agent", "machine"]', '"agent" or "machine"', '"agent", "machine"'),
        ("principals: ['a*']", '(usage.rows_1h > 5 && "bob" == principal.subject)', 'is "bob"', '"bob" =='),
        ("targets: [orders], kind: person", 'target.name == "stock"', 'target.name is "stock"', '"stock"'),
        ("kind: person", 'usage.rows_1h > 5 || target.name == "ordres"', 'no target "ordres"', '"ordres"'),
        ("kind: person", 'target.name != "ordres"', 'no target "ordres"', '"ordres"'),
        ("kind: person", 'call.method == "tool/call"', 'no method "tool/call"', '"tool/call"'),
        ("kind: person, tools: [query]", 'call.name == "report"', 'call.name is "report"', '"report"'),
        ("kind: person, tools: [query]", 'call.kind == "prompt"', 'call.kind is "prompt"', '"prompt"'),
        ("kind: person, tools: [query]", 'call.method == "prompts/get"', "call.method is", '"prompts/get"'),
        ("kind: person, methods: [tools/call]", 'call.method == "prompts/get"', "call.method is", '"prompts/get"'),
        ("groups: [a]", 'call.name == "a" && call.name == "b"', "two demands on call.name", "=="),
    ],
)
def test_a_condition_that_what_the_rule_selects_never_meets_is_refused(
    tmp_path: Path, selector: str, condition: str, what: str, at: str
) -> None:
    text = f"{HEAD}  - name: x\n    allow: {{{selector}}}\n    when: {condition}\n"
    (problem,) = refused(tmp_path, text)
    assert what in problem.what
    assert pointed_at(text, problem).startswith(at)
    assert problem.remedy


@pytest.mark.parametrize(
    ("selector", "condition"),
    [
        ("kind: [person, agent]", 'principal.kind == "agent"'),
        ("kind: person", 'principal.kind == "agent" || usage.rows_1h > 5'),
        ("kind: person", 'principal.kind != "agent"'),
        ("kind: person", '!(principal.kind == "agent")'),
        ("principals: ['a*'], tools: ['q*'], prompts: [p]", 'principal.subject == "ab" && call.name in ["query", "x"]'),
        ("kind: person, tools: [a], prompts: [p]", 'call.kind == "prompt" && call.method == "prompts/get"'),
        ("kind: person, resources: ['*']", 'call.method == "completion/complete"'),
        ("groups: [a]", 'call.name == "a" && call.name in ["b", "a"] && args.name == "b" && target.name == "stock"'),
        ("groups: [a]", 'args.names.exists(name, name == "b") && args.target.name == "x"'),
        ("groups: [a]", 'call.method == "vendor/anything"'),
        ("groups: [a]", '"a" in principal.groups && "b" in principal.groups && "x" in args.list'),
    ],
)
def test_a_condition_that_some_call_meets_is_taken(tmp_path: Path, selector: str, condition: str) -> None:
    text = f"{HEAD}  - name: x\n    allow: {{{selector}}}\n    when: >-\n      {condition}\n"
    assert loaded(tmp_path, text).rules[1].when == condition


@pytest.mark.parametrize("condition", ["1 == 2", '"false"', "usage.rows_1h < 5 && false"])
def test_a_condition_that_never_holds_is_refused(tmp_path: Path, condition: str) -> None:
    text = with_condition(condition)
    (problem,) = refused(tmp_path, text)
    assert "the rule `x` can never match" in problem.what
    assert pointed_at(text, problem).startswith(condition)


@pytest.mark.parametrize("condition", ["1 < 2", '"true"', "args.limit > 5 || true"])
def test_a_condition_that_always_holds_is_refused(tmp_path: Path, condition: str) -> None:
    (problem,) = refused(tmp_path, with_condition(condition))
    assert problem.what == "the condition is always true"


def test_a_condition_is_kept_as_yaml_reads_it(tmp_path: Path) -> None:
    text = with_condition(">-\n      usage.rows_1h < 10\n      && has(args.limit)")
    assert loaded(tmp_path, text).rules[1].when == "usage.rows_1h < 10 && has(args.limit)"


def test_a_condition_that_is_too_long_is_refused(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, with_condition(f"principal.subject != '{'a' * 4_100}'"))
    assert "too long" in problem.what


def test_a_condition_that_is_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, with_condition("(" * 1_000 + "has(args.x)" + ")" * 1_000))
    assert problem.remedy


def test_mistakes_in_conditions_are_told_with_all_others(tmp_path: Path) -> None:
    text = (
        with_condition("usage.rows_2h < 10") + f"{RULE.replace('x', 'y')}    when: usage.rows_3h < 10\n    mask: [no]\n"
    )
    assert [problem.line for problem in refused(tmp_path, text)] == [10, 13, 14]


VISIBLE = st.text(alphabet="ab&é😀'\"\\#:%|>-{}", min_size=1, max_size=6)


def block(words: list[str], style: str) -> str:
    return f"{style}\n" + "".join(f"  {'  ' * (index % 2)}{word}\n" for index, word in enumerate(words))


def single(words: list[str]) -> str:
    return "'" + "\n\n   ".join(words).replace("'", "''") + "'\n"


def double(words: list[str]) -> str:
    written = "".join(json.dumps(word, ensure_ascii=True)[1:-1] + "\\t \\\n  " for word in words)
    return f'"{written}"\n'


@settings(max_examples=200)
@given(st.lists(VISIBLE, min_size=1, max_size=4), st.sampled_from(["|", ">", "|+", ">-", "'", '"']))
def test_every_character_is_found_where_it_was_written(words: list[str], style: str) -> None:
    if style == '"':
        words = [word.replace("😀", "ü") for word in words]  # JSON writes it as two halves, which YAML refuses
        yaml = double(words)
    else:
        yaml = single(words) if style == "'" else block(words, style)
    problems = Problems("x")
    root = document.read(f"key: {yaml}", problems)
    assert root is not None
    assert not problems
    node = root.find(("key",))
    assert isinstance(node.value, str)
    lines = f"key: {yaml}".split("\n")
    last = Place(0, 0)
    for position, character in enumerate(node.value):
        place = scalars.place_inside(node, position)
        assert (place.line, place.column) >= (last.line, last.column)
        if not character.isspace():
            rest = lines[place.line - 1][place.column - 1 :]
            escaped = json.dumps(character, ensure_ascii=True)[1:-1]
            assert rest.startswith((character, escaped) if style == '"' else character)
            assert place != last
        last = place
    assert scalars.place_inside(node, len(node.value)).line >= last.line
