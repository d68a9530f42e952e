"""Calls that nobody made, as policy would see them if somebody did."""

from __future__ import annotations

import json

from countersign.jsontext import JsonRefused, JsonValue, Number, parse, quote
from countersign.model.call import Call, NameKind
from countersign.model.methods import NAMED_METHODS

METHOD_OF_KIND = {
    NameKind.NONE: "",
    NameKind.TOOL: "tools/call",
    NameKind.PROMPT: "prompts/get",
    NameKind.RESOURCE: "resources/read",
}
"""What is called where only a name is given."""

_REFERENCES = {NameKind.PROMPT: ("ref/prompt", "name"), NameKind.RESOURCE: ("ref/resource", "uri")}

Arguments = dict[str, JsonValue]


class BadCall(ValueError):
    """No caller could make such a call; ``remedy`` says what to write."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}: {remedy}")
        self.what = what
        self.remedy = remedy


def make_call(target: str, method: str, kind: NameKind, name: str, arguments: str) -> Call:
    """Return the call of a method, by default the one that calls what ``name`` names. Raises ``BadCall``.

    ``arguments`` is the text of a JSON object: ``params.arguments`` where a method names something, else ``params``
    itself. It goes into the call as it stands, so that what only its text shows (``1.0``, ``1e400``) is judged.
    """
    method = method or METHOD_OF_KIND[kind]
    if not method:
        raise BadCall("nothing says what is called", "name a tool, a prompt, a resource, or a method")
    kinds = NAMED_METHODS.get(method, frozenset({NameKind.NONE}))
    if kind not in kinds:
        wanted = " or ".join(sorted(one.value for one in kinds))
        remedy = f"name a {wanted}" if NameKind.NONE not in kinds else "remove the name, or the method"
        raise BadCall(f"{method} does not take {'a ' + kind.value if name else 'no name'}", remedy)
    return Call(target, method, name, kind, _params(method, kind, name, arguments))


def read_arguments(text: str) -> str:
    """Check the text of a JSON object and return it. Raises ``BadCall``."""
    try:
        root = parse(text).root
    except JsonRefused as refused:
        raise BadCall(f"the arguments are not JSON ({refused})", 'write an object, such as {"limit": 100}') from None
    if not isinstance(root, dict):
        raise BadCall("the arguments are no JSON object", 'write an object, such as {"limit": 100}')
    return text


def write_json(value: JsonValue) -> str:
    """Write a value that was parsed; numbers as they were written."""
    match value:
        case Number():
            return str(value)
        case str():
            return quote(value)
        case dict():
            return "{" + ", ".join(f"{quote(key)}: {write_json(one)}" for key, one in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(write_json, value)) + "]"
        case _:
            return json.dumps(value)


def set_argument(arguments: Arguments, path: str, text: str) -> None:
    """Put what ``text`` says (JSON, or else the text itself) where the dotted path leads. Raises ``BadCall``."""
    *way, last = path.split(".")
    inner = arguments
    for key in way:
        below = inner.setdefault(key, {})
        if not isinstance(below, dict):
            raise BadCall(f"{path}: {key} holds a value already", "give each argument once")
        inner = below
    if last in inner or not all((*way, last)):
        raise BadCall(f"{path}: is given already, or is no path of keys", "write name=value, each name once")
    try:
        inner[last] = parse(text).root
    except JsonRefused:
        inner[last] = text


def _params(method: str, kind: NameKind, name: str, arguments: str) -> str:
    if kind is NameKind.NONE:
        return arguments
    if method == "completion/complete":
        type_, key = _REFERENCES[kind]
        argument = arguments or "{}"
        return f'{{"ref": {{"type": {quote(type_)}, {quote(key)}: {quote(name)}}}, "argument": {argument}}}'
    key = "uri" if kind is NameKind.RESOURCE else "name"
    rest = f', "arguments": {arguments}' if arguments else ""
    return f"{{{quote(key)}: {quote(name)}{rest}}}"
