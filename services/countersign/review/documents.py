"""A report as a document: HTML, CSV or Markdown, each safe to open whatever callers and targets called things."""

from __future__ import annotations

import csv
import io
import re
from functools import cache

import jinja2

from countersign.review.report import Report
from countersign.review.tables import heading as heading_of
from countersign.review.tables import rules_text, tables

# What spreadsheets take for the beginning of a formula, also where blanks come before it (OWASP, CSV injection).
_FORMULA = frozenset("=+-@\uff1d\uff0b\uff0d\uff20")
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|<>&~:@-])")


@cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("countersign.review"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def to_html(report: Report) -> str:
    """One file that needs nothing else and runs nothing; made to be printed."""
    template = _templates().get_template("report.html")
    return template.render(
        review_id=report.review_id, heading=heading_of(report), tables=tables(report), rules_yaml=rules_text(report)
    )


def to_csv(report: Report) -> str:
    """All lines (RFC 4180), a block of rows for each section, each row with the section's name and its own columns."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    for table in tables(report):
        writer.writerow(("section", *table.columns))
        for row in table.rows:
            writer.writerow((table.section, *map(_defused, row)))
    return text.getvalue()


def to_markdown(report: Report) -> str:
    """Tables of GitHub's Markdown; the narrower rules as a block of code."""
    lines = [f"# Access review {report.review_id}", "", *(f"{_escaped(line)}  " for line in heading_of(report))]
    for table in tables(report):
        lines += ["", f"## {table.title}", "", _escaped(table.note), ""]
        if not table.rows:
            lines.append("None.")
            continue
        lines += [_row(table.columns), _row(tuple("---" for _ in table.columns))]
        lines += [_row(tuple(map(_escaped, row))) for row in table.rows]
    if rules := rules_text(report):
        # Indented, as no fence inside could end it.
        lines += ["", "## Rules to paste", "", *(f"    {line}" for line in rules.splitlines())]
    return "\n".join(lines) + "\n"


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    return _MARKUP.sub(r"\\\1", text)


def _defused(text: str) -> str:
    return f"'{text}" if text.lstrip(" '\"")[:1] in _FORMULA else text
