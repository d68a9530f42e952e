"""Tasks (extension ``io.modelcontextprotocol/tasks``, SEP-2663), which the Python SDK leaves to its servers."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.shared.exceptions import MCPError

EXTENSION = "io.modelcontextprotocol/tasks"
TTL_MS = 600_000
POLL_MS = 100
BRIEFLY_S = 0.2


class ByTask(types.RequestParams):
    """Params that name a task."""

    task_id: str


class Update(ByTask):
    """Params of ``tasks/update``."""

    input_responses: dict[str, Any]


@dataclass
class Task:
    """One task; how it stands follows from the time and from what it still waits for."""

    due_s: float
    answer: Mapping[str, Any]
    error: Mapping[str, Any] | None
    asks: dict[str, Any]
    task_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat())
    cancelled: bool = False

    @property
    def status(self) -> str:
        if self.cancelled:
            return "cancelled"
        if self.asks:
            return "input_required"
        if time.monotonic() < self.due_s:
            return "working"
        return "failed" if self.error is not None else "completed"

    @property
    def stands(self) -> dict[str, Any]:
        """What every result about it holds."""
        return {
            "taskId": self.task_id,
            "status": self.status,
            "createdAt": self.created,
            "lastUpdatedAt": datetime.now(UTC).isoformat(),
            "ttlMs": TTL_MS,
            "pollIntervalMs": POLL_MS,
        }

    @property
    def details(self) -> dict[str, Any]:
        """What ``tasks/get`` tells."""
        told = {"resultType": "complete", **self.stands}
        if told["status"] == "completed":
            told["result"] = self.answer
        elif told["status"] == "failed":
            told["error"] = self.error
        elif told["status"] == "input_required":
            told["inputRequests"] = self.asks
        return told


@dataclass
class Tasks:
    """All tasks of this process."""

    kept: dict[str, Task] = field(default_factory=dict)

    def serve(self, server: Server[Any]) -> None:
        """Declare the extension, and answer its requests."""
        server.extensions[EXTENSION] = {}
        server.add_request_handler("tasks/get", ByTask, self._get)
        server.add_request_handler("tasks/update", Update, self._update)
        server.add_request_handler("tasks/cancel", ByTask, self._cancel)

    def begin(self, lasts_s: float, tool: Mapping[str, Any], asks: dict[str, Any], answer: Mapping[str, Any]) -> Task:
        """Create a task of that tool."""
        task = Task(time.monotonic() + lasts_s, answer, tool["task"].get("error"), asks)
        self.kept[task.task_id] = task
        return task

    async def _get(self, ctx: ServerRequestContext[Any, Any], params: ByTask) -> dict[str, Any]:
        return self._of(ctx, params).details

    async def _update(self, ctx: ServerRequestContext[Any, Any], params: Update) -> dict[str, Any]:
        task = self._of(ctx, params)
        task.asks = {key: ask for key, ask in task.asks.items() if key not in params.input_responses}
        return {"resultType": "complete"}

    async def _cancel(self, ctx: ServerRequestContext[Any, Any], params: ByTask) -> dict[str, Any]:
        task = self._of(ctx, params)
        task.cancelled = task.cancelled or task.status in ("working", "input_required")
        return {"resultType": "complete"}

    def _of(self, ctx: ServerRequestContext[Any, Any], params: ByTask) -> Task:
        require(ctx)
        task = self.kept.get(params.task_id)
        if task is None:
            raise MCPError(types.INVALID_PARAMS, "Unknown task")
        return task


def declared(ctx: ServerRequestContext[Any, Any]) -> bool:
    """Whether the client declares the extension on this request."""
    capabilities = ctx.session.client_capabilities
    return capabilities is not None and EXTENSION in (capabilities.extensions or {})


def require(ctx: ServerRequestContext[Any, Any]) -> None:
    """Raise what clients get that do not declare the extension."""
    if not declared(ctx):
        data: Mapping[str, Any] = {"requiredCapabilities": {"extensions": {EXTENSION: {}}}}
        raise MCPError(types.MISSING_REQUIRED_CLIENT_CAPABILITY, "This needs a client with tasks", data)
