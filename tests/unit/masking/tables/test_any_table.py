"""The promise, for any table: the cells of the column go, all others stay, and the time grows with the text."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from countersign.masking import Masker
from tests.support.cost import cpu_s

quick = settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])

VALUE = st.text("abcXYZ019-é漢 ,;\t|\"'\n\\.:", max_size=8)
WORD = st.text("abcXYZ019-é", min_size=1, max_size=8)


@quick
@given(st.lists(st.tuples(VALUE, VALUE, VALUE), min_size=1, max_size=5), st.integers(0, 2), st.sampled_from(",;\t"))
def test_any_csv(fields: Masker, rows: list[tuple[str, str, str]], column: int, delimiter: str) -> None:
    header = ["id", "name", "note"]
    header[column] = "ssn"
    written = io.StringIO()
    writer = csv.writer(written, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerows([header, *rows])
    masked = fields.text(written.getvalue().encode()).data.decode()
    read = list(csv.reader(io.StringIO(masked, newline=""), delimiter=delimiter))
    expected = [["[SSN]" if index == column and cell else cell for index, cell in enumerate(row)] for row in rows]
    assert read == [header, *expected]


@quick
@given(st.lists(st.tuples(WORD, WORD, WORD), min_size=1, max_size=5), st.integers(0, 2), st.integers(0, 2))
def test_any_framed_table(fields: Masker, rows: list[tuple[str, str, str]], column: int, style: int) -> None:
    header = ["id", "name", "note"]
    header[column] = "ssn"
    rule = ["|---|---|---|", "+---+---+---+", "|:-:|---|--:|"][style]
    frame = "+---+---+---+\n" if style == 1 else ""

    def table(hidden: str | None) -> str:
        lines = [[hidden if hidden and index == column else cell for index, cell in enumerate(row)] for row in rows]
        return (
            frame
            + "\n".join(f"| {' | '.join(line)} |" for line in [header])
            + f"\n{rule}\n"
            + "".join(f"| {' | '.join(line)} |\n" for line in lines)
            + frame
            + "\nend"
        )

    assert fields.text(table(None).encode()).data.decode() == table("[SSN]")


@quick
@given(st.text("ssn:=,;|\t\n\"'-+ 1a", max_size=60))
def test_no_text_breaks_the_reading(fields: Masker, text: str) -> None:
    fields.text(text.encode())
    fields.text(f"id,ssn\n1,2\n{text}".encode())


HOSTILE: dict[str, Callable[[int], str]] = {
    "rows": lambda n: "id,ssn,name\n" + "1,123-45,Bob\n" * n,
    "headers": lambda n: "id,ssn,name\n\n" * n,
    "unclosed quotes": lambda n: 'ssn,"\n' * n,
    "many unclosed quotes": lambda n: 'id,ssn\n1,"x\n\n' * n,
    "doubled quotes": lambda n: 'id,ssn\n1,"' + '""' * n,
    "names on one line": lambda n: "ssn " * n + "\nssn,",
    "cells on one line": lambda n: "ssn," * n + "\n" + "1," * n,
    "bars": lambda n: "ssn|" * n + "\n" + "ssn|" * n,
    "boxes that never close": lambda n: "+--+--+\n| ssn | x |\n+--+--+\n\n" * n,
    "rules": lambda n: "ssn  x\n---  -\n" * n,
    "aligned": lambda n: "ssn   x\n" + "1     2\n" * n,
    "records": lambda n: "ssn | 1\n" * n,
    "continued records": lambda n: "a | b\nssn | 1\n" + "    | 1\n" * n,
    "blanks": lambda n: "ssn  x\n" + " " * n + "1\nssn: " + " " * n + "1",
    "pairs": lambda n: "ssn: 1, ssn=2 " * n,
    "pairs on lines": lambda n: "ssn: 1\n" * n,
    "nested": lambda n: "ssn:\n" + "".join(" " * (i % 50 + 1) + "ssn:\n" for i in range(n)),
    "brackets": lambda n: "ssn: [" * n,
    "closed brackets": lambda n: "ssn: " + "[" * n + "]" * n,
    "calls": lambda n: "ssn=a(" * n,
    "escaped quotes": lambda n: 'ssn: \\"a ' * n,
    "backslashes": lambda n: "ssn: '" + "\\'" * n + "\nssn: " + "\\" * n,
    "tuples": lambda n: "[['ssn', 'id'], " + "['1', 2], " * n,
    "headers of tuples": lambda n: "['ssn', 'id'], " * n,
    "open brackets": lambda n: "'ssn'" + "[" * n,
    "nested brackets": lambda n: "[" * n + "'ssn', " + "1], " * n,
    "tags": lambda n: "<ssn>" * n + "</x>",
    "open tags": lambda n: "ssn</td>" + "<td " * n,
    "rows of tags": lambda n: "<tr><td>ssn<td>b</tr>" * n,
    "paragraphs": lambda n: "ssn: a b\n" * n + "x\n" + "ssn = a b\n" * n,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_the_time_grows_no_faster_than_the_text(fields: Masker, kind: str) -> None:
    small, large = (HOSTILE[kind](n).encode() for n in (500, 4_000))
    once = cpu_s(lambda: fields.text(small))
    assert cpu_s(lambda: fields.text(large)) < 8 * 2.5 * once + 0.02
