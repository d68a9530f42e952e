"""``countersign review``: the report."""

from __future__ import annotations

import io
import sys
import tempfile
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import grpc
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from countersign.cli.access import DEFAULT_GATEWAY, REFUSED, USAGE, GatewayUrl, Token, TokenFile, bearer, stop
from countersign.cli.gateway import REMEDIES, gateway_channel
from countersign.cli.policy.options import load_policy
from countersign.cli.review.gathering import Gathering
from countersign.config import ConfigRefused
from countersign.config.load import read
from countersign.model.visible import visible
from countersign.rehearsal.moments import NoMoment, read_moment_or_age, write_moment
from countersign.review.documents import to_csv, to_html, to_markdown
from countersign.review.facts import Period
from countersign.review.proof import PolicyText
from countersign.review.report import Report, policy_facts, unused_grants, use_report
from countersign.review.tables import heading, rules_text, tables
from countersign.runtime.moments import now_us

_REMEDIES = {**REMEDIES, grpc.StatusCode.RESOURCE_EXHAUSTED: (REFUSED, "{details}")}
_NOT_SHOWN = frozenset({"kind", "asked", "approved", "first", "bytes"})
"""Columns for which a terminal has no room."""


class Format(StrEnum):
    """How a report is written."""

    TABLE = "table"
    HTML = "html"
    CSV = "csv"
    MD = "md"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Make it what the group does without a command."""
    app.callback(
        invoke_without_command=True,
        epilog="Example: countersign review --since 90d --config gateway.yaml --format json -o review.json",
    )(review)


def review(
    context: typer.Context,
    since: Annotated[str, typer.Option(help="From when: 90d, 12h, or a time, ISO 8601 (UTC).")] = "90d",
    until: Annotated[str | None, typer.Option(help="Up to when, likewise; up to now, unless given.")] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="The gateway.yaml whose grants to review.", metavar="gateway.yaml"),
    ] = None,
    target: Annotated[str, typer.Option(help="Only this target; then nothing is said of grants.")] = "",
    form: Annotated[Format, typer.Option("--format", help="How the report is written.")] = Format.TABLE,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write it to this file.")] = None,
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
) -> None:
    """Report who used what, what was granted for nothing, narrower rules that would do, and sessions that stand out.

    Without --config, nothing is said of grants and rules. To sign a report, write it as JSON.

    Exit code 0: done; 1: the gateway refuses; 2: the command line or a file is wrong; 3: the gateway does not answer.
    """
    if context.invoked_subcommand is not None:
        return
    if config is not None and target:
        raise stop("--config and --target: grants are reviewed over all targets; leave one of them out", USAGE)
    now = now_us()
    since_us, until_us = _moment("since", since, now), now if until is None else _moment("until", until, now)
    if until_us <= since_us:
        raise stop("--until is not after --since: there is nothing in between", USAGE)
    period = Period(since_us, until_us, max(since_us - (until_us - since_us), 0))
    policy = _policy(config) if config is not None else None
    sent = bearer(token_file, token, gateway)
    with gateway_channel(gateway, _REMEDIES) as channel:
        report = _report(Gathering(channel, sent, target), period, target, policy, str(config))
    _write(report, form, output)


def _report(gathering: Gathering, period: Period, target: str, policy: PolicyText | None, file: str) -> Report:
    uses, sessions = gathering.use(period)
    report = use_report(period, target, uses, sessions)
    if policy is None:
        return report
    use = gathering.grant_use(policy, period)
    told = (
        f"Narrower rules for {file}, version {policy.config.version}: what was used",
        f"from {write_moment(period.since_us)} to {write_moment(period.until_us)}, and nothing else.",
    )
    narrower, rules = gathering.narrower(policy, use, period, told)
    return replace(
        report,
        grants=unused_grants(policy, use),
        rules=rules,
        policy=policy_facts(file, policy, use),
        narrower=narrower,
    )


def _policy(path: Path) -> PolicyText:
    loaded = load_policy(path)
    try:
        return PolicyText(path, read(path), loaded)
    except ConfigRefused as refused:
        raise stop(str(refused), USAGE) from None


def _moment(option: str, text: str, now: int) -> int:
    try:
        return read_moment_or_age(text, now)
    except NoMoment as error:
        raise stop(f"--{option} {text!r} is not a time: {error}", USAGE) from None


def _write(report: Report, form: Format, output: Path | None) -> None:
    writers = {Format.HTML: to_html, Format.CSV: to_csv, Format.MD: to_markdown, Format.JSON: Report.to_json}
    if output is None:
        if form is Format.TABLE:
            _show(Console(), report)
        else:
            # As bytes: line ends of CSV are its own.
            sys.stdout.buffer.write(writers[form](report).encode())
        return
    try:
        _save(output, _text(report) if form is Format.TABLE else writers[form](report))
    except OSError as error:
        raise stop(f"{output} cannot be written: {type(error).__name__}", USAGE) from None
    typer.echo(f"review {report.review_id} is in {visible(str(output))}", err=True)


def _save(path: Path, text: str) -> None:
    """Write a file, for its owner alone, that is there only when it is whole."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with open(descriptor, "wb") as file:
            file.write(text.encode())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _text(report: Report) -> str:
    text = io.StringIO()
    _show(Console(file=text, width=200), report)
    return text.getvalue()


def _show(console: Console, report: Report) -> None:
    for line in heading(report):
        console.print(Text(line))
    for table in tables(report):
        console.print(Text(f"\n{table.title}: {table.note}", style="bold"))
        if not table.rows:
            console.print("none")
            continue
        drawn = Table(show_edge=False, pad_edge=False)
        shown = [place for place, column in enumerate(table.columns) if column not in _NOT_SHOWN]
        for place in shown:
            column = table.columns[place]
            drawn.add_column(column, justify="right" if column in table.numeric else "left", overflow="fold")
        for row in table.rows:
            drawn.add_row(*(Text(row[place]) for place in shown))
        console.print(drawn)
    if rules := rules_text(report):
        console.print(Text("\nRules to paste in place of `rules:`", style="bold"))
        console.print(rules, markup=False, highlight=False, soft_wrap=True)
