"""What is to be stripped is gone however it is written, honest text stays to the byte, and what is refused says why."""

from __future__ import annotations

import json
import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countersign.jsontext import check
from countersign.screening import Act, Dangerous, Kind, Screen, Screened, Screening, dangers
from countersign.screening.screen import MOST_DANGERS
from tests.unit.screening.test_characters import AS_BYTES, ENGLAND, HONEST, SPELLED

STRIP = Screening(hidden=Act.STRIP, tags=Act.STRIP, ansi=Act.STRIP)
FLAG = Screening(hidden=Act.FLAG, tags=Act.FLAG, ansi=Act.FLAG)
ZERO = "\u200b"


def result(text: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": text}]}}


def screened(message: object, terms: Screening = STRIP, *, ascii_only: bool = False) -> Screened:
    return Screen(terms).json(check(json.dumps(message, ensure_ascii=ascii_only)))


def said(message: object, terms: Screening = STRIP, *, ascii_only: bool = False) -> object:
    done = screened(message, terms, ascii_only=ascii_only).text
    return message if done is None else json.loads(done)


@pytest.mark.parametrize("ascii_only", [False, True], ids=["as they are", "in escapes"])
@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"num{ZERO}bers", "numbers"),
        (f"a{SPELLED}b", "ab"),
        (f"\U0001f600{AS_BYTES}", "\U0001f600"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b]8;;https://x.test\x1b\\click\x1b]8;;\x1b\\", "click"),
        ("one\u2028two", "one\ntwo"),
        (f"{ENGLAND} \u202eok", f"{ENGLAND} ok"),
        ("\x1b[3\u200b1mred", "31mred"),
        (ZERO * 100_000, ""),
    ],
)
def test_what_is_to_be_stripped_is_gone(text: str, left: str, *, ascii_only: bool) -> None:
    assert said(result(text), ascii_only=ascii_only) == result(left)


def test_escapes_of_every_writer_are_read() -> None:
    for written in (
        r"\u200b",
        r"\u200B",
        r"\u202E",
        r"\udb40\udc41",
        r"\uDB40\uDC41",
        r"\u001b[31m",
        r"\u001B[1m",
        r"\b",
    ):
        done = Screen(STRIP).json(check(f'{{"result":{{"content":[{{"text":"a{written}b"}}]}}}}'))
        assert done.text == '{"result":{"content":[{"text":"ab"}]}}', written


