"""``args``: what the arguments of a call must be for a rule to select it.

A constraint that meets a value that it cannot judge, or that two parsers could read in two ways, throws instead of
guessing: a string where a number is meant, a path through something that is no object, a number that is not the same
number once it is a double.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, DecimalException
from math import isfinite

from countersign.jsontext import JsonValue, Number
from countersign.model.glob import Glob
from countersign.model.rule import ArgConstraint, Scalar
from countersign.policy.arguments import Arguments
from countersign.policy.errors import BadConstraint, CannotJudge

GLOBBED_LIMIT = 8_192
"""Code points of an argument beyond which a glob cannot judge it: it bounds the time of a decision."""
NUMBER_LIMIT = 128
"""Characters of a number beyond which no constraint can judge it."""

_SHOWN = 80
_LARGEST = 10**100
_Check = Callable[[JsonValue], str]


@dataclass(frozen=True, slots=True)
class _Absent:
    """What stands for an argument that is not there."""


_ABSENT = _Absent()


class Constraint:
    """An ``ArgConstraint`` made ready to judge arguments. Raises :class:`BadConstraint` for one that never could."""

    def __init__(self, constraint: ArgConstraint) -> None:
        _refuse_contradictions(constraint)
        self.path = constraint.path
        self._keys = tuple(constraint.path.split("."))
        self._forbidden = constraint.present is False
        self._checks = _checks(constraint)

    def failure(self, arguments: Arguments) -> str:
        """Say what of the constraint is not met (it may show the argument), or ``""`` when all is.

        Raises :class:`CannotJudge` when that cannot be said.
        """
        arguments.refuse_twins(self._keys)
        value = self._find(arguments.exact())
        if isinstance(value, _Absent):
            return "" if self._forbidden else "it is not there"
        if self._forbidden:
            return "it is there"
        try:
            # All of them, not up to the first that is not met: to throw must not depend on their order.
            failures = [failure for check in self._checks if (failure := check(value))]
        except CannotJudge as error:
            raise self._cannot(error.reason, _shown(value)) from None
        return failures[0] if failures else ""

    def _find(self, arguments: Mapping[str, JsonValue]) -> JsonValue | _Absent:
        found: JsonValue | _Absent = _ABSENT
        holder: Mapping[str, JsonValue] = arguments
        for depth, key in enumerate(self._keys):
            if depth:
                if not isinstance(found, dict):
                    raise self._cannot("its path leads through something that is no object")
                holder = found
            if depth + 1 < len(self._keys) and ".".join(self._keys[depth:]) in holder:
                # A target may take either for what is meant.
                raise self._cannot("a key with dots in it reads like its path")
            found = holder.get(key, _ABSENT)
            if isinstance(found, _Absent):
                break
        return found

    def _cannot(self, why: str, shown: str = "") -> CannotJudge:
        reason = f"args.{self.path}: {why}"
        return CannotJudge(reason, f"{reason}: {shown}" if shown else "")


def check_args(constraints: Sequence[ArgConstraint]) -> None:
    """Raise :class:`BadConstraint` when one of the constraints contradicts itself, or two are about the same path."""
    seen = set[str]()
    for constraint in constraints:
        Constraint(constraint)
        if constraint.path in seen:
            raise BadConstraint(constraint.path, "there are two constraints on it", "put both into one")
        seen.add(constraint.path)


def _checks(constraint: ArgConstraint) -> tuple[_Check, ...]:
    checks = list[_Check]()
    if constraint.one_of is not None:
        checks.append(_listed(constraint.one_of, wanted=True))
    if constraint.none_of is not None:
        checks.append(_listed(constraint.none_of, wanted=False))
    if constraint.at_least is not None:
        checks.append(_bounded(constraint.at_least, upper=False))
    if constraint.at_most is not None:
        checks.append(_bounded(constraint.at_most, upper=True))
    if constraint.glob is not None:
        checks.append(_globbed(Glob(constraint.glob)))
    if constraint.max_length is not None:
        checks.append(_sized(constraint.max_length))
    return tuple(checks)


def _listed(values: Sequence[Scalar], *, wanted: bool) -> _Check:
    texts = frozenset(value for value in values if isinstance(value, str))
    others = frozenset(value for value in values if value is None or isinstance(value, bool))
    numbers = tuple(_exact(value) for value in values if _is_number(value))
    truths = any(isinstance(value, bool) for value in values)
    listing = ", ".join(repr(value) if isinstance(value, str) else _shown_scalar(value) for value in values)

    def is_listed(value: JsonValue) -> bool:
        if isinstance(value, Number):
            _demand(bool(numbers), "a number, and none is listed")
            exact, double = _read(value)
            # Every one of them: a number that is ambiguous beside one of the list must not hide behind another.
            equal = [_agree(exact == number, double == float(number)) for number in numbers]
            return any(equal)
        if isinstance(value, str):
            _demand(bool(texts), "a string, and none is listed")
            return value in texts
        if isinstance(value, bool):
            _demand(truths, "true or false, and neither is listed")
            return any(value is other for other in others)
        _demand(value is None, "an object or array, which no list can hold")
        _demand(None in others, "null, and it is not listed")
        return True

    def check(value: JsonValue) -> str:
        if is_listed(value) is wanted:
            return ""
        return f"{_shown(value)} is {'none' if wanted else 'one'} of {listing}"

    return check


def _bounded(bound: float, *, upper: bool) -> _Check:
    limit = _exact(bound)
    rounded = float(limit)

    def check(value: JsonValue) -> str:
        if not isinstance(value, Number):
            raise CannotJudge("no number")
        exact, double = _read(value)
        exactly = exact <= limit if upper else exact >= limit
        within = _agree(exactly, double <= rounded if upper else double >= rounded)
        return "" if within else f"{_shown(value)} is {'more' if upper else 'less'} than {bound}"

    return check


def _globbed(glob: Glob) -> _Check:
    def check(value: JsonValue) -> str:
        if isinstance(value, Number) or not isinstance(value, str):
            raise CannotJudge("no string")
        _demand(len(value) <= GLOBBED_LIMIT, f"longer than {GLOBBED_LIMIT} characters")
        return "" if glob.matches(value) else f"{_shown(value)} does not match {glob.pattern}"

    return check


def _sized(limit: int) -> _Check:
    def check(value: JsonValue) -> str:
        if isinstance(value, Number) or not isinstance(value, (str, list)):
            raise CannotJudge("neither a string nor an array")
        return "" if len(value) <= limit else f"its length {len(value)} is more than {limit}"

    return check


def _read(number: Number) -> tuple[Decimal, float]:
    """A number as it is written, and as most parsers read it."""
    _demand(len(number) <= NUMBER_LIMIT, "a number of too many digits")
    try:
        exact = Decimal(number)
    except DecimalException:
        raise CannotJudge("a number that is too large") from None
    return exact, float(number)


def _agree(exactly: bool, as_double: bool) -> bool:
    _demand(exactly is as_double, "a number that not every parser reads alike")
    return exactly


def _exact(number: Scalar) -> Decimal:
    # The shortest text of a float is what stands in the file; its exact value is not.
    return Decimal(repr(number))


def _is_number(value: Scalar) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise CannotJudge(otherwise)


def _shown(value: JsonValue) -> str:
    if isinstance(value, Number) or not isinstance(value, (str, dict, list)):
        return _shown_scalar(value)
    text = repr(value) if isinstance(value, str) else "an object" if isinstance(value, dict) else "an array"
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def _shown_scalar(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)


def _refuse_contradictions(constraint: ArgConstraint) -> None:
    what, remedy = _contradiction(constraint)
    if what:
        raise BadConstraint(constraint.path, what, remedy)


def _contradiction(constraint: ArgConstraint) -> tuple[str, str]:
    bounds = [bound for bound in (constraint.at_least, constraint.at_most) if bound is not None]
    shapes = [part for part in (constraint.glob, constraint.max_length) if part is not None]
    lists = [values for values in (constraint.one_of, constraint.none_of) if values is not None]
    demands = [*bounds, *shapes, *lists]
    if not all(constraint.path.split(".")):
        return "its path has an empty key", "join keys with single dots"
    if constraint.present is None and not demands:
        return "it demands nothing", "say what the argument must be"
    if constraint.present is False and demands:
        return "it demands a value of an argument that must not be there", "drop one of the two"
    if not all(lists):
        return "its list is empty", "list the values, or drop it"
    numbers = [*bounds, *(value for values in lists for value in values if _is_number(value))]
    if not all(_is_number(number) and _is_judged(number) for number in numbers):
        return "a bound is no number, or one that not every parser reads alike", "give a number that a double can hold"
    if bounds and shapes:
        return "it bounds a number and demands a string or an array", "no value can be both: drop one"
    if constraint.max_length is not None and (isinstance(constraint.max_length, bool) or constraint.max_length < 0):
        return "max_length is no length", "give a whole number from 0 up"
    return _never_met(constraint)


def _never_met(constraint: ArgConstraint) -> tuple[str, str]:
    low, high = constraint.at_least, constraint.at_most
    if low is not None and high is not None and low > high:
        return f"no number is at least {low} and at most {high}", "swap the bounds, or correct one"
    if constraint.one_of is None:
        return "", ""
    checks = _checks(constraint)
    if not any(all(_passes(check, value) for check in checks) for value in constraint.one_of):
        return "no listed value meets what else is demanded", "correct the list, or drop the other demand"
    return "", ""


def _passes(check: _Check, value: Scalar) -> bool:
    try:
        return not check(_as_json(value))
    except CannotJudge:
        return False


def _as_json(value: Scalar) -> JsonValue:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Number(repr(value))
    return value


def _is_judged(number: Scalar) -> bool:
    """Whether the constraint means the same for parsers that read doubles and for those that read any number."""
    if isinstance(number, float):
        return isfinite(number)
    return isinstance(number, int) and abs(number) < _LARGEST and int(float(number)) == number
