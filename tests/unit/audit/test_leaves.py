"""What is read of leaves, and that the recorder writes no others."""

from __future__ import annotations

import json
from hashlib import sha256
from uuid import UUID

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from countersign.api.recorder.v1 import event_pb2
from countersign.audit import Malformed, commitment_of, read_leaf
from countersign.audit.canonical import decode, encode
from countersign.model.continuation import next_session
from countersign.recorder.entry import sealing
from countersign.recorder.leaf import leaf_text

ID = str(UUID(int=5))
NEXT = str(next_session(UUID(ID)))
KEYS = st.text(st.characters(max_codepoint=127), max_size=5)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53) + 1, 2**53 - 1), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=15,
)


@given(VALUES)
def test_our_canonical_json_is_that_of_rfc_8785_and_is_read_again(value: object) -> None:
    text = encode(value)
    assert text.encode() == rfc8785.dumps(value)  # type: ignore[arg-type]
    assert decode(text.encode()) == value


ODD = """
{|{"a":1,"a":1}|{"b":1,"a":1}|{"a": 1}|[1 ]| 1|NaN|-Infinity|1.0|1e2|-0|01|9007199254740992|-9007199254740992|nul|'a'
""".strip().split("|")
ODD += ["", "[1]\n", '"\\u0041"', '"\\/"', '"\\u001F"', '"\\ud800"', '"\ud800"', '"\x7f', '{"\u00e9":1}', "9" * 5000]
ODD += ["[" * 40 + "]" * 40, "[" * 100_000, '{"a":' * 50_000]


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_what_is_not_canonical_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        decode(text.encode(errors="surrogatepass"))


def test_bytes_that_are_not_utf_8_are_refused() -> None:
    with pytest.raises(Malformed):
        decode(b'"\xff"')


@given(st.text(max_size=40), st.text(max_size=40))
def test_what_the_recorder_writes_is_read_whatever_callers_and_targets_say(text: str, other: str) -> None:
    event = event_pb2.Event(
        event_id=ID,
        session_id=NEXT,
        call_id=ID,
        kind=event_pb2.EVENT_KIND_REQUEST,
        time_us=1,
        name=text,
        method=other,
        reason=text,
        continues=ID,
        relations=[text, other],
        principal=event_pb2.Principal(issuer=text, subject=other, groups=[text], actors=[other]),
        decision=event_pb2.Decision(
            outcome=event_pb2.OUTCOME_ALLOW, rules=[text], shadow=event_pb2.ShadowDecision(reason=other)
        ),
        findings=[event_pb2.Finding(label=text, place=other, count=3)],
    )
    commitment = sha256(text.encode()).hexdigest()
    leaf = read_leaf(leaf_text(event, recorded_us=7, commitment=commitment).encode())
    assert (leaf.event_id, leaf.kind, leaf.method, leaf.continues) == (ID, "request", other, ID)
    assert (leaf.recorded_us, leaf.commitment) == (7, bytes.fromhex(commitment))


def test_a_seal_is_read_as_the_recorder_writes_it() -> None:
    root = sha256(b"root").digest()
    entry = sealing(UUID(ID), target="t", event_count=3, root=root, unanswered_count=2, reason="ended", at_us=9)
    leaf = read_leaf(entry.record.encode())
    assert leaf.seal is not None
    assert (leaf.seal.event_count, leaf.seal.root, leaf.seal.unanswered_count, leaf.method) == (3, root, 2, "ended")


def test_a_commitment_is_that_of_salt_and_body() -> None:
    assert commitment_of(b"salt", b"body") == sha256(b"saltbody").digest()


GOOD = {"call_id": ID, "event_id": ID, "kind": "request", "session_id": ID, "time_us": 5}


@pytest.mark.parametrize(
    "change",
    [
        {"event_id": "x"},
        {"event_id": ID.upper().replace("0", "A")},
        {"event_id": "{" + ID + "}"},
        {"session_id": None},
        {"kind": ""},
        {"kind": 5},
        {"time_us": "5"},
        {"time_us": -5},
        {"time_us": True},
        {"recorded_us": None},
        {"commitment": "00"},
        {"commitment": "A" * 64},
        {"commitment": "\u0660" * 64},
        {"continues": "x"},
        {"continues": ID},
        {"kind": "seal"},
        {"seal": {"event_count": 1, "root": "00" * 32, "unanswered_count": 0}},
        {"kind": "seal", "seal": []},
        {"kind": "seal", "seal": {"event_count": 1, "root": "00" * 32}},
    ],
    ids=range(19),
)
def test_a_leaf_that_is_no_event_is_refused(change: dict[str, object]) -> None:
    read_leaf(encode(GOOD).encode())
    with pytest.raises(Malformed):
        read_leaf(encode(GOOD | change).encode())


def test_a_leaf_is_not_longer_than_an_entry_can_be() -> None:
    longest = 65_535 - len(encode(GOOD | {"a": ""}))
    read_leaf(json.dumps(GOOD | {"a": "x" * longest}, sort_keys=True, separators=(",", ":")).encode())
    with pytest.raises(Malformed, match="longer"):
        read_leaf(json.dumps(GOOD | {"a": "x" * (longest + 1)}, sort_keys=True, separators=(",", ":")).encode())
