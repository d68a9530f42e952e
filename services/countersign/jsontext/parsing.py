"""From bytes to a document, or a refusal: RFC 8259, and nothing that two parsers could read in two ways."""

from __future__ import annotations

import re
from collections.abc import Collection
from json import JSONDecodeError, JSONDecoder
from typing import Any, NoReturn

from countersign.jsontext.values import Document, JsonAmbiguous, JsonRefused, JsonText, JsonValue, Number

_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
# Possessive: otherwise each escape of a long string costs a hundred bytes.
_STRUCTURE = re.compile(r'(?P<string>"[^"\\]*+(?:\\.[^"\\]*+)*+")(?P<colon>[ \t\n\r]*+:)?|[{}\[\]]')

_CONTAINER = re.compile(r"[ \t\n\r]*[{\[]")
_BLANKS = " \t\r"
_CHUNK = 262_144
MOST_VALUES = 5_000_000
"""How many values one text may hold: while it is read, each takes a hundred bytes or two, however short it is."""
_AS_ARRAYS = bytes.maketrans(b"{}", b"[]")
_NO_STRUCTURE = bytes(byte for byte in range(256) if byte not in b'{}[]":')
_COMMAS_TOO = _NO_STRUCTURE.replace(b",", b"")
_UNESCAPED = re.compile(rb'"[^"]*"')


class _RepeatedKeyError(Exception):
    """Carries no text: the hook that notices a repeated key does not know where it stands."""


class _NotANumberError(Exception):
    """``NaN``, ``Infinity`` and ``-Infinity``: Python reads them, RFC 8259 section 6 does not permit them."""


def parse(data: bytes | str, *, max_depth: int = 64, permit_nan: bool = False) -> Document:
    """Read one JSON text strictly.

    Refused: anything outside RFC 8259, bytes that are not UTF-8, a byte order mark, lone surrogates (raw or escaped),
    a key repeated within its object (compared after unescaping), more than ``max_depth`` nested containers, more than
    ``MOST_VALUES`` values, and anything but whitespace after the value. Raises :class:`JsonRefused`, and nothing else;
    its kind :class:`JsonAmbiguous` when a more lenient parser would have read the text.

    ``permit_nan`` reads ``NaN``, ``Infinity`` and ``-Infinity`` as numbers, for texts that only travel through us.
    """
    text = data if isinstance(data, str) else _decode(data)
    _refuse_too_many(text)
    root: JsonValue = _read(text, _LENIENT_DECODER if permit_nan else _DECODER)
    if text.count("{") + text.count("[") > max_depth and _outline(root)[1] > max_depth:
        raise JsonAmbiguous("nested too deeply", 0)
    _check_all_surrogates(text, decoded=isinstance(data, bytes))
    return Document(text, root)


def check(data: bytes | str, *, max_depth: int = 64, permit_nan: bool = False) -> JsonText:
    """Read one JSON text as strictly as :func:`parse`, but keep nothing of it save its keys.

    Takes two thirds of the time, and the memory of one object, of the arrays outside of objects and of a pointer for
    each key. Raises :class:`JsonRefused`, and nothing else.
    """
    text = data if isinstance(data, str) else _decode(data)
    _, keys, depth = _skim(text, max_depth, permit_nan=permit_nan)
    _check_all_surrogates(text, decoded=isinstance(data, bytes))
    return JsonText(text, keys, depth)


def check_lines(text: str, *, max_depth: int = 64, permit_nan: bool = False) -> JsonText:
    """Read objects and arrays that have a line each, as strictly as :func:`check` does; blank lines do not count.

    What reads the tokens of a JSON text reads those of the result as well. Raises :class:`JsonRefused`, and nothing
    else.
    """
    lines = [line for line in text.split("\n") if line.strip(_BLANKS)]
    values, keys, depth = _skim(f"[{','.join(lines)}]", max_depth + 1, permit_nan=permit_nan)
    begun = sum(line.lstrip(_BLANKS)[0] in "{[" for line in lines)
    # As many values as lines, each of which begins with a container: none ends within another line.
    if not isinstance(values, list) or not len(values) == len(lines) == begun:
        raise JsonRefused("not one object or array a line", 0)
    _check_all_surrogates(text, decoded=False)
    return JsonText(text, keys, depth - 1)


def outline(document: Document) -> JsonText:
    """What :func:`check` remembers of a text that was parsed already."""
    keys, depth = _outline(document.root)
    return JsonText(document.text, frozenset(keys), depth)


