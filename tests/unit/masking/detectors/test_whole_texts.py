"""The promise: a text that is nothing but an identifier is one without words beside it, if its check is right."""

from __future__ import annotations

import json

import pytest

from countersign.masking import Masker
from tests.support.cost import cpu_s

NUMBERS = {
    "au_tfn": "648 213 576",
    "us_npi": "2738461906",
    "in_aadhaar": "648213570119",
    "us_dea": "bk4821357",
    "fi_hetu": "131052-308t",
    "us_mbi": "1eg4-te5-mk73",
}


@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS)
@pytest.mark.parametrize("around", ["{}", "{}\n", '"{}"', " {} "], ids=["bare", "line", "quoted", "blanks"])
def test_a_text_that_is_an_identifier_is_masked(personal: Masker, around: str, number: str) -> None:
    masked = personal.text(around.format(number).encode()).data.decode()
    assert number not in masked
    assert masked.strip(' "\n').startswith("[")


@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS)
def test_a_content_that_is_an_identifier_is_masked(personal: Masker, number: str) -> None:
    answer = {"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": number}]}}
    assert number not in personal.json(json.dumps(answer).encode()).data.decode()


@pytest.mark.parametrize(
    "text",
    [
        "648213570",
        "1738461908",
        "1738461908123",
        "12345678",
        "2738461906 rows",
        "rows: 2738461906",
        "2738461906\n2738461907",
        '{"count": 2738461906}',
        '{"order": "2738461906"}',
        "ORD-2738461906",
    ],
)
def test_other_numbers_stay(personal: Masker, text: str) -> None:
    assert personal.text(text.encode()).data.decode() == text


def test_many_texts_in_a_message_cost_no_more_than_their_size(personal: Masker) -> None:
    message = json.dumps([{"text": f"{number} of 10"} for number in range(10_000_000_000, 10_000_020_000)]).encode()
    personal.json(message[:0] + b"[]")
    assert cpu_s(lambda: personal.json(message)) < 3
