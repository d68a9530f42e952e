"""The promise: what is passed over without a look at each string holds nothing that such a look would find."""

from __future__ import annotations

import json
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.masking import Masker, text_fields
from countersign.masking.detectors import Hit
from countersign.masking.detectors.by_key import KEY_DETECTORS
from countersign.masking.fields import Field
from countersign.masking.masker import Rule
from countersign.masking.replacements import Redacted
from countersign.masking.text_fields import TextFields

WORDS = ("ssn", "card", "birth date", "geburtsdatum", "password", "token", "street", "name", "phone2", "no", "Né", "x")
MARKS = (
    ":",
    "=",
    "=>",
    " ",
    "  ",
    "'",
    "`",
    "[",
    "]",
    "(",
    ")",
    "<td>",
    "</td>",
    "|",
    "│",
    ",",
    ";",
    "**",
    "_",
    "12-3",
)
STRINGS = st.lists(st.sampled_from((*WORDS, *MARKS)), min_size=1, max_size=8).map("".join)
FIELDS = [Field.of(path, lambda label: Redacted(f"[{label}]")) for path in ("ssn", "*.card", "né", "birth_date")]


class Silent:
    """Finds nothing, so that only names tell."""

    label = "SECRET"

    def find(self, data: bytes) -> list[Hit]:
        """See ``Detector``."""
        return []


SECRETS = Rule(Silent(), Redacted("[SECRET]"), reads_names=True)
PERSONS = [Rule(detector, Redacted(f"[{detector.label}]")) for detector in KEY_DETECTORS.values()]
MASKERS = {
    "fields": Masker([], FIELDS),
    "secrets": Masker([SECRETS], FIELDS),
    "all": Masker([SECRETS, *PERSONS], FIELDS),
}


@pytest.mark.parametrize("name", MASKERS)
@given(strings=st.lists(STRINGS, min_size=1, max_size=3), chunk=st.sampled_from((20, 262_144)))
def test_a_look_at_all_strings_at_once_sees_what_a_look_at_each_would(
    name: str, strings: list[str], chunk: int
) -> None:
    body = json.dumps([{"k": string} for string in strings], ensure_ascii=False).encode()
    with patch.object(text_fields, "_CHUNK", chunk):
        masked = MASKERS[name].json(body)
        with patch.object(TextFields, "in_single_lines", return_value=True):
            assert masked == MASKERS[name].json(body)


def test_rows_without_the_names_are_passed_over() -> None:
    rows = [{"id": 1, "at": "2026-11-21T10:00:00Z", "note": "see https://example.org/x?y=1", "token": "online"}] * 50
    for masker in MASKERS.values():
        with patch.object(TextFields, "find", return_value=iter(())) as find:
            masker.json(json.dumps(rows).encode())
        assert [call.args[0] for call in find.call_args_list] == [[], []]
