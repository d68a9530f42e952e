"""From bytes to a document, or a refusal: RFC 8259, and nothing that two parsers could read in two ways."""

from __future__ import annotations

import re
from collections.abc import Collection
from json import JSONDecodeError, JSONDecoder
from typing import Any, NoReturn, TypeAlias

from countersign.jsontext.values import Document, JsonAmbiguous, JsonRefused, JsonText, JsonValue, Number

_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
# Possessive: otherwise each escape of a long string costs a hundred bytes.
_STRUCTURE = re.compile(r'(?P<string>"[^"\\]*+(?:\\.[^"\\]*+)*+")(?P<colon>[ \t\n\r]*+:)?|[{}\[\]]')

_BLANKS = " \t\r"


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
    root: JsonValue = _read(text, _LENIENT_DECODER if permit_nan else _DECODER)
    if text.count("{") + text.count("[") > max_depth and _outline(root)[1] > max_depth:
        raise JsonAmbiguous("nested too deeply", 0)
    _check_all_surrogates(text, decoded=isinstance(data, bytes))
    return Document(text, root)


def check(data: bytes | str, *, max_depth: int = 64, permit_nan: bool = False) -> JsonText:
    """Read one JSON text as strictly as :func:`parse`, but keep nothing of it save its keys.

    Takes half the time, and the memory of one object and of the arrays outside of objects. Raises
    :class:`JsonRefused`, and nothing else.
    """
    text = data if isinstance(data, str) else _decode(data)
    folded, keys = _fold(text, permit_nan)
    depth = _deepest([folded])
    if depth > max_depth:
        raise JsonAmbiguous("nested too deeply", 0)
    _check_all_surrogates(text, decoded=isinstance(data, bytes))
    return JsonText(text, keys, depth)


def check_lines(text: str, *, max_depth: int = 64, permit_nan: bool = False) -> JsonText:
    """Read objects and arrays that have a line each, as strictly as :func:`check` does; blank lines do not count.

    What reads the tokens of a JSON text reads those of the result as well. Raises :class:`JsonRefused`, and nothing
    else.
    """
    lines = [line for line in text.split("\n") if line.strip(_BLANKS)]
    values, keys = _fold(f"[{','.join(lines)}]", permit_nan)
    if not isinstance(values, list) or len(values) != len(lines) or not _NESTED.issuperset(map(type, values)):
        raise JsonRefused("not one object or array a line", 0)
    depth = _deepest(values)
    if depth > max_depth:
        raise JsonAmbiguous("nested too deeply", 0)
    _check_all_surrogates(text, decoded=False)
    return JsonText(text, keys, depth)


def outline(document: Document) -> JsonText:
    """What :func:`check` remembers of a text that was parsed already."""
    keys, depth = _outline(document.root)
    return JsonText(document.text, frozenset(keys), depth)


# What check puts in place of an object is how deep it is; of a number, False; arrays and the rest stay.
_Folded: TypeAlias = "list[_Folded] | int | str | None"
_NESTED = frozenset({int, list})


class _Folder:
    """Folds one text after the other: a decoder is dear to make."""

    def __init__(self, *, permit_nan: bool) -> None:
        self._keys: set[str] = set()
        nothing = str.isspace  # False for each number, at the price of a call that is not Python's
        self._decoder = JSONDecoder(
            object_pairs_hook=self._object,
            parse_int=nothing,
            parse_float=nothing,
            parse_constant=nothing if permit_nan else _constant,
        )

    def fold(self, text: str) -> tuple[_Folded, frozenset[str]]:
        """What a text folds to, and its keys. Raises as :func:`_read` does."""
        self._keys = set()
        folded: _Folded = _read(text, self._decoder)
        return folded, frozenset(self._keys)

    def _object(self, pairs: list[tuple[str, _Folded]]) -> int:
        members = dict(pairs)
        if len(members) != len(pairs):
            raise _RepeatedKeyError
        self._keys.update(members)
        return 1 if _NESTED.isdisjoint(map(type, members.values())) else 1 + _deepest(members.values())


# Whoever uses one takes it out: threads must not share it.
_FOLDERS: dict[bool, list[_Folder]] = {True: [], False: []}


def _fold(text: str, permit_nan: bool) -> tuple[_Folded, frozenset[str]]:
    idle = _FOLDERS[permit_nan]
    try:
        folder = idle.pop()
    except IndexError:
        folder = _Folder(permit_nan=permit_nan)
    folded = folder.fold(text)
    idle.append(folder)
    return folded


def _deepest(values: Collection[_Folded]) -> int:
    """How many containers stand in one another in the deepest of these values."""
    deepest = around = 0
    while not _NESTED.isdisjoint(map(type, values)):
        objects = max((value for value in values if type(value) is int), default=0)
        lists = [value for value in values if type(value) is list]
        deepest = max(deepest, around + objects, around + bool(lists))
        values = [element for elements in lists for element in elements]
        around += 1
    return deepest


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


def _read(text: str, decoder: JSONDecoder) -> Any:
    refusal: JsonRefused
    try:
        return decoder.decode(text)
    except JSONDecodeError as error:
        bom = text.startswith("\ufeff")
        refusal = JsonRefused("starts with a byte order mark", 0) if bom else JsonRefused(error.msg, error.pos)
    except _RepeatedKeyError:
        refusal = JsonAmbiguous("a key is repeated in its object", _repeated_key(text))
    except _NotANumberError:
        refusal = JsonAmbiguous("NaN and Infinity are not JSON", 0)
    except RecursionError:
        refusal = JsonAmbiguous("nested too deeply", 0)
    raise refusal


def _outline(root: JsonValue) -> tuple[set[str], int]:
    """The keys of all objects, and how many containers stand in one another."""
    keys: set[str] = set()
    depth = 0
    level = [root] if isinstance(root, (dict, list)) else []
    while level:
        depth += 1
        found: list[dict[str, JsonValue] | list[JsonValue]] = []
        for container in level:
            if type(container) is dict:
                keys.update(container)
                children: Collection[JsonValue] = container.values()
            else:
                children = container
            found += [child for child in children if type(child) is dict or type(child) is list]
        level = found
    return keys, depth


def _check_all_surrogates(text: str, *, decoded: bool) -> None:
    if not decoded and not text.isascii():
        _check_surrogates(text, 0)
    if "\\u" in text and _ESCAPED_SURROGATE.search(text):
        _check_escaped_surrogates(text)


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
