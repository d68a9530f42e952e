"""No result is larger than it may be: texts are cut with a mark, what must stay whole is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countersign.screening import OVERSIZED, Dangerous, Oversized, cut_text, fitted

BOUND = 1_024


def message(*texts: str, **rest: object) -> str:
    content = [{"type": "text", "text": text} for text in texts]
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"content": content, **rest}})


def texts(cut: str) -> list[str]:
    return [block["text"] for block in json.loads(cut)["result"]["content"]]


def test_what_is_small_enough_stays_to_the_byte() -> None:
    text = message("a" * 800)
    assert fitted(text, BOUND, Oversized.REFUSE) == (text, ())


def test_a_text_is_cut_with_a_mark() -> None:
    cut, (finding,) = fitted(message("short", "b" * 9_000, "c" * 9_000, "end"), BOUND, Oversized.CUT)
    assert len(cut.encode()) <= BOUND
    short, long, none, end = texts(cut)
    assert (short, end) == ("short", "end")
    assert long.startswith("b" * 500)
    assert long.endswith(" bytes more]")
    assert none.strip("c").startswith(" [cut by the gateway: ")
    assert (finding.label, finding.count) == (OVERSIZED, 2)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.text(alphabet='ab"\\\n\u00e9\u4e16\U0001f600\x01', max_size=2_000), min_size=1, max_size=6),
    st.booleans(),
)
def test_what_is_cut_is_json_and_fits(parts: list[str], ascii_only: bool) -> None:
    text = json.dumps(json.loads(message(*parts)), ensure_ascii=ascii_only)
    cut, found = fitted(text, BOUND, Oversized.CUT)
    assert len(cut.encode()) <= BOUND
    for before, after in zip(parts, texts(cut), strict=True):
        assert before == after or before.startswith(after.rpartition(" [cut by the gateway")[0])
    assert bool(found) == (cut != text)


def test_the_official_texts_are_cut_and_no_others() -> None:
    long = "x" * 5_000
    for shown in (
        {"result": {"contents": [{"uri": "a://b", "text": long}]}},
        {"result": {"messages": [{"role": "user", "content": {"type": "text", "text": long}}]}},
        {"result": {"content": [{"type": "resource", "resource": {"uri": "a://b", "text": long}}]}},
        {"error": {"code": 1, "message": long}},
        {"method": "notifications/message", "params": {"level": "info", "data": long}},
    ):
        assert len(fitted(json.dumps(shown), BOUND, Oversized.CUT)[0]) <= BOUND
    for whole in (
        {"result": {"content": [], "structuredContent": {"text": long}}},
        {"result": {"content": [], "_meta": {"text": long}}},
        {"result": {"contents": [{"uri": long, "text": "short"}]}},
    ):
        with pytest.raises(Dangerous, match="larger than 1024 bytes") as caught:
            fitted(json.dumps(whole), BOUND, Oversized.CUT)
        assert [one.label for one in caught.value.findings] == [OVERSIZED]


def test_structured_content_stays_whole_beside_texts_that_are_cut() -> None:
    structured = {"rows": ["r" * 10] * 40}
    cut, _ = fitted(message(json.dumps(structured) * 9, structuredContent=structured), BOUND, Oversized.CUT)
    assert json.loads(cut)["result"]["structuredContent"] == structured


def test_pictures_do_not_count() -> None:
    picture = {"type": "image", "data": "A" * 9_000, "mimeType": "image/png"}
    text = json.dumps({"result": {"content": [picture, {"type": "text", "text": "small"}]}})
    assert fitted(text, BOUND, Oversized.CUT) == (text, ())


def test_too_many_texts_to_mark_are_refused() -> None:
    with pytest.raises(Dangerous, match="larger than"):
        fitted(message(*["t" * 100] * 50), BOUND, Oversized.CUT)


def test_what_is_to_be_refused_is() -> None:
    with pytest.raises(Dangerous, match="larger than"):
        fitted(message("a" * 2_000), BOUND, Oversized.REFUSE)
    with pytest.raises(Dangerous, match="larger than"):
        cut_text("a" * 2_000, BOUND, Oversized.REFUSE)


def test_a_plain_text_is_cut_between_characters() -> None:
    cut, (finding,) = cut_text("\u4e16" * 1_000, BOUND, Oversized.CUT)
    assert len(cut.encode()) <= BOUND
    assert cut.rpartition(" [cut")[0] == "\u4e16" * (len(cut.rpartition(" [cut")[0]))
    assert finding.label == OVERSIZED
    assert cut_text("small", BOUND, Oversized.CUT) == ("small", ())
