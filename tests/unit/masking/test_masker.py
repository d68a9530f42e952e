"""The promise: nothing that a mask selects survives at any leaf or nesting, and nothing else changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from countersign.catalogue import NativeFinding
from countersign.jsontext import parse
from countersign.masking import MaskCatalog, Masker, NotMaskable
from countersign.masking.detectors import Hit
from countersign.masking.detectors.secrets import Secrets
from countersign.masking.masker import Rule
from countersign.masking.replacements import Redacted
from countersign.model.event import Finding
from countersign.model.rule import Mask
from tests.unit.masking import canaries

quick = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-999, 999) | st.text(max_size=8),
    lambda child: st.lists(child, max_size=4) | st.dictionaries(st.text(max_size=5), child, max_size=4),
    max_leaves=15,
)

PLACES: dict[str, Callable[[str], Any]] = {
    "value": lambda value: {"note": f"see {value} there"},
    "element": lambda value: [1, ["x", value]],
    "key": lambda value: {value: {"a": 1}},
    "root": lambda value: value,
    "nested object": lambda value: {"text": json.dumps({"rows": [{"note": value}]})},
    "nested key": lambda value: {"text": json.dumps({value: 1})},
    "nested twice": lambda value: {"text": json.dumps([json.dumps({"a": ["é\n", value]})])},
    "encoded twice": lambda value: [json.dumps(json.dumps({"a": value}))],
    "nested with blanks": lambda value: " \n" + json.dumps([value]) + "\t",
    "nested beside NaN": lambda value: '{"price": NaN, "note": "' + value + '"}',
    "after other scripts": lambda value: {"ключ": f"日本語 😀 {value} é"},
    "after control characters": lambda value: ["\0\1\n\t" * 30 + " " + value],
    "prose around JSON": lambda value: 'Here: {"note": "' + value + '"} done',
}


def escaped(text: str) -> str:
    """Write every letter and digit within strings as an escape."""
    pieces = json.dumps(json.loads(text), ensure_ascii=False).split('"')
    inside = [
        "".join(f"\\u{ord(c):04x}" if c.isascii() and c.isalnum() else c for c in part) if index % 2 else part
        for index, part in enumerate(pieces)
    ]
    return '"'.join(inside)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("canary", canaries.ALL)
def test_no_canary_survives_at_any_kind_of_leaf(masker: Masker, place: str, canary: str) -> None:
    value = PLACES[place](canary)
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
        masked = masker.json(text.encode())
        assert canary.encode() not in masked.data
        assert masked.findings
        assert not any(canary in finding.place for finding in masked.findings)
        parse(masked.data)


@pytest.mark.parametrize("canary", canaries.ALL)
def test_no_canary_survives_behind_escapes(masker: Masker, canary: str) -> None:
    masked = masker.json(escaped(json.dumps({"note": f"see {canary} there", "n": [canary]})).encode())
    assert canary not in json.dumps(json.loads(masked.data))
    assert json.loads(masked.data)["note"].startswith("see [")
    assert json.loads(masked.data)["note"].endswith("] there")


def test_a_card_written_as_a_number_becomes_zero(masker: Masker) -> None:
    masked = masker.json(f'{{"total": 12.50, "paid_with": {canaries.CARD}}}'.encode())
    assert masked.data == b'{"total": 12.50, "paid_with": 0}'
    assert masked.findings == (Finding("CREDIT_CARD", "$.paid_with"),)


def test_fields_mask_whole_values_below_them_and_inside_texts(masker: Masker) -> None:
    inner = json.dumps({"ssn": "s-1", "card": "top", "pay": {"card": ["c-1", 22, None, True, {"no": "c-2"}]}})
    masked = masker.json(json.dumps({"SSN": 5, "text": inner, "card": "no parent"}).encode())
    outer = json.loads(masked.data)
    assert outer["SSN"] == 0
    assert outer["card"] == "no parent"
    assert json.loads(outer["text"]) == {
        "ssn": "[SSN]",
        "card": "[CARD]",
        "pay": {"card": ["[CARD]", 0, None, True, {"no": "[CARD]"}]},
    }


def test_paths_of_fields_ignore_positions_and_stars_are_one_key(masker: Masker) -> None:
    body = {"customer": [{"bank": {"iban": "x1"}, "iban": "stays"}], "bank": {"iban": "stays"}}
    masked = json.loads(masker.json(json.dumps(body).encode()).data)
    assert masked == {"customer": [{"bank": {"iban": "[IBAN]"}, "iban": "stays"}], "bank": {"iban": "stays"}}


def test_fields_in_text_that_is_no_json(masker: Masker) -> None:
    text = 'ssn=77 name=bob; card: 41 11 owner: x\nSSN: "a b", "ssn": \'q\'\nssn: é, end\nssnx=1 ssn ='
    expected = (
        'ssn=[SSN] name=bob; card: [CARD] owner: x\nSSN: "[SSN]", "ssn": \'[SSN]\'\nssn: [SSN], end\nssnx=1 ssn ='
    )
    assert masker.text(text.encode()).data.decode() == expected
    assert json.loads(masker.json(json.dumps(["a=b", text]).encode()).data) == ["a=b", expected]


def test_values_beside_telling_keys_are_secrets_but_schemas_and_placeholders_are_not(masker: Masker) -> None:
    body = {
        "password": "correct horse",
        "db_password": "$ecret",
        "apiKey": "abcdef",
        "accessToken": "abcdefgh12345",
        "next_token": "abcdefgh12345",
        "properties": {"password": {"type": "string"}, "token": {"type": "string"}},
        "secret": None,
        "pwd": "${PWD}",
        "token": "string",
        "max_tokens": 4096,
    }
    masked = json.loads(masker.json(json.dumps(body).encode()).data)
    changed = {key for key in body if masked[key] != body[key]}
    assert changed == {"password", "db_password", "apiKey", "accessToken"}


def test_masked_keys_stay_distinct(masker: Masker) -> None:
    body = {"a@x.org": 1, "b@x.org": 2, "[EMAIL]#2": 3, "[EMAIL]": 4, "c@x.org": 5}
    masked = masker.json(json.dumps(body).encode())
    assert list(json.loads(masked.data).values()) == [1, 2, 3, 4, 5]
    assert parse(masked.data)
    assert all("@" not in finding.place for finding in masked.findings)


def test_findings_name_their_place_and_many_are_counted(masker: Masker) -> None:
    inner = json.dumps({"rows": [{"mail": "none"}, {"mail": canaries.EMAIL}]})
    masked = masker.json(json.dumps({"content": [{"text": inner}]}).encode())
    assert masked.findings == (Finding("EMAIL", "$.content[0].text$.rows[1].mail"),)
    many = masker.json(json.dumps({"rows": [{"mail": canaries.EMAIL}] * 60}).encode())
    assert many.findings == (Finding("EMAIL", "$.rows[*].mail", 60),)
    wide = masker.json(json.dumps({f"k{n}": canaries.EMAIL for n in range(60)}).encode())
    assert wide.findings == (Finding("EMAIL", "", 60),)


def test_overlapping_findings_leave_no_tail(masker: Masker) -> None:
    masked = masker.json(json.dumps([f"postgres://u:{canaries.EMAIL}@h.example.org/x"]).encode())
    assert b"canary" not in masked.data
    assert b"example.org@" not in masked.data


@quick
@given(JSON, st.booleans(), st.sampled_from([None, 0, 2]))
@example({"a": "\ud83d\ude00\u2028\u007f"}, True, None)
def test_a_body_without_findings_comes_back_identical(
    masker: Masker, value: Any, ascii_only: bool, indent: int | None
) -> None:
    data = json.dumps([value, json.dumps(value)], ensure_ascii=ascii_only, indent=indent).encode(errors="replace")
    masked = masker.json(data)
    if not masked.changed:
        assert masked.data == data


@quick
@given(JSON, st.text(max_size=6), st.text(max_size=6), st.booleans(), st.integers(0, 2))
def test_no_byte_outside_a_finding_changes(
    masker: Masker, value: Any, before: str, after: str, ascii_only: bool, levels: int
) -> None:
    def document(canary: str) -> str:
        body: Any = [value, f"{before} {canary} {after}", value]
        for _ in range(levels):
            body = {"text": json.dumps(body, ensure_ascii=ascii_only)}
        return json.dumps(body, ensure_ascii=ascii_only)

    if masker.json(document("").encode()).changed:
        return
    masked = masker.json(document(canaries.AWS_KEY).encode())
    assert masked.data.decode() == document("[SECRET]")


def test_odd_escapes_stay_as_written(masker: Masker) -> None:
    text = '{ "\\u0061\\/b" : "\\u00E9\\ud83d\\uDE00 ' + canaries.EMAIL + ' \\t\\u00e9\\/" , "n":-1.50e+3 }'
    assert masker.json(text.encode()).data.decode() == text.replace(canaries.EMAIL, "[EMAIL]")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b'{"a":1',
        b'"\xff"',
        b'{"a":1,"a":2}',
        b"NaN",
        b"[" * 65 + b"]" * 65,
        json.dumps(['{"a":1,"a":2}']).encode(),
        json.dumps(["[" * 70 + "]" * 70]).encode(),
        json.dumps(['\ufeff{"a":1}']).encode(),
        json.dumps(['{"a":"\\ud800"}']).encode(),
        b"[" * 60 + json.dumps("[[[[[[[[]]]]]]]]").encode() + b"]" * 60,
    ],
)
def test_what_is_not_plainly_json_is_refused(masker: Masker, data: bytes) -> None:
    with pytest.raises(NotMaskable):
        masker.json(data)


def test_text_that_is_not_utf8_is_refused_even_when_there_is_nothing_to_mask(catalog: MaskCatalog) -> None:
    idle = catalog.select([])
    for refused in (b"\xff", b"ok \xc0\xaf"):
        with pytest.raises(NotMaskable) as caught:
            idle.text(refused)
        assert caught.value.__context__ is None
    with pytest.raises(NotMaskable):
        idle.json(b"{} x")
    data = json.dumps([canaries.EMAIL]).encode()
    assert idle.json(data).data == data


class Broken:
    """A detector that does what a test tells it to."""

    label = "BROKEN"

    def __init__(self, behave: Callable[[bytes], list[tuple[int, int]]]) -> None:
        self._behave = behave

    def find(self, data: bytes) -> list[Hit]:
        return [Hit(start, end, "told to") for start, end in self._behave(data)]


class Panic(BaseException):
    """As native code raises it."""


def _panic(data: bytes) -> list[tuple[int, int]]:
    raise Panic(data)


def _fail(data: bytes) -> list[tuple[int, int]]:
    raise RuntimeError(data)


@pytest.mark.parametrize(
    "behave",
    [
        _panic,
        _fail,
        lambda data: [(0, len(data) + 1)],
        lambda _: [(-1, 3)],
        lambda _: [(3, 3)],
        lambda _: [(5, 2)],
        lambda data: [(0, data.index(b"\xc3") + 1)],
        lambda _: [("a", "b")],
    ],
)
def test_a_detector_that_fails_or_lies_ends_the_call(behave: Callable[[bytes], list[tuple[int, int]]]) -> None:
    masker = Masker([Rule(Broken(behave), Redacted("[X]"))], [])
    for call in (masker.json, masker.text):
        with pytest.raises(NotMaskable) as caught:
            call('["é canary"]'.encode())
        assert "canary" not in str(caught.value)
        assert caught.value.__context__ is None


@dataclass(frozen=True)
class LyingFinding:
    location: dict[str, int]
    secret: str
    rule_id: str = "a lie"
    visible: bool = True


@dataclass(frozen=True)
class LyingScanner:
    start: int
    end: int

    def scan(self, data: bytes) -> list[NativeFinding]:
        return [LyingFinding({"start_offset": self.start, "end_offset": self.end}, "canary")]


@pytest.mark.parametrize(("start", "end"), [(0, 6), (-1, 5), (2, 999), (4, 4), (3, 9)])
def test_a_scanner_whose_finding_is_not_where_it_says_ends_the_call(start: int, end: int) -> None:
    masker = Masker([Rule(Secrets(LyingScanner(start, end)), Redacted("[X]"))], [])
    with pytest.raises(NotMaskable) as caught:
        masker.json(b'["a canary"]')
    assert "canary" not in str(caught.value)


def test_text_that_could_be_taken_for_another_encoding_is_still_scanned(masker: Masker) -> None:
    text = "\0" * 100 + canaries.GITHUB_TOKEN
    assert json.loads(masker.json(json.dumps([text]).encode()).data) == ["\0" * 100 + "[SECRET]"]


def test_masks_combine_and_unknown_names_are_errors(catalog: MaskCatalog, cache_dir: Path) -> None:
    data = json.dumps([canaries.EMAIL, canaries.AWS_KEY]).encode()
    assert json.loads(catalog.select(["stars"]).json(data).data) == ["***", canaries.AWS_KEY]
    assert json.loads(catalog.select(["stars", "secrets", "pii"]).json(data).data) == ["[EMAIL]", "[SECRET]"]
    assert catalog.select(["pii", "stars"]) is catalog.select(["stars", "pii", "pii"])
    with pytest.raises(KeyError):
        catalog.select(["nobody"])
    records = MaskCatalog([Mask("f", fields=("iban",))], cache_dir=cache_dir).for_records()
    recorded = json.loads(records.json(json.dumps({"iban": "x", "n": canaries.AWS_KEY}).encode()).data)
    assert recorded == {"iban": "[IBAN]", "n": "[SECRET]"}
