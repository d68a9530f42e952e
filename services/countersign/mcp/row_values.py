"""How many rows a value or a text holds: the part of counting that knows nothing of MCP. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from json import JSONDecodeError, JSONDecoder
from typing import NoReturn

from countersign.jsontext import JsonValue, Number

ROW_CHARACTERS = 200
"""A longer line counts one row for each such part of it."""

ROW_FIELDS = 32
"""A record with more fields counts one row for each such part of it; what is a map by its looks, one for each field."""

MAX_PARTS = 3
"""So many single objects are parts of the record in which they stand; more are records of their own."""

# JSON in strings of JSON in texts is read, and what is packed deeper counts by its length.
_MAX_PACKED = 3
# Texts may hold what only looks like JSON, and a great many bits of it.
_MAX_TRIES, _MAX_BITS = 32, 10_000
_SHORT = 40
_CHUNK = 65_536
# In so few lines a row may be a part of a line.
_FEW_LINES, _LIST_SEPARATORS = 3, 9

_JSON_START = re.compile(r'[\[{](?=\s*(?:["\[{0-9-]|null|true|false))')
_PACKED = re.compile(r"[\[{\r\n\v\f\x1c-\x1e\x85\u2028\u2029]")
_WORD = re.compile(r"[^\W_]")
# One line that holds no JSON, no tag, and hardly a part of a list: so at most one row.
_WORDS = r"[^\[{<(,;|\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029]*+"
_ONE_ROW = re.compile(rf"{_WORDS}(?:[(,;|\t]{_WORDS}){{0,8}}")
_OPENING_TAG = re.compile(r"<([A-Za-z][\w:.-]{0,40})")
# What ends one record of a list and begins the next, in whatever notation.
_NEXT_RECORD = re.compile(r"\}[\s,;|]*\{|\)[\s,;|]*\(|\][\s,;|]*\[")
_FRAMES = frozenset({"jsonrpc", "content", "contents", "messages", "result", "structuredContent"})
_OF_BLOCKS = frozenset({"text", "data", "resource", "uri"})
_HEADERS = frozenset({"columns", "column_names", "columnnames", "fields", "header", "headers", "schema"})


class Unread(Exception):
    """Somebody asks for the members of an object that was counted, and not kept."""


class Counted(dict[str, JsonValue]):
    """An object of which nothing is kept but what it counts: as a value, as an element of an array, and its size.

    Whether it says the same as another is told by their digests, which are equal by chance once in 2**64 times.
    """

    __slots__ = ("as_element", "as_value", "digest", "size")

    def __init__(self, as_value: int, as_element: int, size: int, digest: int) -> None:
        self.as_value = as_value
        self.as_element = as_element
        self.size = size
        self.digest = digest

    def __len__(self) -> int:
        return self.size

    def __bool__(self) -> bool:
        return self.size > 0

    def __eq__(self, other: object) -> NoReturn:
        raise Unread

    def __ne__(self, other: object) -> NoReturn:
        raise Unread

    def __iter__(self) -> NoReturn:
        raise Unread

    def __contains__(self, key: object) -> NoReturn:
        raise Unread

    def __getitem__(self, key: str) -> NoReturn:
        raise Unread

    def get(self, key: str, default: object = None) -> NoReturn:
        """Raise :class:`Unread`, as all that reads members does."""
        raise Unread

    def keys(self) -> NoReturn:
        """See :meth:`get`."""
        raise Unread

    def values(self) -> NoReturn:
        """See :meth:`get`."""
        raise Unread

    def items(self) -> NoReturn:
        """See :meth:`get`."""
        raise Unread


_CONTAINERS = frozenset({dict, list, Counted})


def counted(members: dict[str, JsonValue], packed: int = 0) -> Counted:
    """Return an object's count in place of the object; one in a text is compared with nothing."""
    nested = _nested(members)
    inside = max(1, _nested_rows(members, nested, packed)) if nested else 1
    counts = max(_fields_rows(members), inside), max(_parts(len(members)), inside), len(members)
    return _alike(*counts) if packed else Counted(*counts, _digest_of(members))


@lru_cache(maxsize=1_024)
def _alike(as_value: int, as_element: int, size: int) -> Counted:
    """One for all objects that count the same: most of a list do."""
    return Counted(as_value, as_element, size, 0)


def says_the_same(one: JsonValue, other: JsonValue) -> bool:
    """Whether two values are equal, whatever of them was counted."""
    return _digest(one) == _digest(other)


def _digest(value: JsonValue) -> object:
    if isinstance(value, dict):
        return ("{", value.digest if isinstance(value, Counted) else _digest_of(value))
    if isinstance(value, list):
        return tuple([_digest(one) for one in value])
    return value


