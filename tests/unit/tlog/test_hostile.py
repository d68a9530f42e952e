"""Whatever is read, only errors of this room come out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countersign.tlog import (
    TlogError,
    decode_entries,
    from_base64,
    hash_from_base64,
    parse_checkpoint,
    parse_note,
    parse_number,
    parse_path,
    parse_policy,
    parse_signatures,
    parse_signer,
    parse_verifier,
    to_base64,
)

# Pieces that readers look for, so that chance gets further than the first of them.
PIECES = ["\n", "\n\n", "— ", " ", "+", "=", "/", ".p/", "tile/", "entries/", "x001", "000", "0", "256", "name", "AAAA"]
PIECES += ["PRIVATE+KEY+", "00000000", to_base64(bytes(32)), to_base64(b"\1" + bytes(32)), to_base64(b"\4" + bytes(32))]
PIECES += ["log ", "witness ", "group ", "quorum none\n", "any ", "#", "\t", "\u0660", "\ud800", "\x00", "é"]
TEXTS = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=12).map("".join)
READERS: list[Callable[[str], object]] = [
    from_base64,
    hash_from_base64,
    parse_number,
    parse_note,
    parse_signatures,
    parse_checkpoint,
    parse_policy,
    parse_path,
    parse_verifier,
    parse_signer,
]


@settings(max_examples=100)
@given(TEXTS)
def test_only_our_errors_come_out_of_texts(text: str) -> None:
    for read in READERS:
        with suppress(TlogError):
            read(text)


@settings(max_examples=100)
@given(st.binary(max_size=60), st.integers(0, 5))
def test_only_our_errors_come_out_of_bytes(content: bytes, width: int) -> None:
    for read in (parse_note, parse_policy, lambda each: decode_entries(each, width)):
        with suppress(TlogError):
            read(content)


@given(st.text("AQgw/+=\n _", max_size=12))
def test_base64_is_read_in_one_way_only(text: str) -> None:
    try:
        content = from_base64(text)
    except TlogError:
        return
    assert to_base64(content) == text
    assert from_base64(text.encode()) == content


@pytest.mark.parametrize("text", ["", "00", "01", "-1", "+1", " 1", "1 ", "1_0", "1e3", "\u0661", "9" * 20, "9" * 9999])
def test_a_number_is_written_in_one_way_only(text: str) -> None:
    with pytest.raises(TlogError):
        parse_number(text)
    assert [parse_number(each) for each in ("0", "10", "9223372036854775807")] == [0, 10, 2**63 - 1]
