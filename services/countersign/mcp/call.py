"""From the method and params of a message to the call that policy judges."""

from __future__ import annotations

import re

from countersign.jsontext import JsonValue
from countersign.mcp.errors import bad_params, malformed
from countersign.model.call import NameKind

MAX_NAME_LENGTH = 4096
"""Code points of a tool's or prompt's name, or of a resource's URI."""

_NAMED = {
    "tools/call": (NameKind.TOOL, "name"),
    "prompts/get": (NameKind.PROMPT, "name"),
    "resources/read": (NameKind.RESOURCE, "uri"),
    "resources/subscribe": (NameKind.RESOURCE, "uri"),
    "resources/unsubscribe": (NameKind.RESOURCE, "uri"),
}
_REFERENCES = {"ref/prompt": (NameKind.PROMPT, "name"), "ref/resource": (NameKind.RESOURCE, "uri")}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SEPARATOR = re.compile(r"[/\\]|%2f|%5c", re.IGNORECASE)
_DOT = re.compile(r"%2e", re.IGNORECASE)
# Letters, digits, "-", "." and "_"; "~" is let be, as old encoders escape it.
_NEEDLESS_ESCAPE = re.compile(r"%(?:2[de]|3[0-9]|[46][1-9a-f]|5[0-9af]|7[0-9a])", re.IGNORECASE)
_SCHEME_IN_CAPITALS = re.compile(r"[a-z0-9+.-]*[A-Z][A-Za-z0-9+.-]*:")


class KnownKeys:
    """Keys whose spelling decides: another key that some parsers would fold to one of them is refused.

    Parsers that match keys without regard to case (Go's, many others on request) would read such a twin; ours would
    not, and so the target would act on what nobody judged.
    """

    def __init__(self, *keys: str) -> None:
        self._keys = frozenset(keys)
        self._folded = frozenset(key.casefold() for key in keys)

    def twin_in(self, members: dict[str, JsonValue]) -> bool:
        """Whether some key differs from a known one only in case (by Unicode's full case folding)."""
        unknown = members.keys() - self._keys
        return bool(unknown) and any(key.casefold() in self._folded for key in unknown)


PARAMS_KEYS = KnownKeys(
    "_meta",
    "argument",
    "arguments",
    "capabilities",
    "clientInfo",
    "context",
    "cursor",
    "inputResponses",
    "level",
    "name",
    "notifications",
    "progressToken",
    "protocolVersion",
    "ref",
    "requestId",
    "requestState",
    "task",
    "taskId",
    "uri",
)
_REF_KEYS = KnownKeys("name", "type", "uri")


def read_name(method: str, params: dict[str, JsonValue]) -> tuple[NameKind, str]:
    """Find what a method names: a tool, a prompt, a resource, or nothing.

    Raises :class:`~countersign.mcp.errors.McpRefused` (-32602) when a name is missing, not a string, empty, too long,
    or holds control characters; when a resource's URI is spelt as rules and targets could read differently (``.`` and
    ``..`` segments, a scheme in capitals, needless escapes); when ``arguments`` is not an object.
    """
    if method == "completion/complete":
        return _read_reference(params)
    named = _NAMED.get(method)
    if named is None:
        return NameKind.NONE, ""
    if not isinstance(params.get("arguments"), dict | None):
        raise bad_params("params.arguments must be an object")
    kind, key = named
    return kind, _checked_name(kind, params.get(key), f"params.{key}")


def _read_reference(params: dict[str, JsonValue]) -> tuple[NameKind, str]:
    reference = params.get("ref")
    if not isinstance(reference, dict):
        raise bad_params("params.ref must be an object")
    if _REF_KEYS.twin_in(reference):
        raise malformed("a key of params.ref differs from a known one only in case")
    type_ = reference.get("type")
    named = _REFERENCES.get(type_) if isinstance(type_, str) else None
    if named is None:
        raise bad_params("params.ref.type must be ref/prompt or ref/resource")
    kind, key = named
    return kind, _checked_name(kind, reference.get(key), f"params.ref.{key}")


def _checked_name(kind: NameKind, name: JsonValue, place: str) -> str:
    if type(name) is not str or not name:
        raise bad_params(f"{place} must be a string that is not empty")
    if len(name) > MAX_NAME_LENGTH:
        raise bad_params(f"{place} is too long")
    if _CONTROL.search(name):
        raise bad_params(f"{place} holds a control character")
    if kind is NameKind.RESOURCE:
        _check_normal(name, place)
    return name


def _check_normal(uri: str, place: str) -> None:
    """Refuse other spellings of one URI (RFC 3986 section 6.2.2): rules compare what is written."""
    if _has_dot_segment(uri):
        raise bad_params(f"{place} has a '.' or '..' segment; send the resolved URI")
    if _SCHEME_IN_CAPITALS.match(uri):
        raise bad_params(f"{place} has a scheme in capitals; write it in small letters")
    if _NEEDLESS_ESCAPE.search(uri):
        raise bad_params(f"{place} has escaped letters, digits, '-', '.' or '_'; write them as they are")


def _has_dot_segment(uri: str) -> bool:
    if "." not in uri and "%" not in uri:
        return False
    path = re.split(r"[?#]", uri, maxsplit=1)[0]
    return any(_DOT.sub(".", segment) in (".", "..") for segment in _SEPARATOR.split(path))
