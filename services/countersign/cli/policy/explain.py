"""``countersign policy explain``: why would this call be decided so, or why was it?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import grpc
import typer
from rich.console import Console
from rich.text import Text

from countersign.cli.access import DEFAULT_GATEWAY, REFUSED, USAGE, GatewayUrl, Token, TokenFile, bearer, stop
from countersign.cli.gateway import REMEDIES, gateway_channel
from countersign.cli.policy.described import Described
from countersign.cli.policy.options import AsJson, Trial, load_policy
from countersign.cli.policy.questions import Question, recorded_question
from countersign.cli.policy.record import Record
from countersign.cli.policy.shown import console, decision_text, show_explanation
from countersign.model.principal import PrincipalKind
from countersign.model.visible import visible
from countersign.policy import Explanation
from countersign.rehearsal.moments import write_moment
from countersign.rehearsal.reports import decision_json, explanation_json
from countersign.rehearsal.ruling import Ruling
from countersign.runtime.moments import now_us

_REMEDIES = {
    **REMEDIES,
    grpc.StatusCode.NOT_FOUND: (REFUSED, "there is no such call: `countersign replay SESSION --json` shows event ids"),
}


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(
        "explain",
        epilog="Examples: countersign policy explain -c gateway.yaml --as alice --groups analysts --target orders "
        "--tool query --arg limit=100;  countersign policy explain -c gateway.yaml --event ID --token-file carol.token",
    )(explain)


def explain(
    config: Annotated[Path, typer.Option("--config", "-c", help="The gateway.yaml.", metavar="FILE")],
    subject: Annotated[str, typer.Option("--as", help="Who calls: the subject.")] = "",
    groups: Annotated[list[str] | None, typer.Option(help="Its groups; commas separate. May be repeated.")] = None,
    kind: Annotated[PrincipalKind, typer.Option(help="What it is.")] = PrincipalKind.PERSON,
    actor: Annotated[
        list[str] | None,
        typer.Option(help="Who acts for it, which makes it an agent; repeated: who acted before, the latest first."),
    ] = None,
    issuer: Annotated[str, typer.Option(help="Who vouches for it; the first issuer of the file, unless given.")] = "",
    target: Annotated[str, typer.Option(help="The target.")] = "",
    method: Annotated[str, typer.Option(help="The MCP method; that of what is named, unless given.")] = "",
    tool: Annotated[str, typer.Option(help="The tool that is called.")] = "",
    prompt: Annotated[str, typer.Option(help="The prompt that is asked for.")] = "",
    resource: Annotated[str, typer.Option(help="The URI of the resource that is read.")] = "",
    arg: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE: an argument; a JSON value, or else a text. Dots lead into objects."),
    ] = None,
    args_json: Annotated[
        str, typer.Option(help="All arguments: a file that holds a JSON object; - reads it.", metavar="FILE")
    ] = "",
    at: Annotated[str | None, typer.Option(help="When, ISO 8601; UTC unless it says otherwise; else now.")] = None,
    address: Annotated[str, typer.Option("--from", help="The caller's IP address.")] = "",
    usage: Annotated[
        list[str] | None, typer.Option(help="NAME=NUMBER: what was used before, such as rows_1h=5000.")
    ] = None,
    event: Annotated[str, typer.Option(help="A recorded call instead: the id of its event.")] = "",
    session: Annotated[str, typer.Option(help="A recorded call instead: its session, with --call.")] = "",
    call: Annotated[str, typer.Option(help="The id of the call in --session.")] = "",
    trial: Trial = False,
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Show how a call would be decided, and what each rule makes of it; or a recorded one, and what was decided then.

    Exit code 0: explained, whatever the decision; 1: there is no such call, or the gateway refuses the token; 2: the
    command line or the file is wrong; 3: the gateway does not answer.
    """
    loaded = load_policy(config)
    ruling = Ruling(loaded, trial=trial)
    described = Described(
        subject=subject,
        groups=groups or (),
        kind=kind,
        actors=actor or (),
        issuer=issuer,
        target=target,
        method=method,
        tool=tool,
        prompt=prompt,
        resource=resource,
        arg=arg or (),
        args_json=args_json,
        at=at or "",
        address=address,
        usage=usage or (),
    )
    if event or session or call:
        if described or bool(event) == bool(session) or bool(session) != bool(call):
            raise stop("a recorded call is named by --event, or by --session and --call, and by nothing else", USAGE)
        sent = bearer(token_file, token, gateway)
        with gateway_channel(gateway, _REMEDIES) as channel:
            question = recorded_question(Record(channel, sent), ruling, event, session, call)
    else:
        question = described.question(loaded, now_us())
    explanation = ruling.explain(question.principal, question.call, question.situation)
    needs = ruling.needs(explanation.decision)
    notes = question.notes(ruling)
    if as_json:
        typer.echo(json.dumps(_document(question, explanation, needs, notes, config), indent=2))
    else:
        _show(console(), question, explanation, needs, notes, config)


def _document(
    question: Question, explanation: Explanation, needs: Sequence[str], notes: list[str], config: Path
) -> Mapping[str, object]:
    who, call, situation, recorded = question.principal, question.call, question.situation, question.recorded
    return {
        "file": str(config),
        "principal": {
            "issuer": who.issuer,
            "subject": who.subject,
            "groups": list(who.groups),
            "kind": who.kind.value,
            "actors": list(who.actors),
        },
        "call": {"target": call.target, "method": call.method, "name": call.name, "kind": call.name_kind.value},
        "at": write_moment(situation.time_us),
        "from": situation.source_address,
        "usage": asdict(situation.usage),
        "event": recorded.event_id if recorded else None,
        "recorded_decision": decision_json(recorded.decision) if recorded else None,
        "notes": notes,
        **explanation_json(explanation, needs),
    }


def _show(
    out: Console, question: Question, explanation: Explanation, needs: Sequence[str], notes: list[str], config: Path
) -> None:
    for line in _lines(question, explanation, config):
        out.print(visible(line), markup=False, soft_wrap=True)
    if question.recorded is not None:
        then = question.recorded.decision
        said = Text(f"then, by version {visible(then.policy_version)}: ").append_text(decision_text(then))
        out.print(said, soft_wrap=True)
    for note in notes:
        out.print(f"note: {visible(note)}", style="yellow", markup=False, soft_wrap=True)
    out.print()
    show_explanation(out, explanation, needs)


def _lines(question: Question, explanation: Explanation, config: Path) -> Iterator[str]:
    who, call, situation = question.principal, question.call, question.situation
    groups = f" of {', '.join(who.groups)}" if who.groups else ""
    through = f" through {', '.join(who.actors)}" if who.actors else ""
    yield (
        f"{who.subject}{through} ({who.kind.value}{groups}) calls {call.method} {call.name}".rstrip()
        + f" on {call.target}"
    )
    place = f" from {situation.source_address}" if situation.source_address else ""
    yield f"at {write_moment(situation.time_us)}{place}"
    yield f"by {config} (version {explanation.decision.policy_version})"
    used = [f"{name} {count}" for name, count in asdict(situation.usage).items() if count]
    if used:
        yield f"used before: {', '.join(used)}"
