"""One tool as a target defines it, and the canonical text whose digest pins it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from json.encoder import encode_basestring

from countersign.jsontext import JsonRefused, JsonValue, Number, parse

MAX_NAME_CHARACTERS = 256
"""MCP asks for at most 128 (2025-11-25, Tools, Tool Names)."""

MAX_DEFINITION_BYTES = 256 * 1024
"""No person reviews more, and what cannot be reviewed cannot be accepted."""

_NUMBER = re.compile(r"(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,18}))?")
_MAX_DEPTH = 256


class Unpinnable(ValueError):
    """What a target lists cannot be pinned, so nobody may see it. The message never quotes it."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A tool's name and whole definition; ``value`` is the definition as JSON, ``canonical`` its canonical text."""

    name: str
    value: dict[str, JsonValue]
    canonical: str

    @property
    def digest(self) -> bytes:
        """SHA-256 of the canonical text: equal for definitions in which a client reads the same, and for no others."""
        return hashlib.sha256(self.canonical.encode()).digest()


def read_definition(entry: JsonValue) -> Definition:
    """Read an entry of a listing's ``tools``. Raises ``Unpinnable``.

    Every key counts, known or not: some client may show it to its model.
    """
    if not isinstance(entry, dict):
        raise Unpinnable("a tool must be an object")
    name = entry.get("name")
    if type(name) is not str or not 0 < len(name) <= MAX_NAME_CHARACTERS or "\0" in name:
        raise Unpinnable(f"a tool's name must have 1 to {MAX_NAME_CHARACTERS} characters, and no NUL")
    text = canonical(entry)
    # Four bytes a character at most: measured exactly only near the bound.
    if len(text) * 4 > MAX_DEFINITION_BYTES and len(text.encode()) > MAX_DEFINITION_BYTES:
        raise Unpinnable(f"the definition of a tool is larger than {MAX_DEFINITION_BYTES // 1024} KiB")
    return Definition(name, entry, text)


def read_masked(text: str) -> JsonValue:
    """Read a definition again from its canonical text, masked or not. Raises ``Unpinnable`` when it is none."""
    try:
        return parse(text, max_depth=_MAX_DEPTH).root
    except JsonRefused as error:
        raise Unpinnable(f"not the text of a definition: {error.reason}") from None


def canonical(value: JsonValue) -> str:
    """Write JSON in the one way that all equal values share: no blanks, keys in the order of their code points.

    Numbers are equal when they have the same value, whatever their notation; nothing is rounded.
    """
    pieces: list[str] = []
    _write(value, pieces.append)
    return "".join(pieces)


def _write(value: JsonValue, put: Callable[[str], None]) -> None:
    if isinstance(value, Number):
        put(_number(value))
    elif isinstance(value, str):
        put(encode_basestring(value))
    elif isinstance(value, dict):
        opening = "{"
        for key in sorted(value):
            put(opening + encode_basestring(key) + ":")
            _write(value[key], put)
            opening = ","
        put("{}" if opening == "{" else "}")
    elif isinstance(value, list):
        opening = "["
        for element in value:
            put(opening)
            _write(element, put)
            opening = ","
        put("[]" if opening == "[" else "]")
    else:
        put({None: "null", True: "true", False: "false"}[value])


def _number(number: Number) -> str:
    match = _NUMBER.fullmatch(number)
    if match is None:
        # An exponent beyond all use: left as it was written.
        return str.__str__(number)
    sign, whole, fraction, power = match.group(1), match.group(2), match.group(3) or "", match.group(4) or "0"
    digits = (whole + fraction).lstrip("0")
    significant = digits.rstrip("0")
    if not significant:
        return "0"
    exponent = int(power) - len(fraction) + len(digits) - len(significant)
    if 0 <= exponent <= 18 and len(significant) + exponent <= 18:
        return sign + significant + "0" * exponent
    return f"{sign}{significant}e{exponent}"
