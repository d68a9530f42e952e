"""`countersign tools list` and `countersign call`: be an MCP client of the gateway from the command line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from countersign.cli.access import (
    DEFAULT_GATEWAY,
    REFUSED,
    UNREACHABLE,
    USAGE,
    GatewayUrl,
    Token,
    TokenFile,
    bearer,
    stop,
)
from countersign.model.visible import visible

if TYPE_CHECKING:
    import httpx2
    from mcp import Client
    from mcp.types import CallToolResult

_TIMEOUT_S = 60.0
# No gateway holds a call for longer before it says more (`approvals.hold`).
_HELD_S = 300.0

Target = Annotated[str, typer.Option(help="The target's name in gateway.yaml.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the whole answer as JSON.")]


@dataclass(slots=True)
class _Heard:
    """What the SDK does not say of the answers: the statuses of refusals, what a call still waits for, the session."""

    statuses: list[int] = field(default_factory=list)
    waits: str = ""
    session: str = ""

    async def note(self, response: httpx2.Response) -> None:
        self.session = response.headers.get("mcp-session-id", self.session)
        if response.status_code >= 400:
            self.statuses.append(response.status_code)
        elif response.status_code == 202 and "preference-applied" in response.headers:
            self.waits = _message(await response.aread())


@dataclass(frozen=True, slots=True)
class _Line:
    """A connection: the SDK's client, the HTTP client below it, and what is heard there."""

    client: Client
    http: httpx2.AsyncClient
    heard: _Heard


def register(app: typer.Typer) -> None:
    """Add ``call`` to the ``countersign`` command."""
    examples = "Examples: countersign call query 'sql=SELECT 1';  ... call get_customer customer_id=7 --no-wait"
    app.command("call", epilog=examples)(call)


def list_tools(
    target: Target = "orders",
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """List the tools of a target that you may call."""
    console = Console()

    async def ask(line: _Line) -> None:
        listed = await line.client.list_tools()
        if as_json:
            _print_json(console, listed.model_dump_json(by_alias=True, exclude_none=True))
            return
        for tool in listed.tools:
            # A target wrote both: neither markup nor a terminal's controls of its own.
            described = " ".join(visible(line) for line in (tool.description or "").splitlines())
            console.print(Text(visible(tool.name), "bold"), Text(described), soft_wrap=True)

    url = f"{gateway.rstrip('/')}/{target}/mcp"
    _run(url, bearer(token_file, token, url), ask)


def call(
    tool: Annotated[str, typer.Argument(help="The tool's name.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(help="Arguments as name=value; a value that is JSON is taken as JSON.")
    ] = None,
    target: Target = "orders",
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="When people must agree first: say so, and end with exit code 1.")
    ] = False,
) -> None:
    """Call a tool of a target through the gateway and print what it answers.

    When people must agree to the call first, it says for whom it waits (on standard error), and waits; who ends it
    meanwhile takes the question back. Who is told to call again does so later: the same call runs once they agreed.
    """
    console = Console()
    parsed = _parse(arguments or [])

    async def ask(line: _Line) -> None:
        answer = await _call(line, tool, parsed, wait=not no_wait)
        if as_json:
            _print_json(console, answer.model_dump_json(by_alias=True, exclude_none=True))
        elif answer.structured_content is not None:
            _print_json(console, json.dumps(answer.structured_content, ensure_ascii=False))
        else:
            for block in answer.content:
                text = block.text if block.type == "text" else block.model_dump_json()
                # A target wrote it: of what a terminal obeys, only the ends of lines.
                for written in text.split("\n"):
                    console.print(visible(written), markup=False, highlight=False, soft_wrap=True)
        if answer.is_error:
            raise typer.Exit(REFUSED)

    url = f"{gateway.rstrip('/')}/{target}/mcp"
    _run(url, bearer(token_file, token, url), ask)


async def _call(line: _Line, tool: str, arguments: dict[str, object], *, wait: bool) -> CallToolResult:
    """Call a tool, and say what it waits for as soon as it does: a call that is held says nothing for so long."""
    from mcp.shared.exceptions import MCPError

    line.http.headers["prefer"] = "respond-async"
    try:
        return await line.client.call_tool(tool, arguments)
    except MCPError:
        # The SDK takes a 202 for an error.
        if not line.heard.waits:
            raise
    finally:
        del line.http.headers["prefer"]
    if not wait:
        raise stop(line.heard.waits, REFUSED)
    # Who ends the command while it waits hangs up, and takes the question back.
    told, line.heard.waits = line.heard.waits, ""
    typer.echo(f"{visible(told)} (or wait here; Ctrl-C takes it back)", err=True)
    line.http.timeout = _HELD_S
    answer = await line.client.call_tool(tool, arguments, read_timeout_seconds=_HELD_S)
    if answer.is_error:
        line.heard.waits = told
    return answer


def _message(body: bytes) -> str:
    """What the answer to a call that waits says of it; empty when it is none."""
    try:
        document = json.loads(body)
    except ValueError:
        return ""
    message = document.get("message") if isinstance(document, dict) else None
    return message if isinstance(message, str) else ""


def _print_json(console: Console, text: str) -> None:
    console.print_json(text, ensure_ascii=not text.isprintable())


def _parse(arguments: list[str]) -> dict[str, object]:
    parsed: dict[str, object] = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals or not name or name in parsed:
            raise stop(f"{name!r} is not name=value, or stands twice: write for example customer_id=7", USAGE)
        try:
            parsed[name] = json.loads(value)
        except ValueError:
            parsed[name] = value
    return parsed


def _run(url: str, token: str, ask: Callable[[_Line], Awaitable[None]]) -> None:
    """Connect and ask; what goes wrong becomes one line and an exit code."""
    try:
        # Here, not at the top: the SDK is an extra, and slow to import for every other command.
        import httpx2
        from mcp.shared.exceptions import MCPError
    except ImportError:
        raise stop("this command needs the MCP SDK: pip install 'countersign[demo]'", USAGE) from None

    heard = _Heard()
    try:
        asyncio.run(_ask(url, token, ask, heard))
    except Exception as error:
        cause = _innermost(error)
        if isinstance(cause, typer.Exit):
            raise cause from None
        if isinstance(cause, MCPError):
            status = f" (HTTP {heard.statuses[-1]})" if heard.statuses else ""
            raise stop(f"refused: {cause.error.message}{status}", REFUSED) from None
        if isinstance(cause, httpx2.TransportError | TimeoutError):
            raise stop(f"{url} does not answer: is the gateway up?", UNREACHABLE) from None
        raise


async def _ask(url: str, token: str, ask: Callable[[_Line], Awaitable[None]], heard: _Heard) -> None:
    import httpx2
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    headers = {"authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(headers=headers, timeout=_TIMEOUT_S, event_hooks={"response": [heard.note]}) as http:
        way = streamable_http_client(url, http_client=http, terminate_on_close=False)
        try:
            async with Client(way, read_timeout_seconds=_TIMEOUT_S) as client:
                await ask(_Line(client, http, heard))
        finally:
            # To end a session takes back what waits in it.
            if heard.session and not heard.waits:
                with suppress(httpx2.HTTPError):
                    await http.delete(url, headers={"mcp-session-id": heard.session})


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
