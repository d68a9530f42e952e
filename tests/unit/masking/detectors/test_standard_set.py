"""The promise: the standard set leaves ordinary text alone, covers what keys and columns name, and cannot be slowed."""

from __future__ import annotations

import json

import pytest

from countersign.masking import Masker
from tests.support.cost import cpu_s

ORDINARY = [
    "Order 4711-2024 with 12 items of SKU ABC-1234 shipped, invoice INV-2024-00123.",
    "version 1.2.3.4, v2.0.1-rc1, Python 3.12.1, build 10.0.19045.3803",
    "2024-01-15T10:30:00.123Z took 123456 ms, started at 1705314600 and 1705314600123",
    "commit 3b18e512dba79e4c8300dd08aeb37f8e728b8dad, 123e4567-e89b-12d3-a456-426614174000, etag 9f86d081884c7d65",
    "52.520008, 13.404954 is 3.14159265 away; 1,234,567.89 EUR or 1.234.567,89",
    "ISBN 978-3-16-148410-0, tracking number 123456789012, part number 415-555-0132, RFC 9110, ISO 8601:2004",
    "GET /api/v1/orders/20240115/items?page=2&size=100 HTTP/1.1 200 5123 127.0.0.1",
    "[12] INFO worker-3 pid=12345 rss=104857600 bytes, retries 3/5, 12:30:45",
    "std::vec::Vec<u8>, a[1::2], 0xdeadbeefcafe, #ff8800, e2e4, 1920x1080, CVE-2024-12345, PROJ-1234",
    "score 12-34, pages 100-250, 10 GB 2048, 12 JAN 2024, Q3 2024, flight LH 1234, room 101",
]


@pytest.mark.parametrize("text", ORDINARY, ids=range(len(ORDINARY)))
def test_ordinary_text_stays(personal: Masker, text: str) -> None:
    assert personal.text(text.encode()).data.decode() == text


def test_ordinary_json_stays(personal: Masker) -> None:
    rows = [
        {"id": 85010112345, "created_at": 1705314600123, "userId": "44051401359", "address": "tcp://0.0.0.0:80"},
        {"name": "widget", "street": "", "mobile": True, "first_name": None, "phone": "n/a", "total": 123456789},
    ]
    text = json.dumps(rows)
    assert personal.json(text.encode()).data.decode() == text


def test_values_under_the_keys_of_a_person_are_covered_whole(personal: Masker) -> None:
    person = {"firstName": "Ann", "address": {"street": "12 Main St", "type": "home"}, "dob": "1980-02-03", "age": 44}
    masked = json.loads(personal.json(json.dumps({"rows": [person]}).encode()).data)
    assert masked["rows"] == [
        {
            "firstName": "[PERSON]",
            "address": {"street": "[ADDRESS]", "type": "home"},
            "dob": "[BIRTH_DATE]",
            "age": 44,
        }
    ]


def test_columns_of_a_person_are_covered_whole(personal: Masker) -> None:
    table = "id,first_name,street_address,total\n1,Ann,12 Main St,12.50\n2,Bob,99 Elm Rd,7.00\n"
    assert personal.text(table.encode()).data.decode() == (
        "id,first_name,street_address,total\n1,[PERSON],[ADDRESS],12.50\n2,[PERSON],[ADDRESS],7.00\n"
    )


@pytest.mark.parametrize(
    "unit",
    [
        *(
            "44051401359 ",
            "17291716060,",
            "+1",
            "+49 30 ",
            "0 1",
            "(",
            "415-555-0132 ",
            "GB82 WEST ",
            "AB12",
            "1.1.1.1 ",
        ),
        *(
            "::",
            "1:",
            "00:1A:",
            "passport ",
            "passport X1234567 ",
            "dob 1",
            "P<",
            "<",
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7D ",
        ),
        *(
            "bc1q",
            "0x",
            "A1234567",
            "X2482300W ",
            "order ",
            "id: 1 ",
            "first name: ",
            "address: a, ",
            "name='",
            "1 ",
            "12",
            "A",
            "A1 ",
            "19880320-0016 ",
            "\u00e91",
        ),
    ],
)
def test_no_text_makes_it_hang(personal: Masker, unit: str) -> None:
    text = (unit * (30_000 // len(unit))).encode()
    assert cpu_s(lambda: personal.text(text)) < 1.0
