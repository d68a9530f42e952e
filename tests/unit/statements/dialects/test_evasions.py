"""What injection folklore does to a statement changes nothing of what is said of it, or makes it unparsable."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Final

import pytest

from countersign.statements.dialects import DIALECTS, classify_dialect
from countersign.statements.verdict import READING, StatementClass
from tests.unit.statements.dialects.test_statements import ALL

_TEXTS: Final = re.compile(
    r"'''.*?'''|\"\"\".*?\"\"\"|'(?:[^'\\]|\\.|'')*'|\"[^\"]*\"|`[^`]*`|\[[^\]]*\]|\$\$.*?\$\$", re.DOTALL
)
_LINES: Final = re.compile(r"--|#|//|/\*|\n|\\")

Evasion = Callable[[str], str]


def outside(text: str, change: Evasion) -> str:
    """Return the text with everything outside of quotes changed."""
    parts, end = [], 0
    for match in _TEXTS.finditer(text):
        parts += [change(text[end : match.start()]), match.group()]
        end = match.end()
    return "".join([*parts, change(text[end:])])


def alternating(text: str) -> str:
    letters = itertools.cycle((str.lower, str.upper))
    return "".join(next(letters)(each) for each in text)


EVASIONS: Final[dict[str, Evasion]] = {
    "spaces": lambda text: re.sub(" ", "  \t ", text),
    "lines": lambda text: re.sub(" ", " \r\n ", text),
    "comments": lambda text: re.sub(" ", "/**/", text),
    "comments with words": lambda text: re.sub(" ", " /* ' SELECT 1; -- */ ", text),
    "line comments": lambda text: re.sub(" ", " -- x'y\n", text),
    "upper case": str.upper,
    "alternating case": alternating,
}
# Comments of the dialects themselves, names that are case-sensitive data, and lines that mean something, are left out.
PLAIN: Final = [
    (dialect, classes, text)
    for dialect, classes, text in ALL
    if not _LINES.search(_TEXTS.sub("", text))
    and not re.search(r"@|file:|'O", text)
    and text.strip()
    and text.isascii()
]


@pytest.mark.parametrize("evasion", EVASIONS)
def test_an_evasion_takes_nothing_away(evasion: str) -> None:
    change = EVASIONS[evasion]
    escaped = []
    for dialect, _, text in PLAIN:
        before = classify_dialect(text, dialect).classes
        after = classify_dialect(outside(text, change), dialect).classes
        if after != before and StatementClass.UNPARSABLE not in after:
            escaped.append((dialect, text, before, after))
    assert escaped == []


@pytest.mark.parametrize("evasion", EVASIONS)
def test_an_evasion_makes_few_harmless_statements_unparsable(evasion: str) -> None:
    change = EVASIONS[evasion]
    reading = [(dialect, text) for dialect, classes, text in PLAIN if set(classes.split()) <= {"read", "bulk_read"}]
    lost = [each for each in reading if not classify_dialect(outside(each[1], change), each[0]).only_reads]
    assert lost == []


@pytest.mark.parametrize(("dialect", "classes", "text"), PLAIN)
def test_a_second_statement_is_never_hidden_by_a_first(dialect: str, classes: str, text: str) -> None:
    both = classify_dialect(f"SELECT 1; {text}", dialect).classes
    dangerous = classify_dialect(text, dialect).classes - READING
    assert both >= dangerous


@pytest.mark.parametrize(
    ("classes", "text"), [(classes, text) for dialect, classes, text in PLAIN if dialect == "tsql" and ";" not in text]
)
def test_tsql_needs_no_semicolon_for_a_second_statement(classes: str, text: str) -> None:
    # Alone, a procedure needs no EXECUTE; and WITH needs a semicolon before it, as do a few more.
    both = classify_dialect(f"SELECT name FROM staff WHERE id = 1 {text}", "tsql")
    alone = classify_dialect(text, "tsql").classes - READING
    assert both.classes >= alone or StatementClass.UNPARSABLE in both.classes


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1 /* /* */ DROP TABLE t */",
        "SELECT 1 /*",
        "SELECT 'a",
        "SELECT 1\x00",
        "SELECT\u00a01",
        "SELECT\u20031",
        "SELECT 1 \u2212 1",
        "\u017fELECT 1",
        "\ufeffSELECT 1",
        "SELECT \ud800",
        "SELECT 1 \x1a",
        "SELECT {{ x }}",
        "SELECT {% x %} 1",
        "SELECT 1 {# DROP TABLE x #}",
        "SELECT 1 \\; DROP TABLE x",
        "",
        " \n\t",
        ";;;",
        "-- only a comment",
        "/* only a comment */",
        "please remove everything",
    ],
)
def test_what_parsers_read_differently_is_never_reading(dialect: str, text: str) -> None:
    assert not classify_dialect(text, dialect).only_reads


@pytest.mark.parametrize("quote", ["\\'", "''", "\\\\"])
def test_where_a_text_ends_is_read_as_the_modes_of_mysql_may_read_it(quote: str) -> None:
    # With NO_BACKSLASH_ESCAPES the first text ends at the backslash.
    verdict = classify_dialect("SELECT '\\', sys_exec(1) -- '", "mysql")
    assert StatementClass.CODE_EXECUTION in verdict.classes
    assert classify_dialect(f"SELECT 'it{quote}s' AS x", "mysql").only_reads


def test_what_is_in_a_comment_that_is_executed_counts() -> None:
    for text in ("/*!", "/*!50000", "/*!080000", "/*M!", "/*M!100100"):
        verdict = classify_dialect(f"SELECT 1 {text} ; DROP TABLE staff */", "mysql")
        assert StatementClass.DESTRUCTIVE_DDL in verdict.classes, text
    assert not classify_dialect("SELECT 1 /*!501234 x */", "mysql").only_reads
    assert not classify_dialect("SELECT 1 /*! ' */ ; DROP TABLE t /*! ' */", "mysql").only_reads
    assert not classify_dialect("SELECT /*+ SET_VAR(sql_mode = '') */ 1", "mysql").only_reads
    assert classify_dialect("SELECT /*+ NO_INDEX_MERGE(t) */ a FROM t WHERE id = 1", "mysql").only_reads


@pytest.mark.parametrize("starter", ["DELETE", "UPDATE", "EXEC x", "DROP TABLE t", "KILL 5", "MERGE", "BULK INSERT t"])
def test_no_alias_swallows_a_statement_of_tsql(starter: str) -> None:
    for before in ("SELECT 1", "SELECT a FROM t WHERE id = 1", "SELECT a AS b FROM t AS u WHERE u.id = 1"):
        assert not classify_dialect(f"{before} {starter}", "tsql").only_reads
        assert not classify_dialect(f"{before}\n{starter} t", "tsql").only_reads
