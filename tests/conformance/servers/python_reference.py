"""The reference server on the official Python SDK, both eras, at `/mcp` of 127.0.0.1:PORT.

What it offers stands in offered.json, for the reference server on the TypeScript SDK as well; here is what is done with
it. Run as a process of its own: `python -m tests.conformance.servers.python_reference PORT`.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mcp_types as types
import uvicorn
from mcp.server.context import HandlerResult, ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, PromptsListChanged, ToolsListChanged
from mcp.shared.exceptions import MCPError
from pydantic import TypeAdapter

from tests.conformance.servers.python_tasks import BRIEFLY_S, Tasks, declared
from tests.conformance.servers.python_tasks import require as require_tasks

NAME = "python-reference"
RETRY_MS = 100
PAUSE_S = 0.02
CLOSED_S = 0.2

Context = ServerRequestContext[Any, Any]
Entry = Mapping[str, Any]

_TOOL = ("name", "description", "inputSchema")
_PROMPT = ("name", "description", "arguments")
_RESOURCE = ("uri", "name", "description", "mimeType")
_TEMPLATE = ("uriTemplate", "name", "description", "mimeType")
_CAPABILITY = {"elicitation/create": "elicitation", "sampling/createMessage": "sampling", "roots/list": "roots"}
_REQUESTS: TypeAdapter[types.InputRequest] = TypeAdapter(types.InputRequest)


class Kept(EventStore):
    """Every event of every stream, so that a client that comes back can be told what it missed."""

    def __init__(self) -> None:
        self._events: list[tuple[str, types.JSONRPCMessage | None]] = []

    async def store_event(self, stream_id: str, message: types.JSONRPCMessage | None) -> str:
        self._events.append((stream_id, message))
        return str(len(self._events))

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        seen = int(last_event_id)
        stream = self._events[seen - 1][0]
        for number, (of, message) in enumerate(self._events[seen:], seen + 1):
            if of == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


@dataclass
class Reference:
    """Answers requests as offered.json says."""

    offered: Mapping[str, Sequence[Entry]]
    bus: InMemorySubscriptionBus = field(default_factory=InMemorySubscriptionBus)
    tasks: Tasks = field(default_factory=Tasks)

    async def list_tools(self, ctx: Context, params: object) -> types.ListToolsResult:
        return types.ListToolsResult.model_validate({"tools": _listed(self.offered["tools"], _TOOL)})

    async def list_prompts(self, ctx: Context, params: object) -> types.ListPromptsResult:
        return types.ListPromptsResult.model_validate({"prompts": _listed(self.offered["prompts"], _PROMPT)})

    async def list_resources(self, ctx: Context, params: object) -> types.ListResourcesResult:
        return types.ListResourcesResult.model_validate({"resources": _listed(self.offered["resources"], _RESOURCE)})

    async def list_templates(self, ctx: Context, params: object) -> types.ListResourceTemplatesResult:
        templates = _listed(self.offered["templates"], _TEMPLATE)
        return types.ListResourceTemplatesResult.model_validate({"resourceTemplates": templates})

    async def call_tool(self, ctx: Context, params: types.CallToolRequestParams) -> HandlerResult:
        tool = _named(self.offered["tools"], params.name)
        _require(ctx, tool)
        if (more := _next_round(ctx, tool, params)) is not None:
            return more
        if "asks" in tool:
            return types.CallToolResult.model_validate({"content": [await _ask(ctx, tool["asks"], params.arguments)]})
        await self._meanwhile(ctx, tool)
        given = {**(params.arguments or {}), **_answered(params)}
        answer = _filled(tool["answer"], given)
        if (about := tool.get("task")) is not None and (about.get("required") or declared(ctx)):
            require_tasks(ctx)
            lasts_s = float(given.get(about.get("lasts"), BRIEFLY_S))
            task = self.tasks.begin(lasts_s, tool, _filled(about.get("ask", {}), given), answer)
            return {"resultType": "task", **task.stands}
        return types.CallToolResult.model_validate(answer)

    async def _meanwhile(self, ctx: Context, tool: Entry) -> None:
        for message in tool.get("logs", ()):
            await ctx.session.send_log_message("info", message, NAME, related_request_id=ctx.request_id)
            await asyncio.sleep(PAUSE_S)
        for step in tool.get("progress", ()):
            await ctx.session.report_progress(step, 100)
            await asyncio.sleep(PAUSE_S)
        if tool.get("closes") and ctx.close_sse_stream is not None:
            await ctx.close_sse_stream()
            await asyncio.sleep(CLOSED_S)
        if "changes" in tool:
            await self.bus.publish(ToolsListChanged() if tool["changes"] == "tools" else PromptsListChanged())

    async def get_prompt(
        self, ctx: Context, params: types.GetPromptRequestParams
    ) -> types.GetPromptResult | types.InputRequiredResult:
        prompt = _named(self.offered["prompts"], params.name)
        if (more := _next_round(ctx, prompt, params)) is not None:
            return more
        return types.GetPromptResult.model_validate({"messages": _filled(prompt["messages"], params.arguments or {})})

    async def read_resource(self, ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        uri = str(params.uri)
        for resource in self.offered["resources"]:
            if resource["uri"] == uri:
                return _contents({key: resource[key] for key in ("uri", "mimeType", "text", "blob") if key in resource})
        for template in self.offered["templates"]:
            before, _, after = template["uriTemplate"].partition("{id}")
            if uri.startswith(before) and uri.endswith(after):
                text = _filled(template["text"], {"id": uri[len(before) : len(uri) - len(after)]})
                return _contents({"uri": uri, "mimeType": template["mimeType"], "text": text})
        raise MCPError(types.INVALID_PARAMS, "Resource not found", {"uri": uri})

    async def complete(self, ctx: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        return types.CompleteResult(completion=types.Completion(values=["paris", "park", "party"], total=3))

    async def agree(self, ctx: Context, params: object) -> types.EmptyResult:
        return types.EmptyResult()

    def server(self) -> Server[Any]:
        """The SDK's server with all of that."""
        server: Server[Any] = Server(
            NAME,
            version="1.0.0",
            get_tool_input_schema=lambda name: _named(self.offered["tools"], name)["inputSchema"],
            on_list_tools=self.list_tools,
            on_list_prompts=self.list_prompts,
            on_get_prompt=self.get_prompt,
            on_list_resources=self.list_resources,
            on_list_resource_templates=self.list_templates,
            on_read_resource=self.read_resource,
            on_subscribe_resource=self.agree,
            on_unsubscribe_resource=self.agree,
            on_completion=self.complete,
            on_subscriptions_listen=ListenHandler(self.bus),
        )
        server.add_request_handler("tools/call", types.CallToolRequestParams, self.call_tool)
        server.add_request_handler("logging/setLevel", types.SetLevelRequestParams, self.agree)
        self.tasks.serve(server)
        security = RequestStateSecurity(keys=[secrets.token_bytes(32)])
        server.middleware.append(RequestStateBoundary(security, default_audience=NAME))
        return server


