"""MCP over HTTP, read strictly in both protocol eras, and the answers that the gateway itself gives. Pure."""

from countersign.mcp.eras import Era
from countersign.mcp.errors import DENIED, AnswerRefused, Failure, McpRefused
from countersign.mcp.message import Message, MessageKind
from countersign.mcp.replies import Reply, denied, denied_batch, failed, refused
from countersign.mcp.request import HttpRequest, Request, read_request

__all__ = [
    "DENIED",
    "AnswerRefused",
    "Era",
    "Failure",
    "HttpRequest",
    "McpRefused",
    "Message",
    "MessageKind",
    "Reply",
    "Request",
    "denied",
    "denied_batch",
    "failed",
    "read_request",
    "refused",
]
