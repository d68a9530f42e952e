"""The promise: what parses, every parser reads the same way; everything else is refused, and only ever refused."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.jsontext import JsonAmbiguous, JsonRefused, JsonText, Number, check, literals, outline, parse
from tests.support.cost import cpu_s

MOST_TEXTS = st.text(alphabet='{}[]",:\\u0d8 1e-aNn\t', max_size=40)

SECRET = "hunter2-canary"  # a value that no message may repeat


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "Expecting value"),
        (b"  ", "Expecting value"),
        (b"nul", "Expecting value"),
        (b"NaN", "NaN"),
        (b'{"a": -Infinity}', "NaN"),
        (b"[1,]", "xpecting value|trailing comma"),
        (b'{"a":1,}', "property name|trailing comma"),
        (b"{'a':1}", "property name"),
        (b'{"a":1} x', "Extra data"),
        (b"{}{}", "Extra data"),
        (b"01", "Extra data"),
        (b"+1", "Expecting value"),
        (b".5", "Expecting value"),
        (b"1.", "Extra data"),
        (b"0x1", "Extra data"),
        (b'"tab\there"', "control character"),
        (b'"\\x41"', "escape"),
        (b'"\\u12G4"', "escape"),
        (b'"open', "Unterminated"),
        (b"// note\n1", "Expecting value"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b'"\xff"', "UTF-8"),
        (b'"\xed\xa0\x80"', "UTF-8"),
        (b'"\xc0\xaf"', "UTF-8"),
        (b"\x0b1", "Expecting value"),
        ("\u00a01".encode(), "Expecting value"),
        ("\u0661".encode(), "Expecting value"),
        (b'"\\ud800"', "surrogate"),
        (b'{"\\udc00": 1}', "surrogate"),
        (b'"\\ud83d\\u0041"', "surrogate"),
        (b'{"a":1,"a":2}', "repeated"),
        (b'{"a":1,"\\u0061":2}', "repeated"),
        (b'[{"x":{"a":1,"b":[{}],"a":2}}]', "repeated"),
    ],
)
def test_what_two_parsers_could_read_in_two_ways_is_refused(text: bytes, reason: str) -> None:
    with pytest.raises(JsonRefused, match=reason):
        parse(text)


def test_a_lone_surrogate_in_a_str_is_refused() -> None:
    with pytest.raises(JsonRefused, match="surrogate"):
        parse('"\ud800"')


def test_an_escaped_pair_is_one_character() -> None:
    assert parse(b'"\\ud83d\\ude00"').root == "\U0001f600"


@pytest.mark.parametrize(
    "broken", [f'{{"k":"{SECRET}",}}', f'{{"{SECRET}":1,"{SECRET}":2}}', f'"{SECRET}', f"{SECRET}"]
)
def test_no_refusal_repeats_what_it_refused(broken: str) -> None:
    with pytest.raises(JsonRefused) as caught:
        parse(broken)
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in str(error)
        assert SECRET not in repr(vars(error))
        error = error.__context__


def test_a_refusal_says_where() -> None:
    with pytest.raises(JsonRefused) as caught:
        parse('{"é": 1, "b": 2, "é": 3}'.encode())
    assert caught.value.position == 17
    with pytest.raises(JsonRefused) as caught:
        parse('"é'.encode() + b"\xff")
    assert caught.value.position == 2


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
@pytest.mark.parametrize("depth", [65, 5_000, 500_000])
def test_depth_is_bounded_and_no_recursion_error_escapes(opening: str, depth: int) -> None:
    closing = {"[": "]", '{"a":': "}", '[{"a":': "}]"}[opening]
    with pytest.raises(JsonRefused, match="deep"):
        parse(opening * depth + "1" + closing * depth)
    with pytest.raises(JsonRefused):
        parse(opening * depth)


def test_the_depth_bound_is_exact_and_counts_no_brackets_in_strings() -> None:
    parse("[" * 64 + "]" * 64)
    parse(json.dumps(["[{" * 500] * 3), max_depth=1)
    with pytest.raises(JsonRefused):
        parse("[[]]", max_depth=1)


@pytest.mark.parametrize(
    "text", ["0", "-0", "1.0", "1e400", "-1.5E+10", "9" * 6000, "0.1000000000000000055511151231257827"]
)
def test_numbers_stay_as_written(text: str) -> None:
    root = parse(text).root
    assert type(root) is Number
    assert root == text


@given(st.recursive(st.none() | st.booleans() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)))
def test_it_agrees_with_the_standard_parser_on_what_is_json(value: object) -> None:
    text = json.dumps(value)
    assert parse(text).root == value
    assert parse(text.encode()).root == value


@given(st.binary(max_size=60) | MOST_TEXTS.map(str.encode))
def test_only_the_declared_error_escapes(data: bytes) -> None:
    try:
        document = parse(data)
    except JsonRefused:
        return
    assert document.text.encode() == data
    assert json.loads(data) is not Ellipsis


def test_numbers_that_are_none_are_read_only_on_request() -> None:
    text = '[NaN, -Infinity, {"a": Infinity}]'
    with pytest.raises(JsonAmbiguous):
        parse(text)
    document = parse(text, permit_nan=True)
    assert [text[item.start : item.end] for item in literals(document.text)] == ["NaN", "-Infinity", '"a"', "Infinity"]


@pytest.mark.parametrize("text", ['{"a":1,"a":2}', '"\\ud800"', "[" * 65 + "]" * 65])
def test_what_a_lenient_parser_would_read_is_told_apart(text: str) -> None:
    with pytest.raises(JsonAmbiguous):
        parse(text)


def checked(data: bytes, *, permit_nan: bool) -> JsonText | tuple[type, str, int]:
    try:
        return check(data, max_depth=3, permit_nan=permit_nan)
    except JsonRefused as refused:
        return type(refused), refused.reason, refused.position


def outlined(data: bytes, *, permit_nan: bool) -> JsonText | tuple[type, str, int]:
    try:
        return outline(parse(data, max_depth=3, permit_nan=permit_nan))
    except JsonRefused as refused:
        return type(refused), refused.reason, refused.position


DEEP: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda child: st.lists(child, max_size=3) | st.dictionaries(st.text(max_size=3), child, max_size=3),
    max_leaves=12,
)


@given(
    data=st.binary(max_size=60) | MOST_TEXTS.map(str.encode) | DEEP.map(lambda value: json.dumps(value).encode()),
    permit_nan=st.booleans(),
)
def test_a_check_refuses_what_parsing_does_and_remembers_the_keys_and_the_depth(data: bytes, permit_nan: bool) -> None:
    assert checked(data, permit_nan=permit_nan) == outlined(data, permit_nan=permit_nan)


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":', '{"a":[[{}],'])
@pytest.mark.parametrize("depth", [33, 450, 5_000, 500_000])
def test_a_check_is_bounded_in_depth_and_lets_no_recursion_error_escape(opening: str, depth: int) -> None:
    closing = {"[": "]", '{"a":': "}", '[{"a":': "}]", '{"a":[[{}],': "]}"}[opening]
    with pytest.raises(JsonRefused, match="deep"):
        check(opening * depth + "1" + closing * depth, max_depth=32)
    with pytest.raises(JsonRefused):
        check(opening * depth, max_depth=32)


BOMBS = {
    "brackets": "[" * 1_000_000,
    "numbers": "[" + "1," * 1_000_000 + "1]",
    "letters": "[" + '"a",' * 500_000 + "1]",
    "keys": "{" + ",".join(f'"{number}":1' for number in range(150_000)) + "}",
    "empty objects": "[" + "{}," * 600_000 + "1]",
    "small arrays": "[" + "[1]," * 500_000 + "1]",
    "surrogate pairs": '"' + "\\ud83d\\ude00" * 150_000 + '"',
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_what_is_cheap_to_send_is_cheap_to_check(bomb: str) -> None:
    def work() -> None:
        with suppress(JsonRefused):
            check(BOMBS[bomb])

    assert cpu_s(work) < 1


STRUCTURAL = st.text(alphabet='{}[]:,"\\ a\u00e9\n', max_size=8)


@given(
    st.recursive(
        STRUCTURAL | st.integers() | st.none(),
        lambda values: st.lists(values, max_size=4) | st.dictionaries(STRUCTURAL, values, max_size=4),
    ),
    st.booleans(),
    st.sampled_from((None, 1)),
)
def test_a_check_takes_nothing_in_a_string_for_structure(value: object, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert check(text) == outline(parse(text))


@pytest.mark.parametrize("escape", ['\\"', "\\\\", "\\\\\\\\\\\\", '\\\\\\"'], ids=range(4))
def test_a_check_sees_a_long_text_as_one(escape: str) -> None:
    # Whatever size the pieces have in which it is read, one of them ends within these escapes.
    escapes = escape * (600_000 // len(escape))
    for before in ("", "a"):
        assert check(f'{{"b":["{before}{escapes}",{{":":"[{{:"}}]}}').depth == 3
        with pytest.raises(JsonAmbiguous, match="repeated"):
            check(f'{{"b":["{before}{escapes}",{{":":"[{{:",":":1}}]}}')
