"""The promise: however a body is written, nested or cut, the same is found, and nothing beside it changes."""

from __future__ import annotations

import json
from contextlib import suppress
from random import Random
from string import ascii_letters, digits
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from countersign.masking import Masker, NotMaskable, layout, special_strings, text_fields
from tests.support.cost import cpu_s
from tests.unit.masking import canaries

quick = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])

TEXTS = st.lists(
    st.sampled_from([*canaries.ALL, "word", "note: ", "é漢😀", "\n", "\\", '"', ",", "{", "[1]", "[", " ", "0", "\0"]),
    max_size=5,
).map("".join)
KEYS = st.sampled_from(["a", "ssn", "password", "card", "customer", "é", "[", "a b", canaries.EMAIL])
BODIES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | TEXTS,
    lambda child: (
        st.lists(child, max_size=4)
        | st.dictionaries(KEYS, child, max_size=4)
        | st.builds(json.dumps, child, indent=st.sampled_from([None, 1]))
    ),
    max_leaves=12,
)


def escaped(value: Any) -> str:
    """Write JSON with nothing in its strings but escapes."""
    if isinstance(value, str):
        units = value.encode("utf-16-be")
        return '"' + "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2)) + '"'
    if isinstance(value, list):
        return "[" + ",".join(map(escaped, value)) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{escaped(key)}:{escaped(member)}" for key, member in value.items()) + "}"
    return json.dumps(value)


def masked_value(masker: Masker, text: str) -> Any:
    try:
        return json.loads(masker.json(text.encode()).data)
    except NotMaskable:
        return NotMaskable


@quick
@given(BODIES)
def test_escapes_and_blanks_make_no_difference(masker: Masker, body: Any) -> None:
    expected = masked_value(masker, json.dumps(body, separators=(",", ":"), ensure_ascii=False))
    assert masked_value(masker, json.dumps(body, indent=1)) == expected
    assert masked_value(masker, escaped(body)) == expected


@quick
@given(BODIES, st.booleans())
def test_no_byte_changes_outside_of_what_is_found(masker: Masker, body: Any, ascii_only: bool) -> None:
    text = json.dumps(body, ensure_ascii=ascii_only)
    with suppress(NotMaskable):
        explained = masker.explain(text)
        left = explained.text
        done = 0
        for found in explained.found:
            kept = text[done : found.start]
            assert kept in left
            left = left[left.index(kept) + len(kept) :]
            done = found.end
        assert left.endswith(text[done:])
        if not explained.found:
            assert explained.text == text


@pytest.mark.parametrize("shift", range(0, 160, 7))
def test_a_value_at_any_edge_of_a_window_is_found_once_and_whole(
    masker: Masker, monkeypatch: pytest.MonkeyPatch, shift: int
) -> None:
    rows = [{"n": "x" * shift}, *({"note": f"see {value} there"} for value in canaries.ALL for _ in range(8))]
    for text in (json.dumps(rows), json.dumps({"text": json.dumps(rows, ensure_ascii=False) + "é"})):
        whole = masker.json(text.encode())
        assert whole.changed
        with monkeypatch.context() as patched:
            patched.setattr(layout, "_WINDOW", 1_000)
            patched.setattr(layout, "_MARGIN", 300)
            assert masker.json(text.encode()) == whole


def test_what_is_longer_than_a_window_is_masked_to_its_end(masker: Masker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "_WINDOW", 1_000)
    monkeypatch.setattr(layout, "_MARGIN", 100)
    random = Random(7)
    payload, signature = ("".join(random.choices(ascii_letters + digits, k=size)) for size in (5_000, 40))
    secret = f"eyJhbGciOiJIUzI1NiJ9.eyJ{payload}.{signature}"
    masked = json.loads(masker.json(json.dumps(["before", f"token: {secret}", "after"]).encode()).data)
    assert masked[0] == "before"
    assert masked[2] == "after"
    assert not any(payload[at : at + 20] in masked[1] for at in range(len(payload) - 20))
    assert signature not in masked[1]


@pytest.mark.parametrize(
    ("unit", "opened", "closed"),
    [
        ('"a",', "[", "1]"),
        ("1,", "[", "1]"),
        ('"\\\\",', "[", "1]"),
        ('"[",', "[", "1]"),
        ('"[]",', "[", "1]"),
        ("{},", "[", "1]"),
        ('\\"', '"', '"'),
        ("\\ud83d\\ude00", '"', '"'),
        ("[", "[", ""),
        ('{\\"a\\":', '["', '"]'),
    ],
)
def test_what_is_cheap_to_send_is_cheap_to_mask(masker: Masker, unit: str, opened: str, closed: str) -> None:
    def body(size: int) -> bytes:
        return (opened + unit * (size // len(unit)) + closed).encode()

    def work() -> None:
        with suppress(NotMaskable):
            masker.json(body(60_000))

    # As many of the shortest leaves as fit, on a machine several times slower than most.
    assert cpu_s(work) < 1.5


@pytest.mark.parametrize("size", range(1, 40, 3))
def test_names_in_a_long_text_are_seen_at_any_edge_of_a_chunk(
    masker: Masker, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(text_fields, "_CHUNK", size)
    text = "a line\nand another one\nid,ssn\n1,A-1\n2,A-2\n"
    assert masker.text(text.encode()).data.decode() == text.replace("A-1", "[SSN]").replace("A-2", "[SSN]")


@pytest.mark.parametrize("shift", range(6))
@pytest.mark.parametrize("blanks", [0, 1, 3, 40])
def test_json_without_escapes_is_found_at_any_edge_of_a_chunk(
    masker: Masker, monkeypatch: pytest.MonkeyPatch, shift: int, blanks: int
) -> None:
    monkeypatch.setattr(layout, "_LONG", 0)
    monkeypatch.setattr(special_strings, "_CHUNK", 16)
    text = json.dumps([*("x" * shift for _ in range(9)), " " * blanks + f"[{canaries.CARD}]", "y"])
    assert json.loads(json.loads(masker.json(text.encode()).data)[9]) == [0]
