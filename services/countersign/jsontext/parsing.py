"""From bytes to a document, or a refusal: RFC 8259, and nothing that two parsers could read in two ways."""

from __future__ import annotations

import re
from json import JSONDecodeError, JSONDecoder
from typing import NoReturn

from countersign.jsontext.values import Document, JsonAmbiguous, JsonRefused, JsonValue, Number

_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_STRUCTURE = re.compile(r'(?P<string>"[^"\\]*(?:\\.[^"\\]*)*")(?P<colon>[ \t\n\r]*:)?|[{}\[\]]')


class _RepeatedKeyError(Exception):
    """Carries no text: the hook that notices a repeated key does not know where it stands."""


class _NotANumberError(Exception):
    """``NaN``, ``Infinity`` and ``-Infinity``: Python reads them, RFC 8259 section 6 does not permit them."""


def parse(data: bytes | str, *, max_depth: int = 64, permit_nan: bool = False) -> Document:
    """Read one JSON text strictly.

    Refused: anything outside RFC 8259, bytes that are not UTF-8, a byte order mark, lone surrogates (raw or escaped),
    a key repeated within its object (compared after unescaping), more than ``max_depth`` nested containers, and
    anything but whitespace after the value. Raises :class:`JsonRefused`, and nothing else; its kind
    :class:`JsonAmbiguous` when a more lenient parser would have read the text.

    ``permit_nan`` reads ``NaN``, ``Infinity`` and ``-Infinity`` as numbers, for texts that only travel through us.
    """
    text = data if isinstance(data, str) else _decode(data)
    root = _read(text, _LENIENT_DECODER if permit_nan else _DECODER)
    if text.count("{") + text.count("[") > max_depth:
        _check_depth(root, max_depth)
    if isinstance(data, str) and not text.isascii():
        _check_surrogates(text, 0)
    if "\\u" in text and _ESCAPED_SURROGATE.search(text):
        _check_escaped_surrogates(text)
    return Document(text, root)


def _object(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _RepeatedKeyError
    return members


def _constant(_: str) -> NoReturn:
    raise _NotANumberError


_DECODER = JSONDecoder(object_pairs_hook=_object, parse_int=Number, parse_float=Number, parse_constant=_constant)
_LENIENT_DECODER = JSONDecoder(object_pairs_hook=_object, parse_int=Number, parse_float=Number, parse_constant=Number)


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        refusal = JsonRefused("not UTF-8", len(data[: error.start].decode()))
    # Raised out here so that no exception that holds the bytes rides along as the context.
    raise refusal


def _read(text: str, decoder: JSONDecoder) -> JsonValue:
    refusal: JsonRefused
    try:
        root: JsonValue = decoder.decode(text)
    except JSONDecodeError as error:
        bom = text.startswith("\ufeff")
        refusal = JsonRefused("starts with a byte order mark", 0) if bom else JsonRefused(error.msg, error.pos)
    except _RepeatedKeyError:
        refusal = JsonAmbiguous("a key is repeated in its object", _repeated_key(text))
    except _NotANumberError:
        refusal = JsonAmbiguous("NaN and Infinity are not JSON", 0)
    except RecursionError:
        refusal = JsonAmbiguous("nested too deeply", 0)
    else:
        return root
    raise refusal


def _check_depth(root: JsonValue, max_depth: int) -> None:
    level = [root] if isinstance(root, (dict, list)) else []
    depth = 0
    while level:
        depth += 1
        if depth > max_depth:
            raise JsonAmbiguous("nested too deeply", 0)
        level = [
            child
            for container in level
            for child in (container.values() if type(container) is dict else container)
            if type(child) is dict or type(child) is list
        ]


def _check_surrogates(value: str, offset: int) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        refusal = JsonAmbiguous("a surrogate without its partner", offset + error.start)
    else:
        return
    raise refusal


def _check_escaped_surrogates(text: str) -> None:
    for match in _STRUCTURE.finditer(text):
        written = match["string"]
        if written is not None and "\\" in written:
            value: str = _DECODER.decode(written)
            try:
                _check_surrogates(value, 0)
            except JsonRefused as refusal:
                position = match.start()
                reason = refusal.reason
            else:
                continue
            raise JsonAmbiguous(reason, position)


def _repeated_key(text: str) -> int:
    """Where the first repeated key stands. Only for texts whose start, up to there, is JSON."""
    open_objects: list[set[str]] = []
    for match in _STRUCTURE.finditer(text):
        token = match[0]
        if token in ("{", "["):
            open_objects.append(set())
        elif token in ("}", "]"):
            open_objects.pop()
        elif match["colon"] is not None:
            key: str = _DECODER.decode(match["string"])
            if key in open_objects[-1]:
                return match.start()
            open_objects[-1].add(key)
    return 0