def _listed(entries: Sequence[Entry], keys: Sequence[str]) -> list[dict[str, Any]]:
    return [{key: entry[key] for key in keys if key in entry} for entry in entries]


def _named(entries: Sequence[Entry], name: str) -> Entry:
    for entry in entries:
        if entry["name"] == name:
            return entry
    raise MCPError(types.INVALID_PARAMS, f"Unknown name: {name}")


def _declared(ctx: Context) -> set[str]:
    """The client's capabilities, by name."""
    declared = ctx.session.client_capabilities
    return set(declared.model_dump(exclude_none=True)) if declared is not None else set()


def _require(ctx: Context, tool: Entry) -> None:
    need = tool.get("needs")
    if need is not None and need not in _declared(ctx):
        data: Entry = {"requiredCapabilities": {need: {}}}
        raise MCPError(types.MISSING_REQUIRED_CLIENT_CAPABILITY, f"This needs a client with {need}", data)


def _next_round(
    ctx: Context, entry: Entry, params: types.InputResponseRequestParams
) -> types.InputRequiredResult | None:
    """What is still to be asked, if anything: state names the round that the responses are for."""
    rounds = entry.get("rounds", [])
    asked = next((at for at, each in enumerate(rounds) if each.get("state") == params.request_state), 0)
    for each in rounds[asked:]:
        asks = {key: ask for key, ask in each["ask"].items() if _CAPABILITY[ask["method"]] in _declared(ctx)}
        if each is rounds[asked] and asks.keys() <= (params.input_responses or {}).keys():
            continue
        parsed = {key: _REQUESTS.validate_python(ask) for key, ask in asks.items()}
        return types.InputRequiredResult(input_requests=parsed, request_state=each.get("state"))
    return None


def _answered(params: types.InputResponseRequestParams) -> dict[str, Any]:
    """What forms were filled in with, by the key of the request: the first value of each."""
    forms = {
        key: answer for key, answer in (params.input_responses or {}).items() if isinstance(answer, types.ElicitResult)
    }
    return {key: next(iter((form.content or {}).values()), "") for key, form in forms.items()}


async def _ask(ctx: Context, ask: Entry, arguments: Mapping[str, Any] | None) -> types.TextContent:
    """Ask a legacy client, on the stream of the call; what it answers is the text."""
    asked = _filled(ask["params"], arguments or {})
    if ask["method"] == "sampling/createMessage":
        messages = [types.SamplingMessage.model_validate(each) for each in asked["messages"]]
        sampled = await ctx.session.create_message(
            messages, max_tokens=asked["maxTokens"], related_request_id=ctx.request_id
        )
        return types.TextContent(text=f"LLM response: {sampled.model_dump_json(by_alias=True)}")
    answer = await ctx.session.elicit_form(asked["message"], asked["requestedSchema"], ctx.request_id)
    return types.TextContent(
        text=f"Elicitation completed: action={answer.action}, content={json.dumps(answer.content)}"
    )


def _filled(within: Any, values: Mapping[str, Any]) -> Any:
    """The same with `{name}` in its strings replaced."""
    if isinstance(within, str):
        for name, value in values.items():
            within = within.replace(f"{{{name}}}", str(value))
        return within
    if isinstance(within, list):
        return [_filled(each, values) for each in within]
    if isinstance(within, dict):
        return {key: _filled(each, values) for key, each in within.items()}
    return within


def _contents(content: Mapping[str, Any]) -> types.ReadResourceResult:
    return types.ReadResourceResult.model_validate({"contents": [content]})


def main() -> None:
    """Serve until killed; prints one line when connections are accepted."""
    warnings.simplefilter("ignore")  # the SDK calls logging and sampling deprecated: legacy clients have them
    port = int(sys.argv[1])
    offered = json.loads(Path(__file__).with_name("offered.json").read_text("utf-8"))
    app = Reference(offered).server().streamable_http_app(event_store=Kept(), retry_interval=RETRY_MS)

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            print(f"ready: http://127.0.0.1:{port}/mcp", flush=True)

    Server(uvicorn.Config(app, host="127.0.0.1", port=port, access_log=False, log_level="error")).run()


if __name__ == "__main__":
    main()
