"""How many rows of data an answer holds: rather too many than too few, since limits on bulk reading rest on it. Pure.

One record counts 1. What is nested counts when it is more: a record with an array of five objects counts 5, and so does
one with five tags. Texts count by their lines, or by the JSON that stands in them: see ``row_values``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Iterable

from countersign.jsontext import JsonValue
from countersign.mcp.listing import LISTING_METHODS
from countersign.mcp.row_values import MAX_PARTS, Counted, json_of, long_rows, says_the_same, text_rows, value_rows

_ROWLESS_METHODS = LISTING_METHODS | {"initialize", "ping", "server/discover", "logging/setLevel"}
# Of a result, what says how to read it, and is no data of the target.
_RESULT_FRAME = frozenset({"_meta", "isError", "resultType", "nextCursor", "ttlMs", "cacheScope", "requestState"})
_OTHER_FRAME = frozenset(
    {"_meta", "progressToken", "progress", "total", "level", "logger", "requestId", "uri", "requestedSchema"}
)
# Of a block or a resource, what is read as its content, or says how to read it.
_BLOCK_FRAME = frozenset({"type", "text", "data", "resource", "uri", "name", "title", "size", "mimeType", "blob"})
# Pictures and sound are one thing each. Any other binary data could hold a table.
_ONE_THING = ("image/", "audio/", "video/", "font/")
_TEXTUAL = ("text/", "application/json", "application/xml", "application/x-ndjson", "application/csv")


def count_rows(root: JsonValue, methods: Collection[str]) -> int:
    """Return how many rows a target's message holds, or all messages of an array.

    ``methods`` are those of the calls that it answers: what lists tools, prompts or resources, or only connects, holds
    no rows. Of a message that :func:`frame` read, only what it kept is known, which is what matters as a rule; else
    :class:`Unread` is raised. Content of a tool's result that says the same as its ``structuredContent`` counts once.
    """
    if methods and _ROWLESS_METHODS.issuperset(methods):
        return 0
    messages = root if isinstance(root, list) else [root]
    return sum(_message_rows(message) for message in messages)


def _message_rows(message: JsonValue) -> int:
    if not isinstance(message, dict):
        return value_rows(message)
    rows = 0
    result = message.get("result")
    if isinstance(result, dict):
        rows += _result_rows(result)
    error = message.get("error")
    if isinstance(error, dict):
        # Databases quote data in their errors.
        rows += value_rows(error.get("message")) + value_rows(error.get("data"))
    params = message.get("params")
    if isinstance(params, dict):
        rows += _others(params, _OTHER_FRAME)
    return rows


def _result_rows(result: dict[str, JsonValue]) -> int:
    rows = 0
    content, structured = result.get("content"), result.get("structuredContent")
    if structured is not None:
        rows += value_rows(structured)
    if isinstance(content, list):
        same = rows and _says_the_same(content, structured)
        rows += sum(_beside(block) for block in content if isinstance(block, dict)) if same else _blocks_rows(content)
    contents = result.get("contents")
    if isinstance(contents, list):
        rows += sum(_resource_rows(one) for one in contents)
    messages = result.get("messages")
    if isinstance(messages, list):
        rows += sum(_prompt_rows(one) for one in messages)
    known = {"content": content, "contents": contents, "messages": messages}
    read = {key for key, value in known.items() if isinstance(value, list)} | {"structuredContent"}
    return rows + _others(result, _RESULT_FRAME | read) + _aside(result.get("_meta"))


def _others(members: dict[str, JsonValue], but: Collection[str]) -> int:
    """What stands beside what is known counts as one value."""
    others: dict[str, JsonValue] = {
        key: value for key, value in members.items() if key not in but and value is not None
    }
    return value_rows(others) if others else 0


def _aside(value: JsonValue) -> int:
    """What clients are told on the side counts when it is more than a remark."""
    rows = value_rows(value)
    return rows if rows > MAX_PARTS else 0


def _beside(members: dict[str, JsonValue]) -> int:
    """What stands in a block or a resource beside its content."""
    extra = {key: value for key, value in members.items() if key not in _BLOCK_FRAME}
    return _aside(extra) if extra else 0


def _blocks_rows(blocks: Iterable[JsonValue]) -> int:
    return sum(_block_rows(block) for block in blocks)


def _block_rows(block: JsonValue) -> int:
    if not isinstance(block, dict):
        return value_rows(block)
    kind = block.get("type")
    if kind == "text":
        return value_rows(block.get("text")) + _beside(block)
    if kind in ("image", "audio", "resource_link"):
        return 1 + _beside(block)
    if kind == "resource":
        return _resource_rows(block.get("resource")) + _beside(block)
    return _others(block, {"_meta", "annotations", "type"})


def _prompt_rows(message: JsonValue) -> int:
    content = message.get("content") if isinstance(message, dict) else message
    return _blocks_rows(content) if isinstance(content, list) else _block_rows(content)


def _resource_rows(resource: JsonValue) -> int:
    members = resource if isinstance(resource, dict) else {}
    blob, text = members.get("blob"), members.get("text")
    rows = value_rows(text) if text is not None else 0
    if type(blob) is str:
        media = members.get("mimeType")
        rows += _blob_rows(blob, media.lower() if type(media) is str else "")
    return rows + _beside(members)


def _blob_rows(blob: str, media: str) -> int:
    if media.startswith(_ONE_THING):
        return 1
    if media.startswith(_TEXTUAL) or media.endswith(("+json", "+xml", "csv")):
        try:
            return max(long_rows(blob), text_rows(base64.b64decode(blob).decode("utf-8", "replace")))
        except (binascii.Error, ValueError):
            pass
    return long_rows(blob)


def _says_the_same(content: list[JsonValue], structured: JsonValue) -> bool:
    """Whether the text blocks of ``content`` are ``structuredContent`` as text, as servers are told to send it.

    The Python SDK puts what is no object under ``result``, and makes a block of each element of a list.
    """
    texts = [block.get("text") for block in content if isinstance(block, dict) and block.get("type") == "text"]
    if not texts or len(texts) != len(content):
        return False
    # An object with such a key is always kept.
    may_wrap = isinstance(structured, dict) and not isinstance(structured, Counted) and len(structured) == 1
    wrapped = structured.get("result") if may_wrap and isinstance(structured, dict) else None
    if len(texts) == 1 and (_is_text_of(texts[0], structured) or _is_text_of(texts[0], wrapped)):
        return True
    return isinstance(wrapped, list) and len(wrapped) == len(texts) and all(map(_is_text_of, texts, wrapped))


def _is_text_of(text: JsonValue, value: JsonValue) -> bool:
    if type(text) is not str or value is None:
        return False
    if type(value) is str:
        return text == value
    said = json_of(text)
    return said is not None and says_the_same(said, value)
