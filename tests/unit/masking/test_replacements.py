"""What replaces values says no more of them than it promises, and stays what it stands for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.masking import MaskCatalog, Masker
from countersign.masking.replacements import Hashed, Partial, Redacted, Tokenized
from countersign.model.rule import Mask, ReplacementKind

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
NUMBERS = st.one_of(
    st.integers().map(str), st.decimals(allow_nan=False, allow_infinity=False).map(str), st.floats(0, 1e30).map(repr)
).filter(lambda text: text[0] in "-0123456789" and json.loads(text) is not None)
CARD = "-".join(("4000", "1234", "5678", "9010"))


def masker(
    cache_dir: Path,
    how: ReplacementKind,
    *,
    hash_key: bytes | None = KEY,
    detectors: tuple[str, ...] = (),
    fields: tuple[str, ...] = (),
) -> Masker:
    return MaskCatalog([Mask("m", detectors, fields, how=how)], cache_dir=cache_dir, hash_key=hash_key).select(["m"])


def masked(masker: Masker, value: object) -> object:
    return json.loads(masker.json(json.dumps(value).encode()).data)


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (CARD, "****-****-****-9010"),
        ("219-09-" + "9999", "***-**-9999"),
        ("+1 (555) 010-4477", "+* (***) ***-4477"),
        ("A1234567", "****4567"),
        ("1234567", "*******"),
        ("ab", "**"),
        ("", ""),
        ("Łódź-Ñandú", "****-*andú"),
        ("a\u0301\u0301bcdefgh", "******efgh"),
    ],
)
def test_a_partial_value_keeps_its_separators_and_at_most_its_last_four(value: str, left: str) -> None:
    assert Partial().text(value) == left


@given(st.text())
def test_no_partial_value_shows_more_than_half_of_its_letters_and_digits(value: str) -> None:
    left = Partial().text(value)
    assert len(left) == len(value)
    shown = [char for char in left if char.isalnum()]
    assert len(shown) in (0, 4)
    assert 2 * len(shown) <= sum(map(str.isalnum, value))


def test_no_part_of_a_secret_is_left(cache_dir: Path) -> None:
    secret = "ghp_" + "R7x" * 12
    both = masker(cache_dir, ReplacementKind.PARTIAL, detectors=("secrets",))
    assert masked(both, {"password": secret, "note": f"Authorization: Bearer {secret}"}) == {
        "password": "[SECRET]",
        "note": "Authorization: Bearer [SECRET]",
    }


@pytest.mark.parametrize("name", ["password", "api_key", "client_secret", "accessToken"])
def test_no_part_is_left_of_a_field_whose_name_announces_a_secret(cache_dir: Path, name: str) -> None:
    value = "correct" + "horse" + "battery"
    found = masked(masker(cache_dir, ReplacementKind.PARTIAL, fields=(name, "card")), {name: value, "card": CARD})
    assert isinstance(found, dict)
    assert found["card"] == "****-****-****-9010"
    assert found[name].startswith("[")
    assert "tery" not in found[name]


@given(NUMBERS)
def test_what_stands_for_a_number_is_one_and_for_an_integer_an_integer(literal: str) -> None:
    whole = isinstance(json.loads(literal), int)
    for replacement in (Redacted("[X]"), Partial(), Hashed("X", KEY), Tokenized(Redacted("[X]"))):
        number = json.loads(replacement.number(literal))
        assert isinstance(number, int if whole else (int, float))
        assert not isinstance(number, bool)


def test_a_partial_number_keeps_its_last_four_digits_and_its_length() -> None:
    assert Partial().number("4000123456789010") == "1000000000009010"
    assert Partial().number("-12345678.25") == "-10000078.25"
    assert Partial().number("1234567") == "0"
    assert Partial().number("1.5e300") == "0"


def test_a_hash_is_the_same_wherever_the_value_is_found_and_another_in_another_deployment(cache_dir: Path) -> None:
    mail = "jane@" + "example.org"
    here = masker(cache_dir, ReplacementKind.HASH, detectors=("email",), fields=("contact", "id"))
    found = masked(here, {"a": f"<{mail}>", "contact": mail, "id": 12})
    elsewhere = masked(
        masker(cache_dir, ReplacementKind.HASH, hash_key=OTHER_KEY, detectors=("email",)), {"a": f"<{mail}>"}
    )
    assert isinstance(found, dict)
    assert isinstance(elsewhere, dict)
    digest = found["contact"].removeprefix("[CONTACT:").removesuffix("]")
    assert len(digest) == 16
    assert int(digest, 16) >= 0
    assert found["a"] == f"<[EMAIL:{digest}]>"
    assert elsewhere["a"] != found["a"]
    assert len(str(found["id"])) == 15


def test_without_a_key_or_a_session_values_are_redacted(cache_dir: Path) -> None:
    mail = "jane@" + "example.org"
    assert masked(masker(cache_dir, ReplacementKind.HASH, hash_key=None, fields=("a",)), {"a": mail}) == {"a": "[A]"}
    assert masked(masker(cache_dir, ReplacementKind.TOKENIZE, fields=("a",)), {"a": mail}) == {"a": "[A]"}


def test_the_record_is_masked_by_what_the_caller_was_not(cache_dir: Path) -> None:
    masks = [
        Mask("hashed", fields=("a",), how=ReplacementKind.HASH),
        Mask("starred", fields=("a", "b"), replace="***"),
        Mask("secret", detectors=("secrets",)),
    ]
    catalog = MaskCatalog(masks, cache_dir=cache_dir, hash_key=KEY)
    data = json.dumps({"a": "x", "b": "y", "password": "R7x" * 5}).encode()
    seen = catalog.select(["hashed"]).json(data).data
    left = catalog.for_records_after(["hashed"])
    assert left is not None
    assert json.loads(left.json(seen).data) == {"a": "***", "b": "***", "password": "[SECRET]"}
    assert catalog.for_records_after(["hashed", "starred", "secret"]) is None
    after_secrets = catalog.for_records_after(["hashed", "secret"])
    assert after_secrets is not None
    assert json.loads(after_secrets.json(data).data) == {"a": "***", "b": "***", "password": "R7x" * 5}
