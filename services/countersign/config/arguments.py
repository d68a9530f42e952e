"""``args:`` of a rule: what arguments must be, and demands that nothing could ever meet."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from countersign.config.document import Node, kind_of
from countersign.config.problem import Place, Problems
from countersign.config.shape_base import GLOB_LIMIT, TEXT_LIMIT
from countersign.config.shape_rules import VALUES_LIMIT
from countersign.config.wording import nearest
from countersign.model.glob import Glob
from countersign.model.rule import ArgConstraint, Scalar
from countersign.policy import BadConstraint, check_args

PATH_LIMIT = 256
SHOWN = 60

_TEXT, _NUMBER, _BOOL, _LIST = "text", "a number", "true or false", "a list"
_OTHER_GLOBS = re.compile(r"[\[\]{}]|\\[*?]")
_NEVER = "no argument can ever meet this"


def read(node: Node, out: Problems) -> tuple[ArgConstraint, ...]:
    """The constraints that ``args:`` states; to be used only if nothing was added to ``out``."""
    constraints: dict[str, ArgConstraint] = {}
    for path, value in node.value.items() if isinstance(node.value, dict) else ():
        place = node.keys[path]
        before = len(out)
        _check_path(path, place, out)
        constraints[path] = _constraint(path, value, out)
        if len(out) == before:
            _check_judged(constraints[path], place, out)
    for path in constraints:
        for outer, constraint in constraints.items():
            if path.startswith(f"{outer}.") and constraint != ArgConstraint(outer, present=True):
                what = f"`{outer}` is judged as a value of its own, so `{path}` can be no part of it"
                out.add(node.keys[path], what, "keep one of them")
    return tuple(constraints.values())


def _check_path(path: str, place: Place, out: Problems) -> None:
    shown = f"`{path}`"
    if len(path) > PATH_LIMIT:
        out.add(place, "the path of an argument is too long", f"at most {PATH_LIMIT} characters")
    elif "*" in path or "?" in path or "[" in path:
        remedy = "name each argument in full; for the elements of a list write `when: args.ids.all(id, id > 0)`"
        out.add(place, f"{shown} has a wildcard or a position, and paths have none", remedy)
    elif not path.isprintable() or any(not step or step != step.strip() for step in path.split(".")):
        remedy = "write keys joined by dots, such as limit or filter.region"
        out.add(place, f"{shown} is no path of an argument", remedy)
    elif path.startswith("args."):
        out.add(place, f"{shown} would be an argument named `args`", f"write `{path.removeprefix('args.')}`")


def _check_judged(constraint: ArgConstraint, place: Place, out: Problems) -> None:
    """What judges the arguments has the last word on what it can judge."""
    try:
        check_args([constraint])
    except BadConstraint as error:
        out.add(place, f"`{error.path}`: {error.what}", error.remedy)


def _constraint(path: str, node: Node, out: Problems) -> ArgConstraint:
    if isinstance(node.value, dict):
        return _Demands(path, node, out).constraint()
    if isinstance(node.value, list):
        return ArgConstraint(path, one_of=_values(path, node, out))
    return ArgConstraint(path, one_of=(_value(path, node, out),))


def _values(title: str, node: Node, out: Problems) -> tuple[Scalar, ...]:
    entries = node.value if isinstance(node.value, list) else [node]
    if not entries:
        out.add(node.place, f"`{title}` is empty", "give at least one value")
    if len(entries) > VALUES_LIMIT:
        out.add(node.place, f"`{title}` has too many entries", f"at most {VALUES_LIMIT}")
    values = tuple(_value(title, entry, out) for entry in entries)
    first = next(iter(entries), node)
    for entry in entries:
        if kind_of(entry.value) != kind_of(first.value):
            what = f"`{title}` lists {_read_as(first)} and {_read_as(entry)}, which no one argument can be"
            out.add(entry.place, what, "put text in quotes, and numbers, true and false not")
            break
    return values


def _value(title: str, node: Node, out: Problems) -> Scalar:
    value = node.value
    if isinstance(value, list | dict):
        what = f"`{title}` lists {kind_of(value)}"
        out.add(node.place, what, "list text, numbers, true or false; for more write a `when`")
        return None
    if isinstance(value, float) and not math.isfinite(value):
        out.add(node.place, f"`{title}` is no finite number", "JSON has finite numbers only")
    if isinstance(value, str) and len(value) > TEXT_LIMIT:
        out.add(node.place, f"`{title}` is too long", f"at most {TEXT_LIMIT} characters")
    return value


def _read_as(node: Node) -> str:
    value = node.value
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str):
        return f"the text `{value[:SHOWN]}`"
    return f"the number `{node.raw[:SHOWN]}`" if isinstance(value, int | float) else kind_of(value)


@dataclass(slots=True)
class _Demands:
    """What is said of one argument by a mapping; ``wanted`` is the type that each key judges, if it is but one."""

    path: str
    node: Node
    out: Problems
    wanted: dict[str, frozenset[str]] = field(default_factory=dict)

    def constraint(self) -> ArgConstraint:
        given = self.node.value if isinstance(self.node.value, dict) else {}
        if not given:
            self.out.add(self.node.place, f"`{self.path}` demands nothing", "give at least one of " + ", ".join(_KEYS))
        before = len(self.out)
        for key in given:
            if key not in _KEYS:
                meant = _ALIASES.get(key.lower()) or nearest(key, _KEYS)
                remedy = f"did you mean `{meant}`?" if meant else f"remove it; known here: {', '.join(_KEYS)}"
                self.out.add(self.node.keys[key], f"unknown key `{key}`", remedy)
        constraint = ArgConstraint(
            self.path,
            one_of=self._list("in"),
            none_of=self._list("not_in"),
            at_least=self._number("min"),
            at_most=self._number("max"),
            glob=self._glob(),
            max_length=self._length(),
            present=self._present(),
        )
        if len(self.out) == before:
            self._check_sense(constraint)
        return constraint

    def _list(self, key: str) -> tuple[Scalar, ...] | None:
        node = self.node.child(key)
        if node is None:
            return None
        if not isinstance(node.value, list):
            self.out.add(node.place, f"`{key}` is {kind_of(node.value)} where a list is needed", "write [one, two]")
            return None
        values = _values(f"{self.path}.{key}", node, self.out)
        self.wanted[key] = frozenset(kind_of(value) for value in values)
        return values

    def _number(self, key: str) -> int | float | None:
        node = self.node.child(key)
        if node is None:
            return None
        value = node.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            what = f"`{key}` is read as {_read_as(node)} where a number is needed"
            self.out.add(node.place, what, "write a number, without quotes")
            return None
        self.wanted[key] = frozenset({_NUMBER})
        return value if _value(f"{self.path}.{key}", node, self.out) is not None else None

    def _glob(self) -> str | None:
        node = self.node.child("glob")
        if node is None:
            return None
        glob = node.value
        if not isinstance(glob, str):
            self.out.add(node.place, f"`glob` is read as {_read_as(node)} where text is needed", "put it in quotes")
            return None
        if not glob or len(glob) > GLOB_LIMIT:
            what = f"`{self.path}.glob` is {'too long' if glob else 'empty'}"
            self.out.add(node.place, what, f"give 1 to {GLOB_LIMIT} characters")
        elif _OTHER_GLOBS.search(glob):
            remedy = "only * and ? are wildcards; list values by `in`, or write a `when`"
            self.out.add(node.place, f"`{glob[:SHOWN]}` has brackets, which would stand for themselves", remedy)
        self.wanted["glob"] = frozenset({_TEXT})
        return glob

    def _length(self) -> int | None:
        node = self.node.child("max_length")
        if node is None:
            return None
        length = node.value
        if isinstance(length, bool) or not isinstance(length, int) or length < 0:
            what = f"`max_length` is read as {_read_as(node)} where a count is needed"
            self.out.add(node.place, what, "write a whole number that is not negative, without quotes")
            return None
        self.wanted["max_length"] = frozenset({_TEXT, _LIST})
        return length

    def _present(self) -> bool | None:
        node = self.node.child("present")
        if node is None:
            return None
        if not isinstance(node.value, bool):
            what = f"`present` is read as {_read_as(node)} where true or false is needed"
            self.out.add(node.place, what, "write true or false, without quotes")
            return None
        return node.value

    def _check_sense(self, demands: ArgConstraint) -> None:
        """Refuse demands that contradict each other, at the later of the two."""
        if demands.present is False and self.wanted:
            self._refuse("present", f"{_NEVER}: it must be absent, and yet be judged", "keep one of them")
            return
        judged = list(self.wanted)
        for index, key in enumerate(judged):
            for other in judged[:index]:
                if not self.wanted[key] & self.wanted[other]:
                    one, two = (" or ".join(sorted(self.wanted[each])) for each in (other, key))
                    said = f"`{other}` is about {one}, `{key}` about {two}"
                    self._refuse(key, f"{_NEVER}: {said}", "keep what is about the type that the tool takes")
                    return
        if demands.at_least is not None and demands.at_most is not None and demands.at_least > demands.at_most:
            self._refuse("min", f"{_NEVER}: `min` is more than `max`", "exchange them")
        elif demands.one_of is not None and not any(_fits(value, demands) for value in demands.one_of):
            self._refuse("in", f"{_NEVER}: what else is said of it rules out every value", "keep one of them")

    def _refuse(self, key: str, what: str, remedy: str) -> None:
        self.out.add(self.node.keys[key], f"`{self.path}`: {what}", remedy)


def _fits(value: Scalar, demands: ArgConstraint) -> bool:
    """Whether a value that `in` lists, of the type that the others judge, meets the others."""
    if demands.none_of is not None and value in demands.none_of:
        return False
    if isinstance(value, int | float):
        least, most = demands.at_least, demands.at_most
        return (least is None or value >= least) and (most is None or value <= most)
    if isinstance(value, str):
        length = demands.max_length
        return (length is None or len(value) <= length) and (demands.glob is None or Glob(demands.glob).matches(value))
    return True


_KEYS = ("min", "max", "in", "not_in", "glob", "max_length", "present")
_ALIASES = {
    **dict.fromkeys(("minimum", "at_least", "ge", "gte"), "min"),
    **dict.fromkeys(("maximum", "at_most", "le", "lte"), "max"),
    **dict.fromkeys(("one_of", "enum", "any_of", "values"), "in"),
    **dict.fromkeys(("none_of", "not", "notin"), "not_in"),
    **dict.fromkeys(("pattern", "like", "matches", "regex"), "glob"),
    **dict.fromkeys(("maxlength", "max_len", "length"), "max_length"),
    **dict.fromkeys(("required", "exists"), "present"),
}
