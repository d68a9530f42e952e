"""What the benchmark sends and expects back is what it claims to be."""

from __future__ import annotations

import json

import pytest

from tests.bench.answers import CALL_ID, SIZES_KB, answer, body_of, headers_of, marker, request


@pytest.mark.parametrize("size_kb", SIZES_KB)
def test_an_answer_has_its_size_and_the_calls_id(size_kb: int) -> None:
    raw = answer(size_kb).raw
    assert size_kb * 1024 - 1 <= len(raw) <= size_kb * 1024
    assert json.loads(raw)["id"] == CALL_ID == json.loads(body_of(request(size_kb)))["id"]


@pytest.mark.parametrize("size_kb", SIZES_KB)
def test_every_answer_holds_an_email_and_a_card_and_its_masked_form_none(size_kb: int) -> None:
    found = answer(size_kb)
    for raw, masked in ((b"@example.com", b"[EMAIL]"), (b"4111 1111", b"[CREDIT_CARD]")):
        # Once in the rows and once in their text.
        assert found.raw.count(raw) == found.masked.count(masked) >= 2
        assert raw not in found.masked


@pytest.mark.parametrize("size_kb", SIZES_KB)
def test_the_masked_form_differs_in_the_findings_only(size_kb: int) -> None:
    rows = [
        json.loads(body)["result"]["structuredContent"]["rows"]
        for body in (answer(size_kb).raw, answer(size_kb).masked)
    ]
    for raw, masked in zip(*rows, strict=True):
        changed = [key for key in raw if raw[key] != masked[key]]
        assert changed in ([], ["note"])


def test_the_target_can_tell_the_sizes_apart() -> None:
    for size_kb in SIZES_KB:
        body = body_of(request(size_kb)).decode()
        assert [other for other in SIZES_KB if marker(other) in body] == [size_kb]


def test_the_call_is_one_of_the_modern_era() -> None:
    headers = headers_of(request(1))
    assert (headers["mcp-method"], headers["mcp-name"]) == ("tools/call", "query")
