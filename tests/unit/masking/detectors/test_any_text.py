"""The promise: no text makes a detector throw, which would end the call, nor lets it point outside the text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countersign.masking import detectors
from countersign.masking.detectors.base import parts_of, shape_of
from countersign.model.personal_data import PERSONAL_DATA

FOLDED = str.maketrans({"k": "\u212a", "K": "\u212a", "s": "\u017f", "S": "\u017f"})
WORDS = [
    "",
    "passport ",
    "phone: ",
    "order ",
    '"id": ',
    "dob ",
    "tax id ",
    "national id: ",
    "first name: ",
    "steuer ",
    "\u00e9",
]


@pytest.mark.parametrize("name", PERSONAL_DATA)
@given(data=st.data())
@settings(max_examples=6, deadline=None)
def test_no_number_of_its_form_makes_it_throw(name: str, data: st.DataObject) -> None:
    detector = detectors.make(name, None)
    shapes = [shape_of(part).replace(r"(?:\b|_)", "") for part in parts_of(detector) if shape_of(part)]
    number = data.draw(st.from_regex(data.draw(st.sampled_from(shapes)), fullmatch=True) if shapes else st.text())
    if data.draw(st.booleans()):
        number = number.translate(FOLDED)
    text = (data.draw(st.sampled_from(WORDS)) + number + data.draw(st.sampled_from(["", ".", " 1", "\n"]))).encode(
        errors="ignore"
    )
    for start, end, _ in detector.find(text):
        assert 0 <= start < end <= len(text)


@given(text=st.text(st.sampled_from("0123456789ABCXYZabk\u212a\u017f -./+()@:,'\"\n\u00a0\u00e9"), max_size=80))
@settings(max_examples=25, deadline=None)
def test_no_text_makes_any_throw(text: str) -> None:
    data = text.encode()
    for name in PERSONAL_DATA:
        for start, end, _ in detectors.make(name, None).find(data):
            assert 0 <= start < end <= len(data)
            data[start:end].decode()
