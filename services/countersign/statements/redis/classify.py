"""From a text of Redis commands, one a line, to a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from countersign.statements.combine import combine
from countersign.statements.redis.special import ROWS_MAX, SPECIAL
from countersign.statements.redis.tables import COMMANDS, CONTAINERS, Entry, Keys
from countersign.statements.redis.words import QuotingError, split_line
from countersign.statements.verdict import READING, StatementClass, Verdict, unparsable

SIZE_MAX = 64 * 1024
"""Characters; a longer text is not looked at."""

LINES_MAX = 1000
_NAMES_KEY = frozenset({"by", "get", "store", "storedist"})
_C = StatementClass


def classify_redis(text: str) -> Verdict:
    """Say what Redis commands do, one a line, quoted as ``redis-cli`` quotes.

    Never raises. Unparsable: a command that the table does not know (modules', renamed ones), a wrong number of
    arguments, quotes that do not close, RESP arrays, no command at all, more than 64 KiB.

    ``reads`` and ``writes`` are the first segments of the keys (``session:*`` for ``session:8f3a``), because what
    follows the colon is data more often than a name.
    """
    if len(text) > SIZE_MAX:
        return unparsable("longer than 64 KiB")
    try:
        lines = [line for line in text.split("\n") if line.strip(" \t\r\v\f")]
        if not lines:
            return unparsable("no command")
        if len(lines) > LINES_MAX:
            return unparsable("too many commands")
        whole = combine(_line(line) for line in lines)
        # The protocol's own form: its lines are no commands, unless the client reads them as such.
        return unparsable(whole.reason, whole.classes - READING) if lines[0].lstrip()[:1] == "*" else whole
    except Exception:
        return unparsable("the classifier failed")


def _line(line: str) -> Verdict:
    if line.lstrip()[:1] == "*":
        return unparsable("a RESP array, not an inline command")
    try:
        words = split_line(line)
    except QuotingError as error:
        return unparsable(str(error))
    return classify_words(words)


def classify_words(words: Sequence[str]) -> Verdict:
    """Say what one command does, whose words (at least one) were told apart already."""
    name = words[0].lower() if words[0].isascii() else ""
    arguments = words[1:]
    if name in CONTAINERS and arguments and arguments[0].isascii():
        full = f"{name} {arguments[0].lower()}"
        if full in SPECIAL:
            return _special(full, arguments)
        if full in COMMANDS:
            return _plain(full, COMMANDS[full], arguments[1:])
    if name in SPECIAL:
        return _special(name, arguments)
    if name in COMMANDS:
        return _plain(name, COMMANDS[name], arguments)
    return unparsable("a command that is not known")


def _plain(name: str, entry: Entry, arguments: Sequence[str]) -> Verdict:
    if not entry.least <= len(arguments) <= entry.most:
        return unparsable(f"a wrong number of arguments for {name.upper()}")
    keys = _keys(entry.keys, arguments)
    bound = None
    if _C.READ in entry.classes:
        bound = max(len(arguments), 1) if entry.keys is Keys.ALL else 1
    classes = entry.classes
    if bound is not None and bound > ROWS_MAX:
        classes, bound = classes - {_C.READ} | {_C.BULK_READ}, None
    return _verdict(name, classes, keys, bound)


def _special(name: str, arguments: Sequence[str]) -> Verdict:
    judge, least = SPECIAL[name]
    finding = judge(arguments) if len(arguments) >= least else None
    if finding is None:
        return unparsable(f"arguments of {name.upper()} that are not understood")
    classes, bound = finding
    unkeyed = " " in name or name in {"keys", "scan", "xread", "xreadgroup", "lmpop", "zmpop", "replicaof", "hello"}
    keys = frozenset[str]() if unkeyed else _keys(Keys.FIRST, arguments) | _keys(Keys.ALL, _named_by_options(arguments))
    return _verdict(name, classes, keys, bound)


def _named_by_options(arguments: Sequence[str]) -> list[str]:
    """Return the keys, and patterns of keys, that ``SORT`` and ``GEORADIUS`` read and store to beside their first."""
    named = [after for option, after in pairwise(arguments) if option.lower() in _NAMES_KEY]
    return [each for each in named if each not in ("#", "nosort")]


def _verdict(name: str, classes: frozenset[StatementClass], keys: frozenset[str], bound: int | None) -> Verdict:
    changes = bool(classes & {_C.WRITE, _C.MASS_WRITE})
    looks = bool(classes & READING)
    return Verdict(
        classes,
        reads=keys if looks else frozenset(),
        writes=keys if changes else frozenset(),
        row_bound=bound,
        reason=f"{name.upper()} is {', '.join(sorted(classes))}",
    )


def _keys(where: Keys, arguments: Sequence[str]) -> frozenset[str]:
    match where:
        case Keys.NONE:
            return frozenset()
        case Keys.FIRST:
            keys = arguments[:1]
        case Keys.TWO:
            keys = arguments[:2]
        case Keys.ALL:
            keys = arguments
        case Keys.ODD:
            keys = arguments[::2]
        case Keys.COUNTED:
            count = arguments[0]
            keys = arguments[1 : 1 + int(count)] if count.isascii() and count.isdigit() and len(count) < 6 else ()
    return frozenset(_segment(key) for key in keys)


def _segment(key: str) -> str:
    head, colon, _ = key.partition(":")
    return f"{head}:*" if colon else key
