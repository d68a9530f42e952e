"""What the gateway itself answers to an MCP client: statuses and bodies, with the id given back as it came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from countersign.jsontext import quote
from countersign.mcp.eras import Era
from countersign.mcp.errors import DENIED, Failure, McpRefused
from countersign.mcp.message import Message, MessageKind

JSON_TYPE = "application/json"
EVENTS_TYPE = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole HTTP reply; ``headers`` are those besides ``content_type``."""

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    headers: tuple[tuple[str, str], ...] = ()


def refused(refusal: McpRefused) -> Reply:
    """Answer a malformed request with the refusal's own status, code and message."""
    headers = (("allow", refusal.allow),) if refusal.allow else ()
    body = error_json(refusal.id_json, refusal.code, refusal.message, refusal.data_json)
    return Reply(refusal.status, body.encode(), headers=headers)


def failed(failure: Failure, text: str, id_json: str = "") -> Reply:
    """Answer a call that nobody denied but that could not be made. ``text`` must be safe to show."""
    return Reply(failure.status, error_json(id_json, failure.code, text).encode())


def denied(message: Message, text: str) -> Reply:
    """Answer a message that a rule denied; ``text`` is the rule's message or a general one.

    ``tools/call`` gets a tool result with ``isError``, which models and people see; another request a JSON-RPC error.
    Both have status 200, so that clients read the body. What awaits no message gets 403, and never a false 202.
    """
    if message.kind is not MessageKind.REQUEST:
        return Reply(403, error_json("", DENIED, text).encode())
    return Reply(200, tool_error_json(message, text, DENIED).encode())


def denied_batch(messages: Sequence[Message], text: str) -> Reply:
    """Answer a batch of which some message was denied: none of it is sent, and each of its requests is told so."""
    denials = [tool_error_json(message, text, DENIED) for message in messages if message.kind is MessageKind.REQUEST]
    if not denials:
        return Reply(403, error_json("", DENIED, text).encode())
    return Reply(200, f"[{','.join(denials)}]".encode())


def tool_error_json(message: Message, text: str, code: int) -> str:
    """Write what a request is told instead of its result: of a tool a result with ``isError``, else an error."""
    if message.call is None or message.call.method != "tools/call":
        return error_json(message.id_json, code, text)
    return result_json(message.id_json, error_result(text, message.era))


def error_result(text: str, era: Era) -> str:
    """Write the result of a tool that could not do what it was asked, as the models that called it read it."""
    result_type = ',"resultType":"complete"' if era is Era.MODERN else ""
    return f'{{"content":[{{"type":"text","text":{quote(text)}}}],"isError":true{result_type}}}'


def result_json(id_json: str, result: str) -> str:
    """Write the response that carries this result, a JSON text."""
    return f'{{"jsonrpc":"2.0","id":{id_json},"result":{result}}}'


def error_json(id_json: str, code: int, text: str, data_json: str = "") -> str:
    """Write the response that carries an error; a request whose id was not read is answered with ``null``."""
    data = f',"data":{data_json}' if data_json else ""
    error = f'{{"code":{code},"message":{quote(text)}{data}}}'
    return f'{{"jsonrpc":"2.0","id":{id_json or "null"},"error":{error}}}'
