"""A server on fastmcp, with lists in pages."""

from __future__ import annotations

from typing import Any

from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.tools import ToolResult
from fastmcp.utilities.types import Image
from mcp_types import (
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    InputRequiredResult,
    ListRootsRequest,
    SamplingMessage,
    TextContent,
)

from tests.matrix.servers.kept import LETTER, PICTURE, Asked, Ended, Events, Ledger, ledger

PAGE = 4


def app() -> Any:
    """The server as an application; its endpoint is ``/mcp``."""
    server = FastMCP("fast", instructions="Ask for the ledger.", version="7", list_page_size=PAGE)
    _tools(server)
    _asking(server)
    _streams(server)
    _contents(server)
    return server.http_app(path="/mcp", event_store=Events(), retry_interval=50)


def _tools(server: FastMCP[Any]) -> None:
    @server.tool(title="Echo", description="Says what it is told: ä€名.")
    def echo(text: str) -> str:
        return text

    @server.tool(name="rows", description="The ledger.", tags={"money"})
    def rows(count: int) -> Ledger:
        return ledger(count)

    @server.tool(output_schema=None)
    def large(kib: int) -> str:
        return (LETTER + " ") * (kib * 1024 // len(LETTER.encode()))

    @server.tool(output_schema=None)
    def nothing() -> None:
        return None

    @server.tool()
    def fails() -> str:
        raise ToolError("the shelf is empty")

    @server.tool(output_schema=None)
    def shapes() -> ToolResult:
        content = [TextContent(type="text", text=LETTER), Image(data=PICTURE, format="png").to_image_content()]
        return ToolResult(content=content, meta={"example.org/kept": {"deep": [1, None, True]}})


def _asking(server: FastMCP[Any]) -> None:
    modern = "2026-07-28"

    @server.tool()
    async def asks(ctx: Context) -> str | InputRequiredResult:
        text = "Which colour, and how many?"
        if ctx.request_context is None or ctx.request_context.protocol_version != modern:
            answer = await ctx.elicit(text, Asked)
            return f"{answer.action}: {getattr(answer, 'data', None)}"
        if ctx.input_responses is None:
            params = ElicitRequestFormParams(message=text, requested_schema=Asked.model_json_schema())
            return InputRequiredResult(input_requests={"one": ElicitRequest(params=params)}, request_state="état")
        return f"{ctx.request_state}: {ctx.input_responses['one'].model_dump_json(exclude_none=True)}"

    @server.tool()
    async def samples(ctx: Context) -> str | InputRequiredResult:
        said = SamplingMessage(role="user", content=TextContent(type="text", text="Write one line about keys."))
        if ctx.request_context is None or ctx.request_context.protocol_version != modern:
            answer = await ctx.session.create_message([said], max_tokens=30, related_request_id=ctx.request_id)
            return answer.model_dump_json(exclude_none=True)
        if ctx.input_responses is None:
            asked = CreateMessageRequest(params=CreateMessageRequestParams(messages=[said], max_tokens=30))
            return InputRequiredResult(input_requests={"one": asked}, request_state="2")
        return ctx.input_responses["one"].model_dump_json(exclude_none=True)

    @server.tool()
    async def roots(ctx: Context) -> str | InputRequiredResult:
        if ctx.request_context is None or ctx.request_context.protocol_version != modern:
            return (await ctx.session.list_roots()).model_dump_json(exclude_none=True)
        if ctx.input_responses is None:
            return InputRequiredResult(input_requests={"one": ListRootsRequest()}, request_state="3")
        return ctx.input_responses["one"].model_dump_json(exclude_none=True)


def _streams(server: FastMCP[Any]) -> None:
    import anyio

    ended = Ended()

    @server.tool()
    async def counts(ctx: Context, to: int) -> str:
        for at in range(1, to + 1):
            await ctx.report_progress(at, to, f"step {at} läuft: 名")
            await ctx.info(f"at {at}")
        return f"counted to {to}"

    @server.tool()
    async def waits(ctx: Context, tag: str) -> str:
        await ctx.report_progress(1, 2, "waiting")
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            ended.tags.add(tag)
            raise
        return "never"

    @server.tool()
    def was_cancelled(tag: str) -> bool:
        return tag in ended.tags

    @server.tool()
    async def drops(ctx: Context) -> str:
        await ctx.info("before")
        await ctx.close_sse_stream()
        await ctx.info("while nobody listens")
        return "resumed"


def _contents(server: FastMCP[Any]) -> None:
    @server.resource("archive://letter", title="A letter", mime_type="text/plain")
    def letter() -> str:
        return LETTER

    @server.resource("archive://picture", mime_type="image/png")
    def picture() -> bytes:
        return PICTURE

    @server.resource("archive://shelf/{number}", name="shelf")
    def shelf(number: str) -> str:
        return f"shelf {number}"

    for at in range(2 * PAGE):
        server.prompt(name=f"letter {at} — straße", description=f"Letter {at}")(_letter)

    @server.prompt(title="Grüße", description="A greeting for somebody")
    def greet(name: str, tone: str = "warm") -> str:
        return f"Greet {name} in a {tone} tone: {LETTER}"


def _letter() -> str:
    return LETTER
