"""`countersign tools`: list a target's tools, see what changed about them, and accept it or have it forgotten."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import grpc
import typer
from rich.console import Console

from countersign.api.access.v1 import tools_pb2, tools_pb2_grpc
from countersign.cli.access import DEFAULT_GATEWAY, REFUSED, USAGE, GatewayUrl, Token, TokenFile, bearer, stop
from countersign.cli.call import list_tools
from countersign.cli.gateway import REMEDIES, gateway_channel
from countersign.cli.pinned import as_document, tool_lines
from countersign.model.visible import visible

_TIMEOUT_S = 30.0
_CHOSEN_AT_ONCE = 1_000
_WITH_DIGEST = re.compile(r"(.+)@([0-9a-f]{12,64})", re.DOTALL)
_OPERATORS_ONLY = "you are not an operator: ask to be put into a group of operators (gateway.yaml, operators)"
_REMEDIES = {**REMEDIES, grpc.StatusCode.PERMISSION_DENIED: (REFUSED, _OPERATORS_ONLY)}

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_app = typer.Typer(
    help="List the tools of a target; see what changed about them, accept it or have it forgotten.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_app.command("list")(list_tools)


def register(app: typer.Typer) -> None:
    """Add the commands to the ``countersign`` command."""
    app.add_typer(_app, name="tools")


@_app.command("diff")
def diff(
    target: Annotated[str, typer.Argument(help="Only of this target.")] = "",
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Show the tools that wait to be accepted, and how they differ. Ends with 1 when there are any.

    Without TARGET, those of targets that are not in gateway.yaml are shown and do not count.
    """
    with _service(gateway, bearer(token_file, token, gateway)) as service:
        waiting = list(service.tools(target, pending=True))
    if as_json:
        typer.echo(json.dumps({"tools": [as_document(tool) for tool in waiting]}, indent=2))
    elif waiting:
        _show(waiting)
    else:
        typer.echo("no tools wait to be accepted", err=True)
    if any(target or not tool.not_configured for tool in waiting):
        raise typer.Exit(REFUSED)


