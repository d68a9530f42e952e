"""`countersign tools list` and `countersign call`: be an MCP client of the gateway from the command line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
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
    from mcp import Client

_TIMEOUT_S = 60.0

Target = Annotated[str, typer.Option(help="The target's name in gateway.yaml.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the whole answer as JSON.")]


def register(app: typer.Typer) -> None:
    """Add ``call`` to the ``countersign`` command."""
    app.command("call")(call)


def list_tools(
    target: Target = "orders",
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """List the tools of a target that you may call."""
    console = Console()

    async def ask(client: Client) -> None:
        listed = await client.list_tools()
        if as_json:
            _print_json(console, listed.model_dump_json(by_alias=True, exclude_none=True))
            return
        for tool in listed.tools:
            # A target wrote both: neither markup nor a terminal's controls of its own.
            described = " ".join(visible(line) for line in (tool.description or "").splitlines())
            console.print(Text(visible(tool.name), "bold"), Text(described), soft_wrap=True)

    _run(f"{gateway.rstrip('/')}/{target}/mcp", bearer(token_file, token), ask)


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
) -> None:
    """Call a tool of a target through the gateway and print what it answers."""
    console = Console()
    parsed = _parse(arguments or [])

    async def ask(client: Client) -> None:
        answer = await client.call_tool(tool, parsed)
        if as_json:
            _print_json(console, answer.model_dump_json(by_alias=True, exclude_none=True))
        elif answer.structured_content is not None:
            _print_json(console, json.dumps(answer.structured_content, ensure_ascii=False))
        else:
            for block in answer.content:
                text = block.text if block.type == "text" else block.model_dump_json()
                # A target wrote it: of what a terminal obeys, only the ends of lines.
                for line in text.split("\n"):
                    console.print(visible(line), markup=False, highlight=False, soft_wrap=True)
        if answer.is_error:
            raise typer.Exit(REFUSED)

    _run(f"{gateway.rstrip('/')}/{target}/mcp", bearer(token_file, token), ask)


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


def _run(url: str, token: str, ask: Callable[[Client], Awaitable[None]]) -> None:
    """Connect and ask; what goes wrong becomes one line and an exit code."""
    try:
        # Here, not at the top: the SDK is an extra, and slow to import for every other command.
        import httpx2
        from mcp.shared.exceptions import MCPError
    except ImportError:
        raise stop("this command needs the MCP SDK: pip install 'countersign[demo]'", USAGE) from None

    statuses: list[int] = []
    try:
        asyncio.run(_ask(url, token, ask, statuses))
    except Exception as error:
        cause = _innermost(error)
        if isinstance(cause, typer.Exit):
            raise cause from None
        if isinstance(cause, MCPError):
            status = f" (HTTP {statuses[-1]})" if statuses else ""
            raise stop(f"refused: {cause.error.message}{status}", REFUSED) from None
        if isinstance(cause, httpx2.TransportError | TimeoutError):
            raise stop(f"{url} does not answer: is the gateway up?", UNREACHABLE) from None
        raise


async def _ask(url: str, token: str, ask: Callable[[Client], Awaitable[None]], statuses: list[int]) -> None:
    import httpx2
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    async def note(response: httpx2.Response) -> None:
        # The SDK's errors do not say which status made them.
        if response.status_code >= 400:
            statuses.append(response.status_code)

    headers = {"authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=_TIMEOUT_S, event_hooks={"response": [note]}) as http,
        Client(streamable_http_client(url, http_client=http), read_timeout_seconds=_TIMEOUT_S) as client,
    ):
        await ask(client)


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