class _Skimmer:
    """Reads one text after the other and keeps their keys only: a decoder is dear to make."""

    def __init__(self, *, permit_nan: bool) -> None:
        self._keys: list[str] = []
        nothing = str.isspace  # False for each number, at the price of a call that is not Python's
        # The same for objects: each becomes None, and leaves the keys that are different behind.
        self._decoder = JSONDecoder(
            object_hook=self._keys.extend,
            parse_int=nothing,
            parse_float=nothing,
            parse_constant=nothing if permit_nan else _constant,
        )

    def skim(self, text: str) -> tuple[Any, int, frozenset[str]]:
        """The root without its objects and numbers, how many keys all objects have together, and which.

        Raises what the decoder raises; then this must not be used again.
        """
        root = self._decoder.decode(text)
        count, keys = len(self._keys), frozenset(self._keys)
        self._keys.clear()
        return root, count, keys


# Whoever uses one takes it out: threads must not share it.
_SKIMMERS: dict[bool, list[_Skimmer]] = {True: [], False: []}


def _skim(text: str, max_depth: int, *, permit_nan: bool) -> tuple[Any, frozenset[str], int]:
    """The root (see :meth:`_Skimmer.skim`), the keys and the depth of a JSON text."""
    _refuse_too_many(text)
    idle = _SKIMMERS[permit_nan]
    try:
        skimmer = idle.pop()
    except IndexError:
        skimmer = _Skimmer(permit_nan=permit_nan)
    try:
        root, count, keys = skimmer.skim(text)
    except (JSONDecodeError, _NotANumberError, RecursionError):
        doubtful = True
    else:
        idle.append(skimmer)
        structure = _structure(text)
        doubtful = count != structure.count(b":")
    if doubtful:
        # Some key is repeated, or it is no JSON. That is said by who reads all objects, and would take twice the time.
        _read(text, _LENIENT_JUDGE if permit_nan else _JUDGE)
        raise JsonRefused("not JSON", 0)
    return root, keys, _depth(structure, max_depth)


def _refuse_too_many(text: str) -> None:
    """Raise :class:`JsonAmbiguous` for what may be JSON of too many values: other parsers would read it."""
    if text.count(",") < MOST_VALUES or _CONTAINER.match(text) is None:
        return
    if _structure(text, without=_COMMAS_TOO).count(b",") >= MOST_VALUES:
        raise JsonAmbiguous(f"more than {MOST_VALUES:,} values", 0)


def _structure(text: str, *, without: bytes = _NO_STRUCTURE) -> bytes:
    """What is left of a JSON text without its strings and numbers; braces become brackets."""
    pieces: list[bytes] = []
    start = 0
    while start < len(text):
        end = start + _CHUNK
        while text[end - 1 : end] == "\\":
            end += 1
        piece = text[start:end].encode(errors="replace")
        if b"\\" in piece:
            piece = piece.replace(rb"\\", b"").replace(rb"\"", b"")
        # Most strings hold nothing that looks like structure: then their quotation marks are neighbours.
        pieces.append(piece.translate(_AS_ARRAYS, without).replace(b'""', b""))
        start = end
    structure = b"".join(pieces)
    return _UNESCAPED.sub(b"", structure) if b'"' in structure else structure


def _depth(structure: bytes, max_depth: int) -> int:
    """How many containers stand in one another. Raises :class:`JsonAmbiguous` for more than ``max_depth``."""
    brackets = structure.translate(None, b":")
    depth = 0
    while brackets:
        depth += 1
        if depth > max_depth:
            raise JsonAmbiguous("nested too deeply", 0)
        # Whatever holds nothing goes; so, the next time, does what held only that.
        brackets = brackets.replace(b"[]", b"")
    return depth


def _object(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _RepeatedKeyError
    return members


def _judge(pairs: list[tuple[str, JsonValue]]) -> None:
    _object(pairs)


def _constant(_: str) -> NoReturn:
    raise _NotANumberError


_DECODER = JSONDecoder(object_pairs_hook=_object, parse_int=Number, parse_float=Number, parse_constant=_constant)
_LENIENT_DECODER = JSONDecoder(object_pairs_hook=_object, parse_int=Number, parse_float=Number, parse_constant=Number)
# Keep nothing, and see a repeated key as soon as its object ends.
_JUDGE = JSONDecoder(object_pairs_hook=_judge, parse_int=str.isspace, parse_float=str.isspace, parse_constant=_constant)
_LENIENT_JUDGE = JSONDecoder(object_pairs_hook=_judge, parse_int=str.isspace, parse_float=str.isspace)


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
        for start in range(0, len(text), _CHUNK):
            _check_surrogates(text[start : start + _CHUNK], start)
    if "\\" in text and "\\u" in text and _ESCAPED_SURROGATE.search(text):
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
