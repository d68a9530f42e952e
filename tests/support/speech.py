"""Every message that MCP's own types let a server send, with a text of one's choice in every place for a text."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import mcp_types as types
from pydantic import BaseModel

# What these hold says what a message is, or whose; it is no place for a text.
_FIXED = {"resultType": "complete", "protocolVersion": "2025-11-25"}
_FILES = {types.BlobResourceContents: "blob", types.ImageContent: "data", types.AudioContent: "data"}
_TASK_RESULTS = (types.CreateTaskResult, types.GetTaskResult, types.ListTasksResult, types.CancelTaskResult)
# Messages of servers whose results another method asks for than `tools/call`.
_ASKED_BY = {
    types.ListPromptsResult: "prompts/list",
    types.ListResourcesResult: "resources/list",
    types.ListResourceTemplatesResult: "resources/templates/list",
    types.ListToolsResult: "tools/list",
    types.ReadResourceResult: "resources/read",
    types.GetPromptResult: "prompts/get",
    types.CompleteResult: "completion/complete",
    types.InitializeResult: "initialize",
    types.DiscoverResult: "server/discover",
}
_DEEPEST = 6

RESULTS: dict[str, type[BaseModel]] = {each.__name__: each for each in (*get_args(types.ServerResult), *_TASK_RESULTS)}
NOTIFICATIONS: dict[str, type[BaseModel]] = {
    each.__name__: each for each in (*get_args(types.ServerNotification), types.TaskStatusNotification)
}
REQUESTS: dict[str, type[BaseModel]] = {each.__name__: each for each in get_args(types.ServerRequest)}


def asked_by(result: str) -> str:
    """The method that asks for a result."""
    return _ASKED_BY.get(RESULTS[result], "tools/call")


def result(name: str, say: Callable[[], str]) -> dict[str, object]:
    """The answer to request 1 with this result."""
    return {"jsonrpc": "2.0", "id": 1, "result": _model(RESULTS[name], say, 0)}


def error(say: Callable[[], str]) -> dict[str, object]:
    """The answer to request 1 with an error."""
    return {"jsonrpc": "2.0", "id": 1, "error": {"code": -1, "message": say(), "data": _anything(say)}}


def notification(name: str, say: Callable[[], str]) -> dict[str, object]:
    """A notification of the server."""
    return {"jsonrpc": "2.0", **_model(NOTIFICATIONS[name], say, 0)}


def request(name: str, say: Callable[[], str]) -> dict[str, object]:
    """A request of the server to its client (2025-11-25 and before)."""
    return {"jsonrpc": "2.0", "id": 7, **_model(REQUESTS[name], say, 0)}


def _model(model: type[BaseModel], say: Callable[[], str], depth: int) -> dict[str, object]:
    members: dict[str, object] = {}
    for name, field in model.model_fields.items():
        key = field.alias or name
        if key in _FIXED and _FIXED[key] is not None:
            literals = [one for one in get_args(field.annotation) if isinstance(one, str)]
            members[key] = literals[0] if get_origin(field.annotation) is Literal else _FIXED[key]
        elif _FILES.get(model) == key:
            members[key] = base64.b64encode(say().encode()).decode()
        elif model is types.Tool and key == "name":
            members[key] = "query"  # a tool whose name holds a finding is never listed
        else:
            members[key] = _value(field.annotation, say, depth + 1)
    return members


def _value(annotation: Any, say: Callable[[], str], depth: int) -> object:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _value(inner[0], say, depth)
    if origin in (Union, UnionType):
        return _value(max(_alternatives(annotation), key=_room), say, depth)
    if origin is Literal:
        return inner[0]
    if origin is list:
        alternatives = _alternatives(inner[0]) if depth < _DEEPEST else ()
        return [_value(each, say, depth + 1) for each in alternatives]
    if origin is dict:
        alternatives = _alternatives(inner[1]) if depth < _DEEPEST else ()
        return {say(): _value(each, say, depth + 1) for each in alternatives}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _model(annotation, say, depth) if depth < _DEEPEST else {}
    if annotation in (bool, int, float):
        return annotation(1)
    return _anything(say) if annotation in (Any, dict) else say()


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return tuple(each for each in get_args(annotation) if each is not NoneType)
    return (annotation,)


def _room(annotation: Any) -> int:
    """How much there is to say in a value: of several possible ones, the roomiest is the most telling."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return 10 + len(annotation.model_fields)
    if get_origin(annotation) in (list, dict) or annotation in (Any, dict):
        return 5
    return 2 if annotation is str else 1


def _anything(say: Callable[[], str]) -> dict[str, object]:
    return {say(): say(), "list": [say(), {"deep": [[say()]]}], "number": 1, "none": None}


def words(makers: list[Callable[[], str]]) -> Iterator[tuple[str, str]]:
    """Endless pairs of a value, each of the next kind, and a text that holds it."""
    number = 0
    while True:
        value = makers[number % len(makers)]()
        number += 1
        yield value, f"note {value} end"