def _digest_of(members: dict[str, JsonValue]) -> int:
    if _CONTAINERS.isdisjoint(map(type, members.values())):
        return hash(frozenset(members.items()))
    return hash(frozenset([(key, _digest(value)) for key, value in members.items()]))


def _is_frame(members: dict[str, JsonValue]) -> bool:
    """Whether an object looks like a part of MCP's own, of which members are read by name."""
    return (
        not _FRAMES.isdisjoint(members)
        or ("type" in members and not _OF_BLOCKS.isdisjoint(members))
        or ("uri" in members and ("text" in members or "blob" in members))
        or ("code" in members and "message" in members)
    )


def _framed(members: dict[str, JsonValue]) -> dict[str, JsonValue]:
    return members if _is_frame(members) else counted(members)


def _decoder(fold: Callable[[dict[str, JsonValue]], dict[str, JsonValue]]) -> JSONDecoder:
    return JSONDecoder(object_hook=fold, parse_int=Number, parse_float=Number, parse_constant=Number, strict=False)


# For texts in messages, texts in those, and so on.
_COUNTERS = [_decoder(partial(counted, packed=packed)) for packed in range(1, _MAX_PACKED + 1)]
_FRAME_READER = _decoder(_framed)


def frame(text: str) -> JsonValue:
    """Read a text that is JSON, as it was checked to be, with mere counts in place of what is no frame of MCP's.

    Takes less memory than the text. What asks for members that were not kept gets :class:`Unread`.
    """
    value: JsonValue = _FRAME_READER.decode(text)
    return value


def value_rows(value: JsonValue, packed: int = 0) -> int:
    """Return how many rows a JSON value holds; ``packed`` is in how many texts it stands.

    A scalar counts 1, and ``null`` nothing. An array counts what its elements do, each at least 1. An object counts 1,
    or what is nested in it when that is more: the rows of arrays, of objects and of long strings are added up. Up to
    three objects that count 1 are parts of it; arrays of scalars of equal length are columns of one table; the names
    of columns beside a table count nothing. More than 32 fields, nearly all of one type, are a map: each counts 1.
    """
    if isinstance(value, dict):
        return value.as_value if isinstance(value, Counted) else _object_rows(value, packed)
    if isinstance(value, list):
        return _array_rows(value, packed)
    if type(value) is str:
        return text_rows(value, packed)
    return int(value is not None)


def text_rows(text: str, packed: int = 0) -> int:
    """Return how many rows a text holds.

    JSON in it (NDJSON, fenced, or between lines of prose) counts as values do; else each line with a letter or digit
    counts 1, or one for each 200 characters. The head of a ruled table (Markdown, psql) counts nothing; that of CSV
    cannot be told from data. Where there are at most three lines, a list of ten or more parts counts its parts. Markup
    counts its most frequent tag when that is more.
    """
    if (len(text) <= _SHORT and not _PACKED.search(text)) or _is_one_row(text):
        return int(bool(_WORD.search(text)))
    rows = at = bits = tries = looked_at = 0
    start = _JSON_START.search(text) if packed < _MAX_PACKED else None
    while start and bits < _MAX_BITS and tries < _MAX_TRIES and looked_at <= len(text):
        try:
            value, end = _COUNTERS[packed].raw_decode(text, start.start())
            found = value_rows(value, packed + 1)
        except JSONDecodeError as error:
            tries += 1
            looked_at += error.pos - start.start()
            start = _JSON_START.search(text, start.end())
            continue
        except RecursionError:
            break
        bits += 1
        between = text[at : start.start()]
        rows += found + (_prose_rows(between) if between and not between.isspace() else 0)
        at = end
        start = _JSON_START.search(text, at)
    return rows + _prose_rows(text[at:])


