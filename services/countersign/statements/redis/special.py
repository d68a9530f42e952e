"""Redis commands whose arguments decide what they do: ranges, scans, settings, replication, pops."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from countersign.statements.redis.tables import CREDENTIAL_SETTINGS, FILE_SETTINGS, OPEN_SETTINGS
from countersign.statements.verdict import StatementClass

_C = StatementClass
ROWS_MAX = 1000
"""More elements than this at once are a bulk read."""

_SCAN_DEFAULT = 10
_PAGE = 2
"""LIMIT takes an offset and a count."""

Grammar = Mapping[str, int]
"""The options of a command: keyword to the number of words that follow it."""

_SCAN: Grammar = {"match": 1, "count": 1, "type": 1, "novalues": 0}
_SORTED: Grammar = {"byscore": 0, "bylex": 0, "rev": 0, "withscores": 0, "limit": _PAGE}
_STREAM: Grammar = {"count": 1, "block": 1, "noack": 0, "group": 2, "claim": 1}
_SORT: Grammar = {"by": 1, "get": 1, "asc": 0, "desc": 0, "alpha": 0, "store": 1, "limit": _PAGE}
_POP: Grammar = {"left": 0, "right": 0, "min": 0, "max": 0, "count": 1}
_RADIUS: Grammar = {
    **dict.fromkeys(("withcoord", "withdist", "withhash", "any", "asc", "desc"), 0),
    **dict.fromkeys(("count", "store", "storedist"), 1),
}
_SEARCH: Grammar = {**_RADIUS, "frommember": 1, "fromlonlat": 2, "byradius": 2, "bybox": 3}

Finding = tuple[frozenset[StatementClass], int | None] | None
"""The classes and the bound on rows; ``None`` when the arguments are not understood."""

_BULK: Finding = (frozenset({_C.BULK_READ}), None)
_GLOB = frozenset("*?[\\")


def _number(word: str) -> int | None:
    digits = word.removeprefix("-")
    return int(word) if digits.isascii() and digits.isdigit() and len(digits) < 19 else None


def _bounded(rows: int | None) -> Finding:
    """Return a read of so many rows; ``None`` for the number is no bound."""
    if rows is None or rows > ROWS_MAX:
        return _BULK
    return frozenset({_C.READ}), max(rows, 0)


def _with(finding: Finding, *classes: StatementClass) -> Finding:
    return None if finding is None else (finding[0] | set(classes), finding[1])


def _options(words: Sequence[str], grammar: Grammar) -> dict[str, Sequence[str]] | None:
    """Read options, each a keyword and its fixed number of words; ``None`` when something else stands there."""
    found: dict[str, Sequence[str]] = {}
    position = 0
    while position < len(words):
        keyword = words[position].lower()
        taken = grammar.get(keyword)
        if taken is None or position + taken >= len(words):
            return None
        found[keyword] = words[position + 1 : position + 1 + taken]
        position += 1 + taken
    return found


def _counted(options: dict[str, Sequence[str]] | None, default: int | None, keyword: str = "count") -> Finding:
    """Return a read of as many rows as the last word of the option says, or of ``default``."""
    if options is None:
        return None
    if keyword not in options:
        return _bounded(default)
    count = _number(options[keyword][-1])
    return None if count is None else _bounded(None if count < 0 else count)


def _span(start: str, stop: str) -> Finding:
    first, last = _number(start), _number(stop)
    if first is None or last is None:
        return None
    same_end = (first < 0) == (last < 0)
    return _bounded(max(last - first + 1, 0) if same_end else None)


def _range(arguments: Sequence[str]) -> Finding:
    return _span(arguments[1], arguments[2])


def _sorted_range(arguments: Sequence[str]) -> Finding:
    options = _options(arguments[3:], _SORTED)
    if options is None or "limit" in options:
        return _counted(options, None, "limit")
    if "byscore" in options or "bylex" in options:
        return _BULK
    return _range(arguments)


def _score_range(arguments: Sequence[str]) -> Finding:
    return _counted(_options(arguments[3:], _SORTED), None, "limit")


def _keys(arguments: Sequence[str]) -> Finding:
    return _BULK if _GLOB & set(arguments[0]) else _bounded(1)


def _scan(arguments: Sequence[str]) -> Finding:
    return _counted(_options(arguments[1:], _SCAN), _SCAN_DEFAULT)


def _element_scan(arguments: Sequence[str]) -> Finding:
    return _counted(_options(arguments[2:], _SCAN), _SCAN_DEFAULT)


def _random(arguments: Sequence[str]) -> Finding:
    if len(arguments) == 1:
        return _bounded(1)
    count = _number(arguments[1])
    return None if count is None else _bounded(abs(count))


def _pop(arguments: Sequence[str]) -> Finding:
    return _with(_random(arguments), _C.WRITE)


def _many_pop(arguments: Sequence[str]) -> Finding:
    keys = _number(arguments[0])
    if keys is None or keys < 1:
        return None
    return _with(_counted(_options(arguments[1 + keys :], _POP), 1), _C.WRITE)


def _stream_range(arguments: Sequence[str]) -> Finding:
    if arguments[1] == arguments[2] and arguments[1] not in ("-", "+"):
        return _bounded(1)
    return _counted(_options(arguments[3:], {"count": 1}), None)


def _stream_read(arguments: Sequence[str]) -> Finding:
    lower = [word.lower() for word in arguments]
    if "streams" not in lower:
        return None
    options = _options(arguments[: lower.index("streams")], _STREAM)
    finding = _counted(options, None)
    return _with(finding, _C.SESSION_CONTROL) if options is not None and "block" in options else finding


def _group_read(arguments: Sequence[str]) -> Finding:
    return _with(_stream_read(arguments), _C.WRITE)


def _pending(arguments: Sequence[str]) -> Finding:
    if len(arguments) == 2:
        return _bounded(1)
    ranged = arguments[4:] if arguments[2].lower() == "idle" else arguments[2:]
    count = _number(ranged[2]) if len(ranged) >= 3 else None
    return None if count is None else _bounded(count)


def _sort(arguments: Sequence[str]) -> Finding:
    return _storing(_options(arguments[1:], _SORT), "limit")


def _near(arguments: Sequence[str]) -> Finding:
    return _storing(_options(arguments[5:], _RADIUS))


def _near_member(arguments: Sequence[str]) -> Finding:
    return _storing(_options(arguments[4:], _RADIUS))


def _search(arguments: Sequence[str]) -> Finding:
    return _storing(_options(arguments[1:], _SEARCH))


def _storing(options: dict[str, Sequence[str]] | None, keyword: str = "count") -> Finding:
    if options is not None and ("store" in options or "storedist" in options):
        return frozenset({_C.WRITE}), None
    return _counted(options, None, keyword)


def _config_get(arguments: Sequence[str]) -> Finding:
    closed = any(word.lower() not in OPEN_SETTINGS for word in arguments[1:])
    return _with(_bounded(len(arguments)), _C.PRIVILEGE) if closed else _bounded(len(arguments))


def _config_set(arguments: Sequence[str]) -> Finding:
    classes = {_C.SESSION_CONTROL}
    for name in (word.lower() for word in arguments[1::2]):
        if name in FILE_SETTINGS:
            classes.add(_C.FILE_ACCESS)
        if name in CREDENTIAL_SETTINGS:
            classes.add(_C.PRIVILEGE)
    return frozenset(classes), None


def _replica(arguments: Sequence[str]) -> Finding:
    if [word.lower() for word in arguments] == ["no", "one"]:
        return frozenset({_C.SESSION_CONTROL}), None
    return frozenset({_C.EXPORT, _C.MASS_WRITE, _C.SESSION_CONTROL}), None


def _hello(arguments: Sequence[str]) -> Finding:
    classes = {_C.SESSION_CONTROL} | ({_C.PRIVILEGE} if len(arguments) > 1 else set())
    return frozenset(classes), None


def _slot_keys(arguments: Sequence[str]) -> Finding:
    count = _number(arguments[2])
    return None if count is None else _bounded(count)


SPECIAL: dict[str, tuple[Callable[[Sequence[str]], Finding], int]] = {
    "keys": (_keys, 1),
    "scan": (_scan, 1),
    **dict.fromkeys(("sscan", "hscan", "zscan"), (_element_scan, 2)),
    "lrange": (_range, 3),
    "zrevrange": (_range, 3),
    "zrange": (_sorted_range, 3),
    **dict.fromkeys(("zrangebyscore", "zrevrangebyscore", "zrangebylex", "zrevrangebylex"), (_score_range, 3)),
    **dict.fromkeys(("srandmember", "hrandfield", "zrandmember"), (_random, 1)),
    **dict.fromkeys(("lpop", "rpop", "spop", "zpopmin", "zpopmax"), (_pop, 1)),
    **dict.fromkeys(("lmpop", "zmpop"), (_many_pop, 3)),
    **dict.fromkeys(("xrange", "xrevrange"), (_stream_range, 3)),
    "xread": (_stream_read, 3),
    "xreadgroup": (_group_read, 6),
    "xpending": (_pending, 2),
    **dict.fromkeys(("sort", "sort_ro"), (_sort, 1)),
    **dict.fromkeys(("georadius", "georadius_ro"), (_near, 5)),
    **dict.fromkeys(("georadiusbymember", "georadiusbymember_ro"), (_near_member, 4)),
    "geosearch": (_search, 6),
    "config get": (_config_get, 2),
    "config set": (_config_set, 3),
    "cluster getkeysinslot": (_slot_keys, 3),
    **dict.fromkeys(("replicaof", "slaveof"), (_replica, 2)),
    "hello": (_hello, 0),
}
"""By name: what looks at the arguments (of ``config x``, ``x`` is the first), and how many it needs."""
