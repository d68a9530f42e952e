"""``args:`` becomes constraints that mean what is written, and what no argument could meet is refused in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from countersign.model.rule import ArgConstraint
from tests.unit.config.files import loaded, pointed_at, refused
from tests.unit.config.test_rules import with_rules


def rule(args: str) -> str:
    return with_rules(f"name: x, allow: {{groups: [a]}}, args: {{{args}}}")


def test_every_form_of_a_constraint_is_taken(tmp_path: Path) -> None:
    text = rule(
        "limit: {max: 100, min: 1}, region: [eu, us], mode: read, filter.table: {glob: 'public_*'},"
        " q: {max_length: 500}, debug: {present: false}, x: {in: [a, b], not_in: [b]}, n: 1.5, on: true,"
        " y: {not_in: [1, 2.5]}, filter: {present: true}, no: no"
    )
    assert loaded(tmp_path, text).rules[1].args == (
        ArgConstraint("limit", at_least=1, at_most=100),
        ArgConstraint("region", one_of=("eu", "us")),
        ArgConstraint("mode", one_of=("read",)),
        ArgConstraint("filter.table", glob="public_*"),
        ArgConstraint("q", max_length=500),
        ArgConstraint("debug", present=False),
        ArgConstraint("x", one_of=("a", "b"), none_of=("b",)),
        ArgConstraint("n", one_of=(1.5,)),
        ArgConstraint("on", one_of=(True,)),
        ArgConstraint("y", none_of=(1, 2.5)),
        ArgConstraint("filter", present=True),
        ArgConstraint("no", one_of=("no",)),
    )


@pytest.mark.parametrize(
    ("args", "what", "at"),
    [
        ("limit: {}", "`limit` demands nothing", "{}"),
        ("limit: []", "`limit` is empty", "[]"),
        ("limit: {maximum: 5}", "unknown key `maximum`", "maximum"),
        ("limit: {regex: x}", "unknown key `regex`", "regex"),
        ("limit: {zzz: x}", "unknown key `zzz`", "zzz"),
        ("limit: {max: '100'}", "`max` is read as the text `100` where a number is needed", "'100'"),
        ("limit: {max: 1_000}", "`max` is read as the text `1_000`", "1_000"),
        ("limit: {min: true}", "`min` is read as `true` where a number is needed", "true"),
        ("limit: {min: [1]}", "`min` is read as a list", "[1]"),
        ("limit: {max: .inf}", "is no finite number", ".inf"),
        ("limit: {max: .nan}", "is no finite number", ".nan"),
        ("limit: {max: 1e999}", "is no finite number", "1e999"),
        ("limit: .nan", "is no finite number", ".nan"),
        ("limit: {min: 5, max: 1}", "`min` is more than `max`", "min"),
        ("limit: {in: 5}", "`in` is a number where a list is needed", "5"),
        ("limit: {in: []}", "is empty", "[]"),
        ("limit: {in: [[1]]}", "lists a list", "[1]"),
        ("limit: [{a: b}]", "lists a mapping", "{a: b}"),
        ("limit: {in: [1, 2], not_in: [2, 1.0]}", "rules out every value", "in:"),
        ("limit: {in: [1, 2], min: 3}", "rules out every value", "in:"),
        ("q: {in: [abc], max_length: 2}", "rules out every value", "in:"),
        ("q: {in: [abc], glob: 'b*'}", "rules out every value", "in:"),
        ("q: {in: [abc], max: 5}", "`in` is about text, `max` about a number", "max"),
        ("q: {in: [1, b]}", "lists the number `1` and the text `b`", "b]"),
        ("q: [true, no]", "lists `true` and the text `no`", "no]"),
        ("q: [eu, 0x10]", "lists the text `eu` and the number `0x10`", "0x10"),
        ("q: {glob: 'a', min: 1}", "`min` is about a number, `glob` about text", "glob"),
        ("q: {max_length: 5, max: 10}", "no argument can ever meet this", "max"),
        ("q: {max_length: -1}", "`max_length` is read as the number `-1` where a count", "-1"),
        ("q: {max_length: 1.5}", "`max_length` is read as the number `1.5`", "1.5"),
        ("q: {max_length: true}", "`max_length` is read as `true`", "true"),
        ("q: {glob: 5}", "`glob` is read as the number `5`", "5"),
        ("q: {glob: ''}", "`q.glob` is empty", "''"),
        ("q: {glob: '[ab]*'}", "has brackets", "'[ab]*'"),
        ("q: {glob: 'a.{b,c}'}", "has brackets", "'a.{b,c}'"),
        ("q: {present: yes}", "`present` is read as the text `yes` where true or false is needed", "yes"),
        ("q: {present: false, max: 5}", "it must be absent, and yet be judged", "present"),
        ("a: x, a.b: y", "`a` is judged as a value of its own", "a.b"),
        ("a.b: y, a: {present: false}", "`a` is judged as a value of its own", "a.b"),
        ("a..b: y", "`a..b` is no path", "a..b"),
        ("'a. b': y", "`a. b` is no path", "'a. b'"),
        ("'': y", "`` is no path", "''"),
        ("'a\tb': y", "is no path", "'a"),
        ("'a.*': y", "has a wildcard or a position", "'a.*'"),
        ("'rows[0]': y", "has a wildcard or a position", "'rows[0]'"),
        ("args.limit: 5", "`args.limit` would be an argument named `args`", "args.limit"),
        (f"{'a' * 257}: 5", "too long", "aaa"),
        (f"q: {'a' * 1001}", "too long", "aaa"),
        ("q: 123456789012345678901", "not every parser reads alike", "q"),
    ],
)
def test_what_no_argument_could_meet_is_refused_in_its_place(tmp_path: Path, args: str, what: str, at: str) -> None:
    text = rule(args)
    problems = refused(tmp_path, text)
    assert len(problems) == 1, problems
    assert what in problems[0].what
    assert pointed_at(text, problems[0]).startswith(at)
    assert problems[0].remedy


def test_mistakes_of_several_arguments_are_told_in_one_go(tmp_path: Path) -> None:
    text = rule("a: {max: x}, b: {glob: '['}, c: [], d: {mix: 5}")
    assert len(refused(tmp_path, text)) == 4


@pytest.mark.parametrize("path", ["größe", "x-key", "filter.a b.c", "$schema", "a:b", "args", "argsy.x"])
def test_paths_of_usual_keys_are_taken(tmp_path: Path, path: str) -> None:
    assert loaded(tmp_path, rule(f"'{path}': 1")).rules[1].args == (ArgConstraint(path, one_of=(1,)),)