@_app.command("accept")
def accept(
    target: Annotated[str, typer.Argument(help="The target's name in gateway.yaml.")],
    tools: Annotated[
        list[str] | None, typer.Argument(help="Tools; TOOL@DIGEST accepts only what `tools diff` showed.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that wait to be accepted.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Accept tools as they are offered now, after showing them. What changes meanwhile is not accepted."""
    _refuse_unclear(tools or [], everything=everything, yes=yes, as_json=as_json)
    with _service(gateway, bearer(token_file, token, gateway)) as service:
        _decide(_ACCEPT, service, target, tools or [], yes=yes, as_json=as_json)


@_app.command("forget")
def forget(
    target: Annotated[str, typer.Argument(help="The target's name, also one that is not in gateway.yaml any more.")],
    tools: Annotated[
        list[str] | None, typer.Argument(help="Tools, accepted ones as well; TOOL@DIGEST only as it was seen.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that wait to be accepted.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Have tools forgotten, after showing them: nobody can call them, and one that is offered again waits as new."""
    _refuse_unclear(tools or [], everything=everything, yes=yes, as_json=as_json)
    with _service(gateway, bearer(token_file, token, gateway)) as service:
        _decide(_FORGET, service, target, tools or [], yes=yes, as_json=as_json)


@dataclass(frozen=True, slots=True)
class _Verb:
    """What an operator does with tools: in a question, and of what is done; ``pending`` if only to those that wait."""

    asks: str
    done: str
    pending: bool
    unknown: str


_ACCEPT = _Verb("Accept", "accepted", True, "does not wait to be accepted: see `countersign tools diff`")
_FORGET = _Verb("Forget", "forgotten", False, "is not known of that target: see `countersign tools diff`")


def _refuse_unclear(wanted: Sequence[str], *, everything: bool, yes: bool, as_json: bool) -> None:
    if bool(wanted) == everything:
        raise stop("say which tools, or --all: `countersign tools diff` shows those that wait", USAGE)
    if as_json and not yes:
        raise stop("--json asks nothing: give --yes, too", USAGE)


def _decide(verb: _Verb, service: _Service, target: str, wanted: Sequence[str], *, yes: bool, as_json: bool) -> None:
    """Do it to the tools that are wanted, and to all that wait when none is named."""
    known = list(service.tools(target, pending=verb.pending or not wanted))
    chosen = _chosen(known, wanted, verb) if wanted else known
    if not as_json:
        _show(chosen)
    if chosen and not yes and not _agreed(verb, len(chosen)):
        raise stop(f"nothing was {verb.done}", REFUSED)
    done, refused = (service.accept if verb is _ACCEPT else service.forget)(target, chosen)
    if as_json:
        typer.echo(json.dumps({verb.done: done, f"not_{verb.done}": refused}, indent=2))
    elif not chosen:
        typer.echo("no tools wait to be accepted", err=True)
    for name in done if not as_json else ():
        typer.echo(f"{verb.done} {visible(name)}")
    if refused:
        names = ", ".join(visible(name) for name in refused)
        raise stop(f"changed meanwhile, and not {verb.done}: {names}; see `countersign tools diff {target}`", REFUSED)


class _Service:
    """The gateway's ToolReviewService; its errors are ``grpc.RpcError``."""

    def __init__(self, channel: grpc.Channel, token: str) -> None:
        self._stub = tools_pb2_grpc.ToolReviewServiceStub(channel)
        self._metadata = (("authorization", f"Bearer {token}"),)

    def tools(self, target: str, *, pending: bool) -> Iterator[tools_pb2.ReviewedTool]:
        """All tools that are known, or those that wait to be accepted."""
        asked = tools_pb2.ListToolsRequest(target=target, pending=pending)
        while True:
            page = self._stub.ListTools(asked, metadata=self._metadata, timeout=_TIMEOUT_S)
            yield from page.tools
            if not page.next_page_token:
                return
            asked.page_token = page.next_page_token

    def accept(self, target: str, tools: Sequence[tools_pb2.ReviewedTool]) -> tuple[list[str], list[str]]:
        """Accept these as they were shown; return the names of those that were, and of those that were not."""
        accepted: list[str] = []
        refused: list[str] = []
        for seen in _seen(tools):
            asked = tools_pb2.AcceptToolsRequest(target=target, tools=seen)
            answer = self._stub.AcceptTools(asked, metadata=self._metadata, timeout=_TIMEOUT_S)
            accepted += answer.accepted
            refused += answer.not_accepted
        return accepted, refused

    def forget(self, target: str, tools: Sequence[tools_pb2.ReviewedTool]) -> tuple[list[str], list[str]]:
        """Have these forgotten as they were shown; return the names of those that were, and of those that were not."""
        forgotten: list[str] = []
        refused: list[str] = []
        for seen in _seen(tools):
            asked = tools_pb2.ForgetToolsRequest(target=target, tools=seen)
            answer = self._stub.ForgetTools(asked, metadata=self._metadata, timeout=_TIMEOUT_S)
            forgotten += answer.forgotten
            refused += answer.not_forgotten
        return forgotten, refused


def _seen(tools: Sequence[tools_pb2.ReviewedTool]) -> Iterator[list[tools_pb2.SeenTool]]:
    for start in range(0, len(tools), _CHOSEN_AT_ONCE):
        some = tools[start : start + _CHOSEN_AT_ONCE]
        yield [tools_pb2.SeenTool(name=tool.name, digest=tool.seen_digest) for tool in some]


@contextmanager
def _service(gateway: str, token: str) -> Iterator[_Service]:
    with gateway_channel(gateway, _REMEDIES) as channel:
        yield _Service(channel, token)


def _chosen(
    tools: Sequence[tools_pb2.ReviewedTool], wanted: Sequence[str], verb: _Verb
) -> list[tools_pb2.ReviewedTool]:
    known = {tool.name: tool for tool in tools}
    chosen: dict[str, tools_pb2.ReviewedTool] = {}
    for text in wanted:
        match = None if text in known else _WITH_DIGEST.fullmatch(text)
        name, digest = (match[1], match[2]) if match else (text, "")
        tool = known.get(name)
        if tool is None:
            raise stop(f"{visible(name)!r} {verb.unknown}", REFUSED)
        if not tool.seen_digest.hex().startswith(digest):
            raise stop(f"{visible(name)!r} is not offered with that digest any more: look at it again", REFUSED)
        chosen[name] = tool
    return list(chosen.values())


def _show(tools: Sequence[tools_pb2.ReviewedTool]) -> None:
    console = Console(highlight=False)
    for tool in tools:
        for line in tool_lines(tool):
            console.print(line, soft_wrap=True)


def _agreed(verb: _Verb, count: int) -> bool:
    try:
        return typer.confirm(f"{verb.asks} {'this tool' if count == 1 else f'these {count} tools'}?")
    except typer.Abort:
        return False
