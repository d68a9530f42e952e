"""MCP over HTTP, read strictly in both protocol eras, and the answers that the gateway itself gives. Pure."""

from countersign.mcp.answers import Answer, AnswerKind, check_answer, classify
from countersign.mcp.discovery import advertise_tasks
from countersign.mcp.eras import PROTOCOL_META, Era
from countersign.mcp.errors import DENIED, INVALID_PARAMS, INVALID_REQUEST, WAITING, AnswerRefused, Failure, McpRefused
from countersign.mcp.handles import (
    HANDLE_KEYS,
    Handle,
    HandleKind,
    answered_request,
    filter_tasks,
    listed_tasks,
    made_tasks,
    presented_handles,
    related_tasks,
    shown_handles,
    told_task,
)
from countersign.mcp.headers import MAX_EVENT_ID_LENGTH, moved_param_mirrors
from countersign.mcp.listing import (
    CACHEABLE_METHODS,
    LISTING_METHODS,
    ToolPage,
    filter_answer,
    filter_listing,
    listed_tools,
)
from countersign.mcp.means import (
    STATE_MEMBERS,
    Means,
    prefers_async,
    read_means,
    read_state,
    read_task_id,
    undeclared_tasks,
)
from countersign.mcp.message import Message, MessageKind
from countersign.mcp.replies import Reply, denied, denied_batch, failed, refused
from countersign.mcp.request import HttpRequest, Request, read_request
from countersign.mcp.row_values import Unread, frame, text_rows
from countersign.mcp.rows import count_rows
from countersign.mcp.waiting import (
    Task,
    TaskStatus,
    accepted_later,
    input_required,
    task_acknowledged,
    task_started,
    task_state,
    waiting_result,
)

__all__ = [
    "CACHEABLE_METHODS",
    "DENIED",
    "HANDLE_KEYS",
    "INVALID_PARAMS",
    "INVALID_REQUEST",
    "LISTING_METHODS",
    "MAX_EVENT_ID_LENGTH",
    "PROTOCOL_META",
    "STATE_MEMBERS",
    "WAITING",
    "Answer",
    "AnswerKind",
    "AnswerRefused",
    "Era",
    "Failure",
    "Handle",
    "HandleKind",
    "HttpRequest",
    "McpRefused",
    "Means",
    "Message",
    "MessageKind",
    "Reply",
    "Request",
    "Task",
    "TaskStatus",
    "ToolPage",
    "Unread",
    "accepted_later",
    "advertise_tasks",
    "answered_request",
    "check_answer",
    "classify",
    "count_rows",
    "denied",
    "denied_batch",
    "failed",
    "filter_answer",
    "filter_listing",
    "filter_tasks",
    "frame",
    "input_required",
    "listed_tasks",
    "listed_tools",
    "made_tasks",
    "moved_param_mirrors",
    "prefers_async",
    "presented_handles",
    "read_means",
    "read_request",
    "read_state",
    "read_task_id",
    "refused",
    "related_tasks",
    "shown_handles",
    "task_acknowledged",
    "task_started",
    "task_state",
    "text_rows",
    "told_task",
    "undeclared_tasks",
    "waiting_result",
]
