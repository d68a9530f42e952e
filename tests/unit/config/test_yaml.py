"""YAML that could be read in two ways, or hides what it says, is refused where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from countersign.config import ConfigRefused, Problem
from countersign.config.load import parse
from tests.unit.config.files import ENV, GOOD, edited, pointed_at, refused


@pytest.mark.parametrize(
    ("old", "new", "what", "at"),
    [
        (
            "  secrets: {",
            "  pii: {detect: [email]}\n  secrets: {",
            "stands on line 18 already",
            "pii: {detect: [email]}",
        ),
        ("groups: groups}", 'groups: groups, "groups": x}', "stands on line 5 already", '"groups": x}'),
        ("[analysts]", "&a [analysts]", "an anchor", "&a [analysts]"),
        ("detect: [secrets]", "detect: *nowhere", "an alias", "*nowhere"),
        ("secrets: {detect", "secrets: {<<: {fields: [x]}, detect", "a merge key", "<<"),
        ("[analysts]", "!!python/tuple [analysts]", "a tag", "!!python/tuple"),
        ("mode: required", "mode: !!str required", "a tag", "!!str"),
        ("version: 1\n", "version: 1\n? [a]\n: b\n", "a list where a key is needed", "[a]"),
        ("  secrets: {", "  12: {detect: [email]}\n  secrets: {", "a number where a key is needed", "12"),
        ("  secrets: {", "  null: {detect: [email]}\n  secrets: {", "nothing where a key is needed", "null"),
        ("  secrets: {", "  true: {detect: [email]}\n  secrets: {", "true or false where a key is needed", "true"),
        ("mask: [secrets, pii]", "mask:", "nothing stands here", "mask:"),
        ("credential: {bearer: {env: ORDERS_TOKEN}}", "credential: ~", "nothing stands here", "credential"),
        ("[analysts]", "[analysts, null]", "nothing stands here", "null"),
        ("name: analysts read", 'name: "a\\ud800"', "half a surrogate pair", '"a'),
        ("version: 1", "%YAML 1.1\n---\nversion: 1", "a YAML directive", "---"),
        ("auditors: {groups: [auditors]}\n", "---\nversion: 1\n", "a second YAML document", "---"),
        ("[analysts]", "[" * 20 + "x" + "]" * 20, "levels of nesting", "["),
        ("[analysts]", "[analysts", "this is not YAML", ""),
        ("    - {issuer", "\t- {issuer", "this is not YAML", ""),
        ("name: analysts read", "name: analysts\x07read", "a character that YAML does not allow", "\x07"),
        ("name: analysts read", 'name: "\\q"', "this is not YAML", ""),
    ],
)
def test_yaml_that_hides_what_it_says_is_refused_in_its_place(
    tmp_path: Path, old: str, new: str, what: str, at: str
) -> None:
    text = edited(old, new)
    problems = refused(tmp_path, text)
    assert [what in problem.what for problem in problems].count(True) == 1, problems
    told = next(problem for problem in problems if what in problem.what)
    assert pointed_at(text, told).startswith(at)


@pytest.mark.parametrize(
    ("data", "line", "column"),
    [
        (b"version: 1\n# \xc3\xa9\xff\n", 2, 4),
        (b"\xff\xfev\x00", 1, 1),
        ("version: \ud800".encode("utf-8", "surrogatepass"), 1, 10),
    ],
)
def test_a_file_that_is_not_utf8_is_refused_at_the_byte(tmp_path: Path, data: bytes, line: int, column: int) -> None:
    (problem,) = refused(tmp_path, data)
    assert (problem.what, problem.line, problem.column) == ("the file is not UTF-8", line, column)


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~", "[]", "just text", "5"])
def test_a_file_without_a_mapping_is_refused(tmp_path: Path, text: str) -> None:
    assert len(refused(tmp_path, text)) == 1


def test_a_byte_order_mark_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, "\ufeff" + GOOD)[0].column == 1


def test_aliases_that_would_grow_without_end_are_refused_at_once(tmp_path: Path) -> None:
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
    assert any(problem.what == "an alias" for problem in refused(tmp_path, "a0: &a0 x\n" + levels))


@settings(max_examples=150)
@given(st.text(max_size=60) | st.text(alphabet="{}[]:,-?!&*|>%@`'\"#\n\t ab1", max_size=60))
@example("? ")
@example("!<")
@example("%TAG ! x\n---\n!y z")
@example("&")
@example("\x85")
@example('"\\U00110000"')
@example('"\\xZZ"')
@example("version: " + "9" * 5_000)
@example("version: 0x" + "f" * 5_000)
@example("version: 1" + "0" * 300 + ".5e999")
def test_no_text_escapes_as_another_error(text: str) -> None:
    with pytest.raises(ConfigRefused):
        parse(text.encode(), Path("gateway.yaml"), ENV)


@settings(max_examples=150)
@given(st.integers(0, len(GOOD) - 1), st.integers(0, 6), st.text(alphabet="{}[]:,-?!&*|>%'\"#\n\t a1~.", max_size=3))
def test_no_edit_of_a_good_file_escapes_as_another_error(at: int, length: int, insert: str) -> None:
    text = GOOD[:at] + insert + GOOD[at + length :]
    for problem in problems_of(text):
        assert 1 <= problem.line <= text.count("\n") + 2
        assert problem.column >= 1


FULL = (
    GOOD.replace("    mask: [secrets, pii]\n", "")
    + """\
operators: {groups: [ops]}
rate_limits: [{name: fair, kind: [agent], principals: ["a*"], calls: 60, per: 1m}]
"""
)
FULL = FULL.replace(
    "masks:\n",
    """\
  - name: asks
    approve: {kind: agent, groups: [x], tools: [query]}
    mode: shadow
    args: {limit: {max: 100, min: 1}, region: [eu, us], q: {max_length: 5, glob: "a*"}, x.y: {present: false}}
    when: >-
      usage.rows_1h < 5 && sql(args.q, "postgres").only_reads
      && args.ids.all(id, id in ["a", 'b'] || id.matches("^a"))
masks:
""",
)


@settings(max_examples=150)
@given(
    st.integers(FULL.index("  - name: asks"), len(FULL) - 1),
    st.integers(0, 6),
    st.text(alphabet="{}[]()<>:,-?!&*|%'\"#.=\\\n\t a1~.é\0", max_size=3),
)
def test_no_edit_of_arguments_and_conditions_escapes_as_another_error(at: int, length: int, insert: str) -> None:
    text = FULL[:at] + insert + FULL[at + length :]
    for problem in problems_of(text):
        assert 1 <= problem.line <= text.count("\n") + 2
        assert problem.column >= 1
        assert str(problem).isprintable()


def test_the_file_that_is_edited_is_good() -> None:
    assert problems_of(FULL) == ()


def problems_of(text: str) -> tuple[Problem, ...]:
    try:
        parse(text.encode(), Path("gateway.yaml"), ENV)
    except ConfigRefused as refusal:
        return refusal.problems
    return ()
