"""The figures of how well statements are understood."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from countersign.statements import LANGUAGES
from tests.bench.statements import OWN, corpus_figures, own_figures


def test_our_own_table_is_understood_in_every_language() -> None:
    *each, together = own_figures()
    assert [one.dialect for one in each] == list(LANGUAGES)
    assert (together.exact, together.missed, together.over_blocked) == (len(OWN), 0, 0)


def test_what_is_missed_and_over_blocked_is_counted(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.jsonl"
    labels = [("SELECT 1", ["ddl"]), ("DROP TABLE t", ["read"]), ("SELECT 1", ["read"]), ("SELECT * FROM t", ["read"])]
    corpus.write_text("\n".join(json.dumps({"sql": sql, "dialect": "postgres", "class": c}) for sql, c in labels))
    found = corpus_figures(corpus)[-1]
    assert (found.texts, found.exact, found.missed, found.over_blocked) == (4, 1, 1, 1)
    assert (found.dangerous, found.reading) == (1, 3)


@pytest.mark.parametrize("line", ["SELECT 1", '{"sql": "SELECT 1", "dialect": "postgres"}', "[1]"])
def test_what_is_no_corpus_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("\n" + line)
    with pytest.raises(ValueError, match=r"corpus\.jsonl:2: expected"):
        corpus_figures(corpus)