@pytest.mark.parametrize("hidden", [ZERO, SPELLED, "\x1b[31m", "\x7f"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_texts_within_texts_are_opened(hidden: str, depth: int) -> None:
    inner: object = {"note": f"num{hidden}bers", "n": [1.50, None]}
    clean: object = {"note": "numbers", "n": [1.50, None]}
    for _ in range(depth):
        inner, clean = json.dumps(inner), json.dumps(clean)
    assert said(result(inner)) == result(clean)
    (finding,) = screened(result(inner), FLAG).findings
    assert finding.place == "$.result.content[0].text" + "$" * depth + ".*"


def test_letters_of_escapes_that_are_escaped_themselves_hide_nothing() -> None:
    # The inner text is written \u200b, with its backslash, its "u" or a digit escaped.
    for written in (r"\u005cu200b", r"\\\u0075200b", r"\\u20\u0030b"):
        body = '{"result":{"content":[{"text":"{\\"a\\":\\"x' + written + 'y\\"}"}]}}'
        assert json.loads(json.loads(body)["result"]["content"][0]["text"]) == {"a": "x\u200by"}
        done = Screen(STRIP).json(check(body)).text
        assert done is not None
        assert json.loads(json.loads(done)["result"]["content"][0]["text"]) == {"a": "xy"}


@pytest.mark.parametrize("name", HONEST)
@pytest.mark.parametrize("ascii_only", [False, True], ids=["as they are", "in escapes"])
def test_honest_text_survives_to_the_byte(name: str, *, ascii_only: bool) -> None:
    text = HONEST[name]
    message = {**result(text), "also": [json.dumps({"inner": text}), {text: text}]}
    assert screened(message, ascii_only=ascii_only) == Screened(None, ())


def test_bytes_beside_a_changed_string_stay() -> None:
    body = '{ "result" : {"content":[ {"text" : "a\\u200bb"}, {"text":"caf\\u00e9 \\/ 1.50"} ], "n":1.500e+1}}'
    assert Screen(STRIP).json(check(body)).text == body.replace("a\\u200bb", "ab")


@pytest.mark.parametrize("act", [Act.FLAG, Act.STRIP])
def test_findings_say_what_and_where_without_the_keys_of_the_data(act: Act) -> None:
    message = {
        "jsonrpc": "2.0",
        "id": f"own{ZERO}",
        "result": {
            "content": [{"type": "text", "text": f"{ZERO}a \x1b[1mb{ZERO}"}],
            "structuredContent": {"canary": {f"k{ZERO}": SPELLED}},
            "nextCursor": f"c{ZERO}",
        },
    }
    findings = screened(message, Screening(act, act, act)).findings
    assert {(one.label, one.place, one.count) for one in findings} == {
        ("HIDDEN_TEXT", "$.result.content[0].text", 2),
        ("ANSI_ESCAPES", "$.result.content[0].text", 1),
        ("HIDDEN_TEXT", "$.result.structuredContent.*.*", 1),
        ("TAG_CHARACTERS", "$.result.structuredContent.*.*", 1),
    }


def test_what_is_flagged_passes_to_the_byte() -> None:
    done = screened(result(f"{ZERO}{SPELLED}\x1b[1m"), FLAG)
    assert done.text is None
    assert {one.label for one in done.findings} == set(Kind)


def test_the_callers_own_ids_and_what_targets_must_know_again_stay() -> None:
    message: dict[str, object] = {
        "jsonrpc": "2.0",
        "id": f"own{ZERO}",
        "result": {"requestState": f"s{ZERO}", "nextCursor": SPELLED},
        "params": {"progressToken": f"t{ZERO}", "requestId": ZERO},
    }
    assert screened(message) == Screened(None, ())
    assert screened([message, message]) == Screened(None, ())


@pytest.mark.parametrize("kind", list(Kind))
def test_what_is_refused_says_why_and_quotes_nothing(kind: Kind) -> None:
    text = {Kind.HIDDEN: ZERO, Kind.TAGS: SPELLED, Kind.ANSI: "\x1b[31m"}[kind]
    acts = {each: Act.REFUSE if each is kind else Act.FLAG for each in Kind}
    terms = Screening(hidden=acts[Kind.HIDDEN], tags=acts[Kind.TAGS], ansi=acts[Kind.ANSI])
    with pytest.raises(Dangerous, match="the answer holds") as caught:
        screened(result(f"canary{text}"), terms)
    assert "canary" not in str(caught.value)
    assert [(one.label, one.place) for one in caught.value.findings] == [(kind.value, "$.result.content[0].text")]
    assert screened(result("clean"), terms) == Screened(None, ())


def test_a_key_of_the_protocol_is_never_made_by_stripping() -> None:
    messages: list[object] = [{f"res{ZERO}ult": {}}, {"result": {"tools": [{f"na{ZERO}me": "x"}]}}, {f"{SPELLED}id": 1}]
    for message in messages:
        with pytest.raises(Dangerous, match="a key of the answer"):
            screened(message)


def test_keys_of_data_are_stripped() -> None:
    message = {"result": {"structuredContent": {f"a{ZERO}b": 1}}}
    assert said(message) == {"result": {"structuredContent": {"ab": 1}}}


def test_what_nobody_looks_for_passes_unsaid() -> None:
    terms = Screening(hidden=Act.IGNORE, tags=Act.IGNORE, ansi=Act.IGNORE)
    assert screened(result(f"{ZERO}{SPELLED}\x1b[1m"), terms) == Screened(None, ())
    assert Screen(terms).text(ZERO) == Screened(None, ())


def test_plain_text_is_screened_and_opened_when_it_is_json() -> None:
    assert Screen(STRIP).text(f"num{ZERO}bers \x1b[31mred").text == "numbers red"
    assert Screen(STRIP).text('\ufeff{"a": "x\\u200by"}').text == '\ufeff{"a": "xy"}'
    assert Screen(STRIP).text("plain").text is None


@pytest.mark.parametrize("inner", ["x\\u200by", "x\\u200b\\u200by"])
def test_what_is_json_once_something_is_taken_out_is_screened_as_json(inner: str) -> None:
    assert Screen(STRIP).text(ZERO + '{"a": "%s"}' % inner).text == '{"a": "xy"}'  # noqa: UP031 - braces
    assert Screen(STRIP).text(ZERO + '"\ufe0f"').text == '""'


SUSPECTS = [
    *(ZERO, "\u200d", "\u200c", "\ufe0f", "\ufe00", "\u200f", "\U000e0041", "\U000e007f", "\U000e0101", "\u2028"),
    *("\x1b", "[", "]", "\x9b", "\x9c", "\x07", "3", "m", "\\", "\u00ad", "\u2800", "\u2801", "\u034f", "\ufeff"),
    *("\U0001f3f4", "\U0001f600", "\U0001f3fd", "a", "\u0627", "\u0e01", "\u1100", "\u1160", "{", '"', ":", "}"),
]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(SUSPECTS), max_size=40).map("".join))
def test_strip_leaves_nothing_to_strip(text: str) -> None:
    done = Screen(STRIP).text(text)
    left = text if done.text is None else done.text
    assert list(dangers(left)) == []
    assert Screen(STRIP).text(left) == Screened(None, ())


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.lists(st.sampled_from(SUSPECTS), max_size=12).map("".join),
        lambda inner: st.lists(inner) | inner.map(json.dumps),
    )
)
def test_the_result_of_stripping_is_json_and_clean(value: object) -> None:
    once = said(result(value))
    assert said(once) == once
    assert screened(once).findings == ()


@pytest.mark.parametrize(
    "text",
    [ZERO * 3_500_000, SPELLED * 250_000, "\x1b[1m" * 2_500_000],
    ids=["one run", "tags", "escapes"],
)
def test_megabytes_of_them_cost_little_memory(text: str) -> None:
    body = check(json.dumps(result(text), ensure_ascii=False))
    tracemalloc.start()
    with suppress(Dangerous):  # more than are counted
        Screen(STRIP).json(body)
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert held < 12 * len(text.encode())


def test_more_dangers_than_are_counted_are_flagged_and_not_stripped() -> None:
    message = result(f"a{ZERO}" * (MOST_DANGERS + 5))
    (finding,) = screened(message, FLAG).findings
    assert finding.count == MOST_DANGERS
    with pytest.raises(Dangerous, match="more than"):
        screened(message)
