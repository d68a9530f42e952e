"""Canonical JSON (RFC 8785) of what the record holds: no floats, integers up to 2^53 - 1, keys in ASCII."""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

from countersign.audit.errors import Malformed

MAX_INTEGER: Final = 2**53 - 1
"""Beyond it JSON parsers differ (RFC 8785, appendix D)."""

_MAX_DEPTH: Final = 32
_ENCODER: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def encode(value: object) -> str:
    """Write canonical JSON. RFC 8785 allows this short way for such values."""
    return _ENCODER.encode(value)


def decode(content: bytes) -> Any:
    """Read one value. Raises ``Malformed`` for anything that ``encode`` does not write, to the byte.

    So for blanks, other order or escapes, a repeated key, floats, NaN, huge numbers, lone surrogates, deep nesting.
    """
    try:
        text = content.decode()
        value = _DECODER.decode(text)
        # Most texts have too few containers to be deep.
        if text.count("{") + text.count("[") > _MAX_DEPTH:
            _check_depth(value, _MAX_DEPTH)
        same = _ENCODER.encode(value) == text
    except UnicodeDecodeError:
        raise Malformed("not UTF-8") from None
    except RecursionError:
        raise Malformed("nested too deeply") from None
    except json.JSONDecodeError as problem:
        raise Malformed(f"not JSON (at character {problem.pos})") from None
    if not same:
        raise Malformed("not canonical JSON: blanks, order, escapes or a repeated key")
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Malformed("a key is repeated")
    if not all(map(str.isascii, members)):
        raise Malformed("a key is not ASCII")
    return members


def _integer(text: str) -> int:
    # Before it is read: the time that takes grows with the square of the digits.
    if len(text) > 17 or abs(value := int(text)) > MAX_INTEGER:
        raise Malformed("a number is too large")
    return value


def _refuse_number(_: str) -> NoReturn:
    raise Malformed("a number is not a whole number")


def _check_depth(value: Any, depth: int) -> None:
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return
    if not depth:
        raise Malformed("nested too deeply")
    for one in value:
        _check_depth(one, depth - 1)


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_members, parse_int=_integer, parse_float=_refuse_number, parse_constant=_refuse_number
)
