"""What authz hands over arrives whole, and nothing else is taken for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.model.handoff import HandedCall, HandedColumns, Handoff
from countersign.model.principal import Principal, PrincipalKind

_TEXT = st.text(max_size=30)

columns = st.builds(
    HandedColumns,
    columns=st.lists(st.tuples(_TEXT, st.lists(_TEXT, max_size=2).map(tuple)), max_size=3).map(tuple),
    everything=st.booleans(),
    loose=st.booleans(),
    stored=st.booleans(),
    touched=st.booleans(),
    plain=st.lists(_TEXT, max_size=2).map(tuple),
)
handoffs = st.builds(
    Handoff,
    session_id=_TEXT,
    call_id=_TEXT,
    arrived_us=st.integers(min_value=0, max_value=2**53),
    target=_TEXT,
    era=st.sampled_from(["legacy", "modern"]),
    principal=st.builds(
        Principal,
        issuer=_TEXT,
        subject=_TEXT,
        groups=st.lists(_TEXT, max_size=3).map(tuple),
        kind=st.sampled_from(PrincipalKind),
        token_id=_TEXT,
        actors=st.lists(_TEXT, max_size=2).map(tuple),
    ),
    calls=st.lists(
        st.builds(HandedCall, id_json=_TEXT, method=_TEXT, name=_TEXT, columns=st.none() | columns), max_size=3
    ).map(tuple),
    masks=st.lists(_TEXT, max_size=3).map(tuple),
    policy_version=_TEXT,
    traceparent=_TEXT,
    mask_request=st.booleans(),
    unmask=st.booleans(),
    sent_mark=_TEXT,
    state=st.none() | _TEXT,
    bare=st.booleans(),
)


@given(handoffs)
def test_a_handoff_survives_its_text(handoff: Handoff) -> None:
    assert Handoff.from_json(handoff.to_json()) == handoff


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "[1,2,3]", "not json"])
def test_what_is_no_handoff_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Handoff.from_json(text)
