"""Real targets that keep a journal: what they were told to do, as they understood it."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server

from countersign.demo.serving import ThreadedServer
from countersign.runtime.moments import now_us
from tests.support.node import FOLDER, NODE

Context = ServerRequestContext[Any, Any]


@dataclass(frozen=True, slots=True)
class Executed:
    """One call that a target executed. ``arguments`` is its JSON text with keys in order and all numbers doubles."""

    method: str
    name: str
    arguments: str
    at_us: int


class Target(Protocol):
    """A target that runs."""

    @property
    def url(self) -> str:
        """Its endpoint."""

    def executed(self) -> list[Executed]:
        """All calls that it executed, in order."""


def canonical(arguments: Any) -> str:
    """One text for each value; numbers are what JavaScript makes of them, as it has no others."""
    return json.dumps(
        json.loads(arguments if isinstance(arguments, str) else json.dumps(arguments), parse_int=float), sort_keys=True
    )


@dataclass(slots=True)
class PythonTarget:
    """A server on the official Python SDK, on a thread of this process."""

    url: str = ""
    calls: list[Executed] = field(default_factory=list)

    def executed(self) -> list[Executed]:
        """See :class:`Target`."""
        return list(self.calls)

    def add(self, method: str, name: str, arguments: Mapping[str, Any] | None) -> None:
        """Write to the journal."""
        self.calls.append(Executed(method, name, canonical(arguments), now_us()))


@contextmanager
def python_target() -> Iterator[PythonTarget]:
    """Run it."""
    target = PythonTarget()

    async def call_tool(_: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        target.add("tools/call", params.name, params.arguments)
        return types.CallToolResult(content=[types.TextContent(type="text", text="done")])

    async def get_prompt(_: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        target.add("prompts/get", params.name, params.arguments)
        return types.GetPromptResult(messages=[])

    async def read_resource(_: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        target.add("resources/read", str(params.uri), None)
        return types.ReadResourceResult(contents=[])

    server: Server[Any] = Server(
        "python", on_call_tool=call_tool, on_get_prompt=get_prompt, on_read_resource=read_resource
    )
    with ThreadedServer(server.streamable_http_app(stateless_http=True, json_response=True)) as running:
        target.url = f"{running.url}/mcp"
        yield target


@dataclass(frozen=True, slots=True)
class TypeScriptTarget:
    """A server on the official TypeScript SDK, in a process of its own."""

    url: str
    journal: Path

    def executed(self) -> list[Executed]:
        """See :class:`Target`."""
        lines = [json.loads(line) for line in self.journal.read_text("utf-8").split("\n") if line]
        return [Executed(one["method"], one["name"], canonical(one["arguments"]), one["at_us"]) for one in lines]


@contextmanager
def typescript_target() -> Iterator[TypeScriptTarget]:
    """Run it."""
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder, "journal")
        journal.touch()
        command = [NODE, FOLDER / "differential" / "target.mjs", journal]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                yield TypeScriptTarget(f"http://127.0.0.1:{int(process.stdout.readline())}/mcp", journal)
            finally:
                process.kill()
