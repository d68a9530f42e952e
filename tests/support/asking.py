"""A real MCP server whose tools ask their client: for a form, a model, its roots; and in rounds in the modern era."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import mcp_types as types
from mcp.server.mcpserver import Context, MCPServer
from pydantic import BaseModel

from countersign.demo.serving import ThreadedServer

_FORM = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


class Form(BaseModel):
    """What a person fills in."""

    name: str


@dataclass
class Asking:
    """A running server: its endpoint, and what it was told by those whom it asked."""

    url: str = ""
    told: list[str] = field(default_factory=list)


def server(asking: Asking) -> MCPServer:
    """The server, with the official SDK."""
    app: MCPServer = MCPServer("asking", version="1", log_level="WARNING")

    @app.tool()
    async def fill(ctx: Context) -> str:
        """Have a person fill in a form."""
        answer = await ctx.elicit("Who are you?", Form)
        asking.told.append(answer.data.name if answer.action == "accept" else answer.action)
        return f"hello {asking.told[-1]}"

    @app.tool()
    async def think(ctx: Context) -> str:
        """Ask the client's model."""
        said = types.SamplingMessage(role="user", content=types.TextContent(type="text", text="Think."))
        thought = await ctx.session.create_message([said], max_tokens=10, related_request_id=ctx.request_id)
        return f"thought {getattr(thought.content, 'text', '')}"

    @app.tool()
    async def folders(ctx: Context) -> str:
        """Ask for the client's roots, on the stream that it listens to beside its calls."""
        return ", ".join(str(root.uri) for root in (await ctx.session.list_roots()).roots)

    @app.tool()
    async def rounds(ctx: Context) -> str | types.InputRequiredResult:
        """Ask in rounds, with a state that only this server reads."""
        if ctx.request_state is None:
            ask = {
                "method": "elicitation/create",
                "params": {"mode": "form", "message": "Who?", "requestedSchema": _FORM},
            }
            return types.InputRequiredResult.model_validate(
                {"resultType": "input_required", "inputRequests": {"who": ask}, "requestState": "first round"}
            )
        content = getattr((ctx.input_responses or {})["who"], "content", None) or {}
        asking.told.append(str(content.get("name")))
        return f"{ctx.request_state}: {asking.told[-1]}"

    return app


@contextmanager
def asking_server() -> Iterator[Asking]:
    """Run it on a thread of its own."""
    asking = Asking()
    with ThreadedServer(server(asking).streamable_http_app(streamable_http_path="/mcp")) as running:
        asking.url = f"{running.url}/mcp"
        yield asking