def long_rows(text: str) -> int:
    """Return what a text counts whose inside is not known: one row for each 200 characters."""
    return -(-len(text) // ROW_CHARACTERS)


def json_of(text: str) -> JsonValue:
    """Return the value of a text that is JSON as a whole, else ``None``."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return frame(text)
    except (JSONDecodeError, RecursionError):
        return None


def _object_rows(members: dict[str, JsonValue], packed: int, *, is_element: bool = False) -> int:
    nested = _nested(members)
    fields = _parts(len(members)) if is_element else _fields_rows(members)
    return max(1, fields, _nested_rows(members, nested, packed) if nested else 0)


def _nested(members: dict[str, JsonValue]) -> list[tuple[str, JsonValue]]:
    """The members that may hold several rows."""
    return [
        (key, value)
        for key, value in members.items()
        if type(value) in _CONTAINERS
        or (type(value) is str and (len(value) > _SHORT or "\n" in value) and not _is_one_row(value))
    ]


def _fields_rows(members: dict[str, JsonValue]) -> int:
    """A map of names to addresses is a table, too; a record has fields of several types, or none in many of them."""
    if len(members) <= ROW_FIELDS:
        return _parts(len(members))
    types = Counter(dict if type(value) is Counted else type(value) for value in members.values())
    del types[type(None)]
    alike = max(types.values(), default=0)
    return len(members) if 4 * alike > 3 * len(members) else _parts(len(members))


def _nested_rows(members: dict[str, JsonValue], nested: Sequence[tuple[str, JsonValue]], packed: int) -> int:
    header, width = (None, 0) if _HEADERS.isdisjoint(map(str.lower, members)) else _header(members)
    singles = rows = 0
    columns: list[int] = []
    for key, value in nested:
        if key == header:
            continue
        if isinstance(value, list):
            found = _array_rows(value, packed, width)
            if value and _CONTAINERS.isdisjoint(map(type, value)):
                columns.append(found)
                continue
        else:
            found = value_rows(value, packed)
            # A long string is one field of the record.
            found = 0 if found == 1 and not isinstance(value, dict) else found
        singles += found == 1
        rows += found if found > 1 else 0
    rows += max(columns, default=0) if len(set(columns)) == 1 else sum(columns)
    return rows + (singles if singles > MAX_PARTS else 0)


def _array_rows(elements: list[JsonValue], packed: int, width: int = 0) -> int:
    """``width`` is the number of columns that stands beside the array, 0 when none does."""
    lists = [one for one in elements if isinstance(one, list)]
    if not lists or len(lists) < len(elements):
        return sum([_element_rows(one, packed) for one in elements])
    # Rows as arrays, or columns as arrays: whichever is more, unless the width tells.
    longest = max(map(len, lists))
    rows = sum([max(1, _parts(len(one))) for one in lists]) if longest == width else max(len(lists), longest)
    for one in lists:
        for cell in one:
            packs = type(cell) in _CONTAINERS or (type(cell) is str and len(cell) > _SHORT)
            inside = value_rows(cell, packed) if packs else 1
            rows += inside if inside > 1 else 0
    return rows


def _element_rows(element: JsonValue, packed: int) -> int:
    if isinstance(element, Counted):
        return element.as_element
    if isinstance(element, dict):
        return _object_rows(element, packed, is_element=True)
    return max(1, value_rows(element, packed))


def _header(members: dict[str, JsonValue]) -> tuple[str | None, int]:
    """Return the key under which the names of a table's columns stand, and how many they are."""
    for key, names in members.items():
        if key.lower() in _HEADERS and isinstance(names, list) and names:
            for other, table in members.items():
                first = table[0] if isinstance(table, list) and table and other != key else None
                if isinstance(first, (dict, list)) and len(first) == len(names):
                    return key, len(names)
    return None, 0


def _prose_rows(text: str) -> int:
    rows = 0
    ruled = False
    few: list[str] = []
    for line in _lines(text):
        if len(few) <= _FEW_LINES:
            few.append(line)
        if _WORD.search(line):
            if not line.startswith("```"):
                rows += long_rows(line) if len(line) > ROW_CHARACTERS else 1
        elif rows and not ruled and "---" in line and ("|" in line or "+" in line):
            ruled = True
            rows -= 1
    if len(few) <= _FEW_LINES:
        rows = max(rows, sum(map(_list_rows, few)))
    rows = max(rows, _records(text))
    if "<" in text:
        tags = Counter(match[1] for match in _OPENING_TAG.finditer(text))
        rows = max([rows, *tags.values()])
    return rows


def _lines(text: str) -> Iterator[str]:
    """The lines of a text, as ``splitlines`` has them, but never all of them at once."""
    start = 0
    while start < len(text):
        end = text.find("\n", start + _CHUNK) + 1 or len(text)
        yield from text[start:end].splitlines()
        start = end


def _records(text: str) -> int:
    if not any(bracket in text for bracket in "})]"):
        return 0
    found = sum(1 for _ in _NEXT_RECORD.finditer(text))
    return found + 1 if found >= _LIST_SEPARATORS else 0


def _list_rows(line: str) -> int:
    """The parts of a line that is a list rather than a sentence: with hardly more blanks than separators."""
    separators = max(map(line.count, ",;|\t"))
    return separators + 1 if separators >= _LIST_SEPARATORS and line.count(" ") <= 2 * separators else 0


def _is_one_row(text: str) -> bool:
    """Whether no more than one row can stand in a text, as is quickly seen of most."""
    return len(text) <= ROW_CHARACTERS and _ONE_ROW.fullmatch(text) is not None


def _parts(fields: int) -> int:
    return -(-fields // ROW_FIELDS)
