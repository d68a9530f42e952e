"""What a client is told of a call that waits for the approval of others, in each way that a client can wait."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from countersign.jsontext import quote
from countersign.mcp.eras import Era
from countersign.mcp.errors import DENIED, WAITING
from countersign.mcp.means import LINK_REQUEST
from countersign.mcp.message import Message, MessageKind
from countersign.mcp.replies import Reply, error_json, error_result, result_json, tool_error_json

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HEADER_VALUE = re.compile(r"[!-~]+")


class TaskStatus(StrEnum):
    """How a task stands; of those that the extension knows, the ones that a wait for approval can be in."""

    WORKING = "working"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Task:
    """A wait for approval as a task. ``text`` says how it stands, and, at its end, what the caller should do.

    Times are microseconds since the epoch; ``ttl_ms`` is for how long after ``created_us`` it is known.
    """

    id: str
    status: TaskStatus
    text: str
    created_us: int
    updated_us: int
    ttl_ms: int
    poll_ms: int


def input_required(message: Message, state: str, url: str = "", text: str = "") -> Reply:
    """Have a modern client make the same request again with ``state`` (MCP 2026-07-28, multi round-trip requests).

    With a ``url``, the client first shows a person ``text`` and asks whether to open it: only for clients that said
    they can (``Means.elicits_urls``), and once in a chain of rounds, since they ask each time.
    """
    asks = ""
    if url:
        params = f'{{"mode":"url","message":{quote(text)},"url":{quote(url)}}}'
        asks = f',"inputRequests":{{"{LINK_REQUEST}":{{"method":"elicitation/create","params":{params}}}}}'
    result = f'{{"resultType":"input_required","requestState":{quote(state)}{asks}}}'
    return Reply(200, result_json(message.id_json, result).encode())


def waiting_result(message: Message, text: str) -> Reply:
    """End this request with a text that says what it waits for: the model or person behind it is to call again.

    ``tools/call`` gets a tool result with ``isError``, another request a JSON-RPC error, both with status 200. What
    awaits no message gets 403: nothing was done, and nobody could be told later.
    """
    if message.kind is not MessageKind.REQUEST:
        return Reply(403, error_json("", WAITING, text).encode())
    return Reply(200, tool_error_json(message, text, WAITING).encode())


def task_started(message: Message, task: Task) -> Reply:
    """Answer a request by a task to ask about, to a client that takes tasks (the Tasks extension)."""
    return Reply(200, result_json(message.id_json, _task_json(task, "task")).encode())


def task_state(message: Message, task: Task) -> Reply:
    """Answer ``tasks/get``. At its end the task holds a tool result with ``isError``, or an error, with its text.

    A completed wait is no completed call: its result says that the call may now be made.
    """
    end = ""
    if task.status is TaskStatus.COMPLETED:
        end = f',"result":{error_result(task.text, Era.MODERN)}'
    elif task.status is TaskStatus.FAILED:
        end = f',"error":{{"code":{DENIED},"message":{quote(task.text)}}}'
    return Reply(200, result_json(message.id_json, _task_json(task, "complete", end)).encode())


def task_acknowledged(message: Message) -> Reply:
    """Answer ``tasks/cancel`` or ``tasks/update``."""
    return Reply(200, result_json(message.id_json, '{"resultType":"complete"}').encode())


def accepted_later(location: str, retry_after_s: int, text: str) -> Reply:
    """Answer 202 to a client that prefers not to wait: where to look, and when to make the same call again.

    RFC 9110 section 15.3.3, RFC 7240 section 3. Raises ``ValueError`` for a location that is not visible ASCII.
    """
    if not _HEADER_VALUE.fullmatch(location):
        raise ValueError("a location must be visible ASCII")
    headers = (
        ("location", location),
        ("retry-after", str(retry_after_s)),
        ("preference-applied", "respond-async"),
    )
    body = json.dumps({"status": "waiting", "message": text, "location": location}, ensure_ascii=False)
    return Reply(202, body.encode(), headers=headers)


def _task_json(task: Task, result_type: str, end: str = "") -> str:
    return (
        f'{{"resultType":"{result_type}","taskId":{quote(task.id)},"status":"{task.status.value}",'
        f'"statusMessage":{quote(task.text)},"createdAt":"{_time(task.created_us)}",'
        f'"lastUpdatedAt":"{_time(task.updated_us)}","ttlMs":{task.ttl_ms},"pollIntervalMs":{task.poll_ms}{end}}}'
    )


def _time(at_us: int) -> str:
    """Write a time as ISO 8601 in UTC, to the millisecond."""
    at = _EPOCH + timedelta(microseconds=at_us)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"
