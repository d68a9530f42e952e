"""Reports: ids that stay, a digest that notices, and documents in which no name can do anything."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace

import pytest

from countersign.review.documents import to_csv, to_html, to_markdown
from countersign.review.facts import Period, Use
from countersign.review.grants import GrantUse
from countersign.review.report import (
    Narrower,
    NoReport,
    PolicyFacts,
    Report,
    read_report,
    unused_grants,
    use_report,
)
from countersign.review.tables import tables
from tests.unit.rehearsal.policies import Rule
from tests.unit.review.test_narrowing import EVERYTHING, made, policy

PERIOD = Period(2_000_000, 3_000_000, 1_000_000)
EVIL = "<script>alert(1)</script>\x1b[2J\u202e|`]($('#x'))"
USE = Use(
    issuer="https://idp",
    subject="alice",
    kind="person",
    groups=("analysts", "staff"),
    target="orders",
    method="tools/call",
    name="query",
    rules=("all",),
    allowed=7,
    denied=2,
    asked=1,
    approved=1,
    masked=3,
    rows=100,
    size_bytes=1_000,
    first_us=2_100_000,
    last_us=2_900_000,
)


def report(*uses: Use) -> Report:
    return use_report(PERIOD, "", uses, [])


def hostile() -> Report:
    evil = replace(USE, subject=EVIL, name=EVIL, groups=(EVIL,), target=EVIL)
    formulas = replace(USE, subject="=HYPERLINK(1)", target=" +x", issuer="@x")
    narrower = Narrower(yaml=f"# {EVIL}\n", judged=1)
    return replace(report(evil, formulas), narrower=narrower, policy=PolicyFacts(EVIL, "v", 1, 0, 1))


def test_uses_are_lines_by_person_and_by_group() -> None:
    told = report(USE, replace(USE, name="list", allowed=1), replace(USE, subject="bob", allowed=1))
    assert [(line.subject, line.counts.allowed, len(line.used)) for line in told.people] == [
        ("alice", 8, 2),
        ("bob", 1, 1),
    ]
    assert [(line.group, line.principals, line.names) for line in told.groups] == [
        ("analysts", 2, ("list", "query")),
        ("staff", 2, ("list", "query")),
    ]


def test_what_only_connects_is_no_use() -> None:
    assert report(replace(USE, method="tools/list", name="")).people == ()


def test_line_ids_stay_while_numbers_change() -> None:
    now, later = report(USE), report(replace(USE, allowed=8))
    assert now.people[0].id == later.people[0].id
    assert now.review_id != later.review_id
    assert now.review_id == report(USE).review_id


def test_a_report_that_was_written_can_be_signed_and_a_changed_one_cannot() -> None:
    told = hostile()
    text = told.to_json()
    assert text.isascii()
    read = read_report(text)
    assert read.review_id == told.review_id
    assert {told.people[0].id, told.groups[0].id} <= read.lines.keys()
    changed = json.loads(text)
    changed["people"][0]["counts"]["allowed"] = 1
    for wrong in (json.dumps(changed), "{}", "[]", "", "[" * 100_000, '{"review_id": 1, "countersign_review": 1}'):
        with pytest.raises(NoReport):
            read_report(wrong)


def test_html_runs_nothing_and_needs_nothing() -> None:
    text = to_html(hostile())
    assert "<script" not in text
    assert "default-src 'none'" in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert not re.search(r"(?:src|href)=", text)
    assert "&lt;script&gt;" in text


def test_csv_has_no_formula_and_no_control() -> None:
    rows = list(csv.reader(io.StringIO(to_csv(hostile()), newline="")))
    cells = [cell for row in rows for cell in row]
    assert not any(cell.lstrip(" '\"")[:1] in tuple("=+-@") and not cell.startswith("'") for cell in cells)
    assert not any("\x1b" in cell or "\u202e" in cell for cell in cells)
    assert any(row[:1] == ["people"] and "'=HYPERLINK(1)" in row for row in rows)


def test_markdown_breaks_no_table_and_makes_no_link() -> None:
    lines = to_markdown(hostile()).splitlines()
    rows = [line for line in lines if line.startswith("| ") and "script" in line]
    assert rows
    assert all(re.search(r"(?<!\\)<", row) is None for row in rows)
    columns = len(tables(hostile())[0].columns)
    assert len(re.findall(r"(?<!\\)\|", rows[0])) == columns + 1


def test_grants_that_nobody_needed_are_told_by_rule_and_by_entry() -> None:
    idle: Rule = {"name": "stock", "allow": {"groups": ["stock"], "targets": ["stock"], "tools": ["count"]}}
    parts: Rule = {
        "name": "parts",
        "allow": {"groups": ["analysts", "interns"], "targets": ["orders"], "tools": ["q*", "x"]},
    }
    file = policy(EVERYTHING, idle, parts)
    use = GrantUse(file.config, 0)
    use.add(made("query"))
    use.add(made("", method="tools/list", target="stock", groups=("stock",)))
    told = {(line.rule, line.field, line.entry): line.said for line in unused_grants(file, use)}
    assert told.keys() == {
        ("all", "groups", "support"),
        ("stock", "", ""),
        ("parts", "groups", "interns"),
        ("parts", "tools", "x"),
    }
    assert "connected by it 1 times" in told["stock", "", ""]


def test_a_caller_whom_no_rule_knows_any_more_is_counted_and_needs_nothing() -> None:
    file = policy(EVERYTHING)
    use = GrantUse(file.config, 0)
    use.add(made("query", groups=("analysts-old",)))
    assert (use.passed, use.no_longer_passing) == (1, 1)
    assert use.rules["all"].calls == 0
