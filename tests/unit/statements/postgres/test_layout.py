"""What approvers read is the statement that runs: the same tokens, nothing that hides, nothing that passes for code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.statements.postgres.layout import COMMENT_MARK, CONTINUED, lay_out, shape
from countersign.statements.postgres.parsing import NotUnderstood

_WORDS = st.sampled_from(
    [
        *("select", "*", "from", "only", "t", "where", "a", "=", "1", "and", "between", "(", ")", "values", ",", ";"),
        *("when", "end", "left", "join", "on", "'x y'", "'a\n b'", '"Q"', "/* c */", "-- c\n", "$$ \n x $$", "case"),
        *("delete", "update", "set", "<>", "--\n", "not", "::", "int", "\n", "\t", "$1", "1.5", "e'\\n'", "←", "│"),
    ]
)


def test_a_statement_is_broken_into_its_clauses() -> None:
    text = "update t set a=1, b='it''s' where id in (select id from u where x between 1 and 3) and c < now()"
    assert lay_out(text).split("\n") == [
        "update t",
        "set a=1, b='it''s'",
        "where id in (",
        "    select id",
        "    from u",
        "    where x between 1 and 3",
        "  )",
        "  and c < now()",
    ]


@pytest.mark.parametrize("word", ["ONLY", "CASCADE", "/*+ hint */", "U&'\\0061'", "Now()", "1e0", "1.0", "0x1F"])
def test_no_word_is_lost_or_rewritten(word: str) -> None:
    assert word in lay_out(f"select {word} from t").replace(COMMENT_MARK, "")


def test_a_comment_cannot_pass_for_code() -> None:
    lines = lay_out("delete from t /* where\nid = 1 */ -- and more\nreturning 1").split("\n")
    assert [line for line in lines if not line.endswith(COMMENT_MARK)] == ["delete from t", "returning 1"]
    assert [line for line in lines if line.endswith(COMMENT_MARK)] == [
        "/* where" + COMMENT_MARK,
        "id = 1 */" + COMMENT_MARK,
        "-- and more" + COMMENT_MARK,
    ]


def test_code_cannot_pass_for_a_comment() -> None:
    assert COMMENT_MARK.strip()[0] not in lay_out("select a, ← comment from t")


@pytest.mark.parametrize("text", ["select 'a\n; drop table t'", "do $$\ndrop table t\n$$", 'select 1 as "x\n; y"'])
def test_lines_of_a_text_cannot_pass_for_lines_of_code(text: str) -> None:
    assert all(line.startswith(CONTINUED) for line in lay_out(text).split("\n")[1:])


def test_what_is_hidden_is_written_out() -> None:
    assert lay_out("select 'a\u202eb', \"x\u200by\" -- \x1b[2J") == (
        "select 'a\\u202eb', \"x\\u200by\"\n-- \\x1b[2J" + COMMENT_MARK
    )


@pytest.mark.parametrize("text", ["select 'a", 'select "', "/* open", "select 1 \0", "x" * 40_000, "select '\ud800'"])
def test_what_has_no_tokens_is_refused(text: str) -> None:
    with pytest.raises(NotUnderstood) as refused:
        lay_out(text)
    assert "select" not in str(refused.value)
    assert refused.value.__context__ is None or "select" not in str(refused.value.__context__)


def test_comments_and_statements_are_counted() -> None:
    assert shape("select ';--' ; /* ; */ select 1 -- x") == (2, 1)


@given(st.lists(_WORDS, max_size=40).map(" ".join))
def test_laying_out_changes_white_space_alone(text: str) -> None:
    try:
        shown = lay_out(text)
    except NotUnderstood:
        return
    for mark in (COMMENT_MARK, CONTINUED):
        shown = shown.replace(mark, " ")
    # The signs of our own marks are written out where they stand in the text itself.
    assert "".join(shown.split()) == "".join(
        text.replace("←", r"\u2190").replace("│", r"\u2502").replace("\t", "").split()
    )
