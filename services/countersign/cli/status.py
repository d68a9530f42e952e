"""``countersign status``: what the parts of a gateway say of themselves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import grpc
import typer
from google.protobuf.json_format import MessageToDict
from rich.console import Console
from rich.table import Table

from countersign.api.access.v1 import status_pb2, status_pb2_grpc
from countersign.cli.access import REFUSED, UNREACHABLE, USAGE, stop
from countersign.model.visible import visible
from countersign.runtime.sealing import service_token
from countersign.runtime.settings import SettingsError, environment, load_sealing_key
from countersign.runtime.trust import SERVICE_HEADER, is_private

_PARTS = ("recorder", "authz", "masker")
# Started only where gateway.yaml needs them.
_SOMETIMES = ("approver", "portal", "hub", "bridge")
_WAIT_S = 3.0
_SHOWN = 10

Answers = Mapping[str, status_pb2.GetStatusResponse | None]


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(
        "status",
        epilog="Examples: countersign status --state ./state;  "
        "COUNTERSIGN_KEY_FILE=key countersign status --service authz=authz:9000 --service masker=masker:9000",
    )(status)


def status(
    state: Annotated[Path, typer.Option(help="The state directory of a `countersign up` on this machine.")] = Path(
        ".countersign"
    ),
    service: Annotated[
        list[str] | None,
        typer.Option(help="NAME=HOST:PORT of a service run alone; needs COUNTERSIGN_KEY_FILE. May be repeated."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Show which policy is in force where, why an edit was refused, and what may not do what was meant.

    Exit code 0: all is well; 1: a part is away or not ready, an edit was refused, or parts have different policies in
    force; 3: no part answers.
    """
    answers = asyncio.run(_ask(_addresses(state, service or [])))
    problems = _problems(answers)
    if as_json:
        parts = {name: MessageToDict(answer) if answer else None for name, answer in answers.items()}
        print(json.dumps({"parts": parts, "problems": problems}))
    else:
        _show(answers, problems)
    if not any(answers.values()):
        raise typer.Exit(UNREACHABLE)
    raise typer.Exit(REFUSED if problems else 0)


def _addresses(state: Path, services: list[str]) -> dict[str, str]:
    if not services:
        sockets = {name: state.resolve() / "run" / f"{name}.sock" for name in (*_PARTS, *_SOMETIMES)}
        return {name: f"unix:{path}" for name, path in sockets.items() if name in _PARTS or path.exists()}
    addresses: dict[str, str] = {}
    for given in services:
        name, equals, address = given.partition("=")
        if not (name and equals and address) or name in addresses:
            raise stop(f"{given!r} is not NAME=HOST:PORT, or stands twice: write for example authz=authz:9000", USAGE)
        addresses[name] = address
    return addresses


async def _ask(addresses: Mapping[str, str]) -> Answers:
    answers = await asyncio.gather(*(_ask_one(address) for address in addresses.values()))
    return dict(zip(addresses, answers, strict=True))


async def _ask_one(address: str) -> status_pb2.GetStatusResponse | None:
    try:
        metadata = () if is_private(address) else ((SERVICE_HEADER, service_token(load_sealing_key(environment()))),)
    except SettingsError as error:
        raise stop(str(error), USAGE) from None
    async with grpc.aio.insecure_channel(address, (("grpc.use_local_subchannel_pool", 1),)) as channel:
        call = status_pb2_grpc.StatusServiceStub(channel).GetStatus
        try:
            return await call(status_pb2.GetStatusRequest(), timeout=_WAIT_S, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                raise stop(f"{address} belongs to a deployment with another sealing key", REFUSED) from None
            return None


def _problems(answers: Answers) -> list[str]:
    """Whatever an operator should act upon, a line each."""
    found = [f"{name} does not answer" for name, answer in answers.items() if answer is None]
    told = [answer for answer in answers.values() if answer is not None]
    found += [f"{answer.service} is not ready" for answer in told if not answer.available]
    if len({(answer.policy_version, answer.trial_version) for answer in told}) > 1:
        found.append("not all parts have the same policy in force: wait a moment, or look at their logs")
    refused = {_line(problem): None for answer in told for problem in answer.refused}
    if refused:
        found.append("the newest edit of gateway.yaml is refused; the version before it stays in force:")
        found += list(refused)[:_SHOWN]
        if len(refused) > _SHOWN:
            found.append(f"... and {len(refused) - _SHOWN} more")
    return found


def _line(problem: status_pb2.ConfigProblem) -> str:
    return f"{problem.file}:{problem.line}:{problem.column}: {problem.what}: {problem.remedy}"


def _show(answers: Answers, problems: list[str]) -> None:
    console = Console(soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("part", "state", "policy", "on trial", "version"):
        table.add_column(column)
    for name, answer in answers.items():
        if answer is None:
            table.add_row(name, "away", "", "", "")
        else:
            ready = "ready" if answer.available else "not ready"
            table.add_row(answer.service, ready, answer.policy_version, answer.trial_version or "-", answer.version)
    console.print(table)
    for told in [answer.log for answer in answers.values() if answer and answer.log]:
        console.print(f"log {visible(told)}", markup=False, highlight=False)
    for problem in problems:
        console.print(problem, style="red", markup=False, highlight=False)
    for warning in sorted({warning for answer in answers.values() if answer for warning in answer.warnings}):
        console.print(f"warning: {warning}", style="yellow", markup=False, highlight=False)
