"""The benchmark of masking measures what it says, and counts labelled texts rightly."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from countersign.masking import Masker
from countersign.masking.detectors.email import Email
from countersign.masking.masker import Rule
from countersign.masking.replacements import Redacted
from tests.bench.labelled import FILES, coverage_figures
from tests.bench.masking import CLEAN, FINDINGS, bodies

MAILS = Masker([Rule(Email(), Redacted("[EMAIL]"), name="email")], [])
MAIL = "jane.roe" + "@example.org"


def test_each_body_has_the_size_and_the_findings_that_it_says() -> None:
    for kind, body in bodies(100_000).items():
        assert 0.8 < len(body) / 100_000 < 1.2, kind
        assert body.isascii() == (kind != "not ASCII")
        assert json.loads(body)["result"]["content"]
        assert body.count(b"@") in (range(90, 110) if kind == FINDINGS else (0,))
    assert b"\\" not in bodies(1_000)[CLEAN]


def test_what_is_covered_and_what_is_touched_is_counted(tmp_path: Path) -> None:
    end = len(MAIL)
    rows = [
        {"text": f"{MAIL} and 17", "spans": [[0, end, "EMAIL"], [end + 5, end + 7, "AGE"], [0, 4, "PERSON"]]},
        {"text": f"to {MAIL}", "spans": [[1, end + 3, "EMAIL"]]},
        {"text": f"to {MAIL}", "neg": "any"},
        {"text": "to nobody", "neg": "any"},
        {"text": f"to {MAIL}", "neg": "rule:X"},
    ]
    (tmp_path / FILES["personal data"]).write_text("\n".join(map(json.dumps, rows)))
    (found,) = coverage_figures(MAILS, tmp_path)
    assert (found.name, found.labelled, found.covered, found.harmless, found.touched) == ("personal data", 3, 1, 2, 1)
    assert (round(found.covered_percent), found.touched_percent) == (33, 50)
    with gzip.open(tmp_path / FILES["secrets"], "wt") as packed:
        packed.write(json.dumps(rows[2]))
    assert [one.touched for one in coverage_figures(MAILS, tmp_path / "sql.jsonl")] == [1, 1]


@pytest.mark.parametrize("line", ["[1]", '{"spans": []}', '{"text": "x", "spans": [[1]]}', "x"])
def test_what_is_no_labelled_text_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    (tmp_path / FILES["personal data"]).write_text('{"text": ""}\n' + line)
    with pytest.raises(ValueError, match=r"pii\.jsonl:2: expected"):
        coverage_figures(MAILS, tmp_path)
