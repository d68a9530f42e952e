"""What CEL says of a condition, in our words: what is wrong, where, and what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

from countersign.policy.conditions.vocabulary import VOCABULARY
from countersign.policy.errors import BadCondition

_ERROR = re.compile(r"^(?:[A-Z_]+: )?ERROR: <input>:(-?\d+):(-?\d+): (.*?)(?= \[[A-Z_]+\]$|$)", re.MULTILINE)
_UNDECLARED = re.compile(r"undeclared reference to '([^']*)'")
_UNDEFINED = re.compile(r"undefined field '([^']*)' not found in struct '([^']*)'")
_OVERLOAD = re.compile(r"found no matching overload for '([^']*)' applied to '([^']*)'")
_UNEXPECTED = re.compile(r"Syntax error: (?:mismatched|extraneous) input '(.*?)' expecting")
_UNREADABLE = re.compile(r"Syntax error: (?:token recognition error at|no viable alternative at input):? '(.*)'")
_UNCLOSED = re.compile(r"Syntax error: missing '.*' at '<EOF>'")
_INSTEAD = {"and": "&&", "or": "||", "not": "!", "=": "==", "AND": "&&", "OR": "||", "NOT": "!", "&": "&&", "|": "||"}
_THROWN = (
    ("Key not found", "it reads a key that is not there"),
    ("No matching overload", "a value is of another type than it needs"),
    ("No value with name", "it reads what is not known"),
    ("by zero", "it divides by zero"),
    ("modulus", "it divides by zero"),
    ("overflow", "a number becomes too large"),
    ("Iteration budget", "it takes too many steps"),
    ("Index error", "an index is outside its list"),
    ("index out of", "an index is outside its list"),
    ("the dialect is not known", "the dialect is not known"),
    ("the statement could not be classified", "the statement could not be classified"),
    ("the address or the network is none", "the address or the network is none"),
)
_NAMES = tuple(variable.name for variable in VOCABULARY.variables)
_OURS = tuple(function.name for function in VOCABULARY.functions)
_FUNCTIONS = (*_OURS, *VOCABULARY.builtins)


def of_compiling(text: str, said: str) -> BadCondition:
    """Make the refusal of a condition that CEL would not compile."""
    found = [(int(line), int(column), message) for line, column, message in _ERROR.findall(said)]
    if "recursion" in said:
        return BadCondition(1, 1, "it is nested too deeply", "split it into several rules")
    if not found:
        return BadCondition(1, 1, "it is no condition", "write an expression in CEL that is true or false")
    # A macro that does not exist leaves its names undeclared; what is called is the cause of what is not known.
    called = [error for error in found if (name := _undeclared(error[2])) and _is_called(text, *error[:2], name)]
    line, column, message = (called or found)[0]
    return _refusal(text, max(line, 1), max(column, 1), message)


def of_type(text: str, kind: str) -> BadCondition:
    """Make the refusal of a condition that is neither true nor false."""
    written = text.strip()
    if kind == "DYN":
        return BadCondition(1, 1, "what it yields is known only when it is called", f"write `{written} == true`")
    return BadCondition(1, 1, f"it is neither true nor false, but of type {kind.lower()}", "compare it with something")


def while_evaluating(said: str) -> tuple[str, str]:
    """Why a condition threw: in general terms, as CEL's own words may hold values of the call; and those words."""
    why = next((ours for theirs, ours in _THROWN if theirs in said), "it cannot be evaluated")
    return why, f"{why} ({said})"


def _refusal(text: str, line: int, column: int, message: str) -> BadCondition:
    if match := _UNDEFINED.search(message):
        field, structure = match[1], match[2].rpartition(".")[2]
        names = [known.name for known in VOCABULARY.fields_of(structure)]
        what = f"{_owner(structure)} has no field {field}"
        return BadCondition(line, _near(text, line, column, field), what, _hint(field, names))
    if name := _undeclared(message):
        first = name.split(".")[0]
        at = _near(text, line, column, first)
        if name in _FUNCTIONS:
            return BadCondition(line, at, f"{name} does not take these arguments", _usage(name))
        if _is_called(text, line, column, name):
            return BadCondition(line, at, f"there is no function {name}", _hint(name, _FUNCTIONS, listed=_OURS))
        return BadCondition(line, at, f"there is no {first}", _hint(first, _NAMES))
    if match := _OVERLOAD.search(message):
        written, types = match[1].strip("_@").replace("_", " "), match[2].replace("countersign.", "")
        at = _near(text, line, column, written.split(" ")[0])
        return BadCondition(line, at, f"{written} cannot be applied to {types}", _usage(match[1]))
    if match := _UNEXPECTED.search(message):
        if match[1] == "<EOF>":
            return BadCondition(line, column, "it ends too early", "complete it")
        before = _line(text, line)[: column - 1].split()[-1:]
        wrong = before[0] if before and before[0] in _INSTEAD else match[1]
        return BadCondition(line, _near(text, line, column, wrong), f"{wrong} is not expected here", _instead(wrong))
    if _UNCLOSED.search(message):
        return BadCondition(line, column, "it ends too early", "complete it")
    if match := _UNREADABLE.search(message):
        return BadCondition(line, column, f"{match[1].strip()} is not understood here", _instead(match[1].strip()))
    return BadCondition(line, column, message.removeprefix("Syntax error: "), "correct it as CEL's language asks")


def _undeclared(message: str) -> str:
    match = _UNDECLARED.search(message)
    return match[1] if match else ""


def _is_called(text: str, line: int, column: int, name: str) -> bool:
    last = name.rpartition(".")[2]
    after = _line(text, line)[max(0, column - 2 - len(name)) :]
    return re.search(rf"\b{re.escape(last)}\s*\(", after) is not None


def _near(text: str, line: int, column: int, word: str) -> int:
    """The column where a word stands nearest to where CEL points, which may be the dot or bracket beside it."""
    places = [match.start() + 1 for match in re.finditer(re.escape(word), _line(text, line))] if word else []
    return min(places, key=lambda place: abs(place - column), default=column)


def _line(text: str, line: int) -> str:
    lines = text.split("\n")
    return lines[line - 1] if line <= len(lines) else ""


def _owner(structure: str) -> str:
    name = next((variable.name for variable in VOCABULARY.variables if variable.type == structure), "")
    return name or f"the result of {', '.join(f.name for f in VOCABULARY.functions if f.result == structure)}"


def _hint(word: str, known: Sequence[str], *, listed: Sequence[str] = ()) -> str:
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else f"use one of {', '.join(listed or known)}"


def _usage(name: str) -> str:
    function = next((function for function in VOCABULARY.functions if function.name == name), None)
    if function is not None:
        return f"write {function.signature}"
    if name in VOCABULARY.builtins:
        return "give it values of the types that CEL defines it for"
    return "compare and combine values of the same type"


def _instead(written: str) -> str:
    return f"write {_INSTEAD[written]} instead" if written in _INSTEAD else "correct it as CEL's language asks"
