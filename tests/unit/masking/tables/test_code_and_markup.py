"""The promise: rows of code and the elements of markup are masked as tables are."""

from __future__ import annotations

import pytest

from countersign.masking import Masker
from tests.unit.masking.marked import check

ROWS = {
    "list of lists": "[['id', 'ssn'], [1, '<<A-1>>'], [2, '<<A\\'2, x>>']]",
    "header line": "('ssn', 'id')\n('<<A-1>>', 1)\n('<<A-2>>', 2)\n",
    "named before": (
        "Columns: ['id', 'ssn', 'n']\nRows:\n[(1, '<<A-1>>', None), (2, <<Decimal('1.5')>>, 'x'), (3, <<None>>, '')]"
    ),
    "in a mapping": "{'columns': ['ssn', 'id'], 'rows': [['<<A-1>>', 1], ['<<A-2>>', 2]], 'count': 2}",
    "one column": "['ssn']\n[('<<A-1>>',), ('<<A-2>>',)]",
    "description": (
        "(('id', 23, None, 4, None, None, None), ('ssn', 25, None, -1, None, None, None))\n"
        "[(1, '<<A-1>>'), (2, '<<A-2>>')]"
    ),
    "values within": "[['id', 'ssn', 'n'], [1, '<<A-1>>', ['x', 'y']], [2, '<<A-2>>', {'a': (1, 2)}]]",
    "calls within": "[('born', 'ssn'), (datetime.date(1990, 1, 2), <<UUID('a-b')>>)]",
    "insert": "INSERT INTO t (id, ssn) VALUES (1, '<<A-1>>'), (2, '<<A''2>>');\nINSERT INTO x (id) VALUES (1);",
    "lines in values": (
        "INSERT INTO t (id, ssn, n) VALUES (1, '<<A\n2>>', 'b');\nINSERT INTO t (id, ssn) VALUES (2, '<<A-3>>');"
    ),
    "numbers": "[['ssn', 'id'], [<<123>>, 1], [<<-4.5e3>>, 2]]",
    "too many values": "[['ssn', 'id'], ['<<A-1>>', 1], <<['A', 'B', 2]>>, ['<<A-2>>', 3]]",
    "cut off": "[['ssn', 'id'], ['<<A-1>>', 1], <<['A-2>>",
}
UNTOUCHED = {
    "names alone": "required: ['id', 'ssn'] (see below, please)",
    "other lists": "{'required': ['id', 'ssn'], 'enum': ['a', 'b'], 'pair': (1, 2)}",
    "a call": "find('ssn', 'id') and find('x', 'y')",
    "prose": "The ssn (or the id, if you like) is at [1, 2].",
}
MARKUP = {
    "table": (
        "<table class='x'><thead><tr><th>id</th><th> SSN </th></tr></thead><tbody>"
        "<tr><td>1</td><td><<A-1>></td></tr><tr><td>2</td><td><b><<A>></b> <<2>></td></tr></tbody></table>"
    ),
    "without closing tags": "<table><tr><td>id<td>ssn<tr><td>1<td><<A-1>></table></p>",
    "names beside": "<table><tr><th>ssn</th><td><<A-1>></td></tr><tr><th>id</th><td>1</td></tr></table>",
    "too many cells": "<tr><td>id</td><td>ssn</td></tr><tr><td><<1>></td><td><<A>></td><td><<B>></td></tr>",
    "cut off": "<tr><td>id</td><td>ssn</td></tr><tr><td>1</td><td><<A-1>>",
    "elements": "<p:person x='1'><p:ssn type='t'><<A-1>></p:ssn><id>1</id><SSN><no><<A-2>></no></SSN></p:person>",
    "element cut off": "<a></a><ssn><<A-1>>",
}


@pytest.mark.parametrize("name", ROWS)
def test_values_in_rows_of_code_are_masked(fields: Masker, name: str) -> None:
    check(fields, ROWS[name])


@pytest.mark.parametrize("name", UNTOUCHED)
def test_brackets_that_are_no_rows_are_left_alone(fields: Masker, name: str) -> None:
    check(fields, UNTOUCHED[name])


@pytest.mark.parametrize("name", MARKUP)
def test_values_in_markup_are_masked(fields: Masker, name: str) -> None:
    check(fields, MARKUP[name])
