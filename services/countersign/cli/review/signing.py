"""``countersign review sign`` and ``verdicts``: what reviewers say of the lines of a report, kept as events."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import grpc
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from countersign.api.recorder.v1 import review_pb2, review_pb2_grpc
from countersign.cli.access import DEFAULT_GATEWAY, REFUSED, USAGE, GatewayUrl, Token, TokenFile, bearer, stop
from countersign.cli.gateway import REMEDIES, gateway_channel
from countersign.model.visible import visible
from countersign.rehearsal.moments import write_moment
from countersign.review.report import NoReport, SignableReport, read_report

_TIMEOUT_S = 30.0
_MOST_BYTES = 512 * 1024 * 1024
_REMEDIES = {
    **REMEDIES,
    grpc.StatusCode.PERMISSION_DENIED: (REFUSED, "only auditors sign reviews: ask to be put into a group of auditors"),
}

ReportFile = Annotated[Path, typer.Argument(help="The report, as JSON.", metavar="REPORT.json")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command("sign", epilog="Example: countersign review sign review.json 3f0c... --flag --note 'left the team'")(
        sign
    )
    app.command("verdicts", epilog="Example: countersign review verdicts review.json")(verdicts)


def sign(
    report: ReportFile,
    line: Annotated[str, typer.Argument(help="The id of a line of it.", metavar="LINE")],
    certify: Annotated[bool, typer.Option("--certify", help="It is as it should be.")] = False,
    flag: Annotated[bool, typer.Option("--flag", help="It is not; say why with --note.")] = False,
    note: Annotated[str, typer.Option(help="Why; it is recorded.")] = "",
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
) -> None:
    """Certify or flag a line of a report, as an event of your own. A later verdict takes the place of an earlier one.

    Exit code 0: recorded; 1: the gateway refuses; 2: the command line or the report is wrong, or there is no such line;
    3: the gateway does not answer.
    """
    if certify == flag:
        raise stop("say what you found: --certify, or --flag with a --note", USAGE)
    if flag and not note.strip():
        raise stop("--flag needs a --note, so that somebody can act on it", USAGE)
    reviewed = _read(report)
    if line not in reviewed.lines:
        raise stop(f"{report} has no line {line!r}: lines are named in the column `line`", USAGE)
    verdict = review_pb2.VERDICT_CERTIFIED if certify else review_pb2.VERDICT_FLAGGED
    asked = review_pb2.SignReviewRequest(review_id=reviewed.review_id, line_id=line, verdict=verdict, note=note)
    metadata = (("authorization", f"Bearer {bearer(token_file, token, gateway)}"),)
    with gateway_channel(gateway, _REMEDIES) as channel:
        stub = review_pb2_grpc.ReviewServiceStub(channel)
        answer = stub.SignReview(asked, metadata=metadata, timeout=_TIMEOUT_S)
    typer.echo(f"{'certified' if certify else 'flagged'}: {line}, event {visible(answer.event_id)}")


def verdicts(
    report: ReportFile,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")] = False,
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
) -> None:
    """Show what reviewers said of the lines of a report, the oldest first, and how many lines nobody signed."""
    reviewed = _read(report)
    asked = review_pb2.ListVerdictsRequest(review_id=reviewed.review_id)
    metadata = (("authorization", f"Bearer {bearer(token_file, token, gateway)}"),)
    with gateway_channel(gateway, _REMEDIES) as channel:
        stub = review_pb2_grpc.ReviewServiceStub(channel)
        events = [one.event.event for one in stub.ListVerdicts(asked, metadata=metadata, timeout=_TIMEOUT_S)]
    drawn = Table(show_edge=False, pad_edge=False)
    for column in ("when", "who", "verdict", "section", "line", "note"):
        drawn.add_column(column, overflow="fold")
    signed = set[str]()
    for event in events:
        line = event.name.partition("/")[2]
        signed.add(line)
        # Whoever speaks to the service directly can sign what is no line of the report.
        section = reviewed.lines.get(line, "(no line of this report)")
        told = (write_moment(event.time_us), event.principal.subject, event.method, section, line, event.reason)
        if as_json:
            keys = ("time", "subject", "verdict", "section", "line", "note")
            typer.echo(json.dumps({"event_id": event.event_id, **dict(zip(keys, told, strict=True))}))
        else:
            drawn.add_row(*(Text(visible(cell)) for cell in told))
    if not as_json:
        Console().print(drawn)
        typer.echo(f"{len(reviewed.lines.keys() - signed):,} of {len(reviewed.lines):,} lines are not signed", err=True)


def _read(path: Path) -> SignableReport:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise stop(f"{path} is larger than any report", USAGE)
        return read_report(path.read_text("utf-8"))
    except NoReport as error:
        raise stop(f"{path}: {error}", USAGE) from None
    except (OSError, UnicodeDecodeError) as error:
        raise stop(f"{path} cannot be read: {type(error).__name__}", USAGE) from None
