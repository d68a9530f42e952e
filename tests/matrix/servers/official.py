"""A server on the official Python SDK that offers everything the SDK has."""

from __future__ import annotations

import base64
from typing import Annotated

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.resolve import Elicit, ListRoots, Resolve, Sample
from mcp.server.streamable_http import EventStore
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CallToolResult,
    Completion,
    CompletionArgument,
    CompletionContext,
    CreateMessageResult,
    EmbeddedResource,
    ImageContent,
    ListRootsResult,
    PromptReference,
    ResourceLink,
    ResourceTemplateReference,
    SamplingMessage,
    TextContent,
    TextResourceContents,
)
from starlette.applications import Starlette

from tests.matrix.servers.kept import LETTER, PICTURE, Asked, Contact, Ended, Events, Ledger, contact, ledger


def app() -> Starlette:
    """The server as an application; its endpoint is ``/mcp``."""
    server = MCPServer(
        "official", log_level="CRITICAL", title="The official SDK's", instructions="Ask for the ledger.", version="7"
    )
    _tools(server)
    _asking(server)
    _streams(server)
    _contents(server)
    app = server.streamable_http_app(event_store=Events(), retry_interval=50)
    # Streams go by the id of their request, so that sessions which share a store would be given each other's events.
    server.session_manager.__class__ = _Sessions
    return app


class _Sessions(StreamableHTTPSessionManager):
    @property
    def event_store(self) -> EventStore:
        return Events()

    @event_store.setter
    def event_store(self, _: EventStore | None) -> None: ...


def _tools(server: MCPServer[object]) -> None:
    @server.tool(title="Echo", description="Says what it is told: ä€名.")
    def echo(text: str) -> str:
        return text

    @server.tool(name="rows", description="The ledger.")
    def rows(count: int) -> Ledger:
        return ledger(count)

    @server.tool(name="contact")
    def of_somebody() -> Contact:
        return contact()

    @server.tool(structured_output=False)
    def large(kib: int) -> str:
        return (LETTER + " ") * (kib * 1024 // len(LETTER.encode()))

    @server.tool(structured_output=False)
    def nothing() -> CallToolResult:
        return CallToolResult(content=[])

    @server.tool()
    def fails() -> str:
        raise ToolError("the shelf is empty")

    @server.tool()
    def refuses() -> str:
        raise MCPError(1234, "not on a Sunday", {"day": "Sunday", "tries": [1, 2]})

    @server.tool(structured_output=False)
    def shapes() -> CallToolResult:
        picture = ImageContent(type="image", data=base64.b64encode(PICTURE).decode(), mime_type="image/png")
        link = ResourceLink(type="resource_link", name="letter", uri="archive://letter", description="A letter")
        inside = TextResourceContents(uri="archive://letter", mime_type="text/plain", text=LETTER)
        return CallToolResult(
            content=[TextContent(type="text", text=LETTER), picture, link, EmbeddedResource(resource=inside)],
            _meta={"example.org/kept": {"deep": [1, None, True]}},
        )


async def favourite() -> Elicit[Asked]:
    return Elicit("Which colour, and how many?", Asked)


async def sampled() -> Sample:
    content = TextContent(type="text", text="Write one line about keys.")
    return Sample([SamplingMessage(role="user", content=content)], max_tokens=30)


async def places() -> ListRoots:
    return ListRoots()


def _asking(server: MCPServer[object]) -> None:
    @server.tool()
    def asks(answer: Annotated[Asked, Resolve(favourite)]) -> str:
        return f"{answer.count} of {answer.colour}"

    @server.tool()
    def samples(answer: Annotated[CreateMessageResult, Resolve(sampled)]) -> str:
        return answer.model_dump_json(exclude_none=True)

    @server.tool()
    def roots(answer: Annotated[ListRootsResult, Resolve(places)]) -> str:
        return " ".join(str(root.uri) for root in answer.roots)


def _streams(server: MCPServer[object]) -> None:
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
    async def updates(ctx: Context) -> str:
        await ctx.session.send_tool_list_changed()
        await ctx.notify_tools_changed()
        await ctx.session.send_resource_updated("archive://letter")
        await ctx.notify_resource_updated("archive://letter")
        return "told"

    @server.tool()
    async def drops(ctx: Context) -> str:
        await ctx.info("before")
        await ctx.close_sse_stream()
        await ctx.info("while nobody listens")
        return "resumed"


def _contents(server: MCPServer[object]) -> None:
    @server.resource("archive://letter", title="A letter", mime_type="text/plain")
    def letter() -> str:
        return LETTER

    @server.resource("archive://picture", mime_type="image/png")
    def picture() -> bytes:
        return PICTURE

    @server.resource("archive://shelf/{number}", name="shelf")
    def shelf(number: str) -> str:
        return f"shelf {number}"

    @server.prompt(title="Grüße", description="A greeting for somebody")
    def greet(name: str, tone: str = "warm") -> str:
        return f"Greet {name} in a {tone} tone: {LETTER}"

    @server.completion()  # type: ignore[no-untyped-call,untyped-decorator]
    async def complete(
        ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        context: CompletionContext | None,
    ) -> Completion:
        kept = ["warm", "wary", "cold"] if isinstance(ref, PromptReference) else ["1", "12", "2"]
        values = [each for each in kept if each.startswith(argument.value)]
        return Completion(values=values, total=len(values), has_more=False)
