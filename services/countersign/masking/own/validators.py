"""Checks of values by name: does its check digit, or the look of its characters, say that a value is what it seems?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from importlib import import_module
from math import log2

from countersign.model.rule import VALIDATORS

_SEPARATORS = str.maketrans("", "", " -./")
# Each module of stdnum is imported when a file asks for it: together they would cost every start.
_MODULES = {
    "luhn": "luhn",
    "verhoeff": "verhoeff",
    "damm": "damm",
    "iban": "iban",
    "mod97": "iso7064.mod_97_10",
    "mod11_2": "iso7064.mod_11_2",
    "mod11_10": "iso7064.mod_11_10",
    "mod37_2": "iso7064.mod_37_2",
    "gtin": "ean",
}
_LEAST_BITS = 3.0
_LEAST_CHARACTERS = 8


def is_valid(name: str) -> Callable[[str], bool]:
    """The check of this name (see :data:`countersign.model.rule.VALIDATORS`); raises :class:`KeyError` for no name.

    Blanks, dashes, dots and slashes within a value do not count for the checks of digits, nor does case.
    """
    if name == "entropy":
        return is_random
    check: Callable[[str], bool] = import_module(f"stdnum.{_MODULES[name]}").is_valid

    def is_right(value: str) -> bool:
        return check(value.translate(_SEPARATORS).upper())

    return is_right


def is_random(value: str) -> bool:
    """Whether the characters of a value vary as those of a random one do: 8 or more, 3 bits or more each (Shannon)."""
    if len(value) < _LEAST_CHARACTERS:
        return False
    shares = [count / len(value) for count in Counter(value).values()]
    return -sum(share * log2(share) for share in shares) >= _LEAST_BITS


__all__ = ["VALIDATORS", "is_random", "is_valid"]
