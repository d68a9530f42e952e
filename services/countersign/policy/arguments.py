"""The arguments of a call: read from the text that the target will read, strictly, and only when a rule asks."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import TypeAlias

from countersign.jsontext import JsonRefused, JsonValue, Number, parse
from countersign.model.call import Call
from countersign.policy.errors import CannotJudge

MAX_DEPTH = 128
"""Levels of nesting beyond which arguments cannot be judged: the most that ``limits.json_depth`` can permit."""
VALUES_LIMIT = 100_000
"""Values, at all levels, beyond which conditions cannot judge arguments: it bounds the time of a decision."""

Path: TypeAlias = tuple[str, ...]
"""The keys that lead to an argument."""
Plain: TypeAlias = "dict[str, Plain] | list[Plain] | int | float | str | bool | None"

_WITH_ARGUMENTS = frozenset({"tools/call", "prompts/get"})
_INTEGERS = range(-(2**63), 2**64)
_INTEGER_DIGITS = 20


class Arguments:
    """What ``args`` means for one call, read at most once.

    For a tool or prompt that is ``params.arguments``, for other methods all of ``params``; nothing there is ``{}``.
    """

    __slots__ = ("_call", "_failure", "_folded", "_plain", "_read", "_sound")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._read: Mapping[str, JsonValue] | None = None
        self._plain: Plain = None
        self._failure = ""
        self._sound = set[Path]()
        self._folded: dict[Path, dict[str, str | None]] = {}

    def exact(self) -> Mapping[str, JsonValue]:
        """Return them with numbers as they were written. Raises :class:`CannotJudge` when they are none."""
        if self._failure:
            raise CannotJudge(self._failure)
        if self._read is None:
            try:
                self._read = _arguments(self._call)
            except JsonRefused as error:
                self._failure = f"the arguments are not plain JSON: {error.reason}"
            except CannotJudge as error:
                self._failure = error.reason
            return self.exact()
        return self._read

    def refuse_twins(self, path: Path) -> None:
        """Raise :class:`CannotJudge` when a key differs from one of ``path`` only in case, where that would stand.

        Parsers that match keys without regard to case (Go's, others on request) take either for what a rule means.
        """
        if path in self._sound:
            return
        holder: JsonValue | Mapping[str, JsonValue] = self.exact()
        for depth, key in enumerate(path):
            if not isinstance(holder, dict):
                break
            if self._spelling(path[:depth], holder, key) != key:
                raise CannotJudge(f"args.{'.'.join(path)}: a key differs from one of its path only in case")
            holder = holder.get(key)
        self._sound.add(path)

    def _spelling(self, place: Path, holder: Mapping[str, JsonValue], key: str) -> str | None:
        """How a key is spelt in the object at ``place``: as given where it is not there, ``None`` if in two ways."""
        folded = self._folded.get(place)
        if folded is None:
            folded = self._folded[place] = {}
            for spelt in holder:
                fold = spelt.casefold()
                folded[fold] = None if fold in folded else spelt
        return folded.get(key.casefold(), key)

    def plain(self) -> Plain:
        """Return them as CEL takes them. Raises :class:`CannotJudge` also for what CEL cannot hold."""
        if self._plain is None:
            self._plain = _Plainly().members(self.exact())
        return self._plain


def _arguments(call: Call) -> Mapping[str, JsonValue]:
    if not call.params_json:
        return {}
    params = parse(call.params_json, max_depth=MAX_DEPTH).root
    if call.method in _WITH_ARGUMENTS and isinstance(params, dict):
        params = params.get("arguments")
        if params is None:
            return {}
    if not isinstance(params, dict):
        raise CannotJudge("the arguments are no object")
    return params


class _Plainly:
    """Turns values into what CEL takes, up to a number of them: CEL converts each one again, on every call."""

    def __init__(self) -> None:
        self._left = VALUES_LIMIT

    def members(self, values: Mapping[str, JsonValue]) -> dict[str, Plain]:
        self._count(len(values))
        return {key: self._value(value) for key, value in values.items()}

    def _value(self, value: JsonValue) -> Plain:
        if isinstance(value, dict):
            return self.members(value)
        if isinstance(value, list):
            self._count(len(value))
            return [self._value(child) for child in value]
        return _number(value) if isinstance(value, Number) else value

    def _count(self, more: int) -> None:
        self._left -= more
        if self._left < 0:
            raise CannotJudge("the arguments hold too many values for conditions")


def _number(text: Number) -> int | float:
    if text.lstrip("-").isdigit():
        if len(text) <= _INTEGER_DIGITS and (integer := int(text)) in _INTEGERS:
            # Targets on JavaScript, and on many other things, would act on the nearest double instead.
            if int(float(integer)) != integer:
                raise CannotJudge("the arguments hold an integer that not every target holds exactly: send it as text")
            return integer
    elif isfinite(double := float(text)):
        return double
    raise CannotJudge("the arguments hold a number that is too large for conditions")
