"""What a MongoDB command document does (``{"find": "users", "limit": 5}``); mongosh's methods are turned into these."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from countersign.statements.combine import combine, settle
from countersign.statements.mongo.filters import ROWS_MAX, Narrowing, narrowing
from countersign.statements.mongo.operators import CODE, operators, runs_code
from countersign.statements.mongo.pipeline import Flow, follow
from countersign.statements.mongo.tables import (
    ALIASES,
    EVERY_COMMAND,
    FIXED,
    ON_COLLECTION,
    OPTIONS,
    PRIVILEGED_DATABASES,
    SENSITIVE_COLLECTIONS,
)
from countersign.statements.mongo.values import Document, NotUnderstoodError, Value, array, count, document, name
from countersign.statements.verdict import StatementClass, Verdict

_C = StatementClass
_NO_DOCUMENT: Document = {}


def judge(command: Document, database: str | None = None) -> Verdict:
    """Say what one command does in a database (``None``: the session's own).

    Raises :class:`NotUnderstoodError` for a command, option, stage or operator that is not known.
    """
    if not command:
        raise NotUnderstoodError("an empty command")
    written = next(iter(command))
    verb = ALIASES.get(written, written)
    if "$db" in command:
        database = name(command["$db"])
    if verb in FIXED:
        return _fixed(verb, command, database)
    if verb not in _JUDGES:
        raise NotUnderstoodError("a command that is not known")
    if not command.keys() - {written} <= OPTIONS[verb] | EVERY_COMMAND:
        raise NotUnderstoodError(f"an option of {verb} that is not known")
    return _JUDGES[verb](command, command[written], database)


def _fixed(verb: str, command: Document, database: str | None) -> Verdict:
    classes = FIXED[verb]
    target = command[verb]
    named = verb in ON_COLLECTION and isinstance(target, str)
    touched = frozenset({_qualified(name(target), database)}) if named else frozenset[str]()
    if verb == "create" and "pipeline" in command and follow(array(command["pipeline"])).classes:
        classes = classes | {_C.CODE_EXECUTION}
    if verb == "collMod" and "pipeline" in command and follow(array(command["pipeline"])).classes:
        classes = classes | {_C.CODE_EXECUTION}
    if verb == "profile" and target == -1:
        classes = frozenset({_C.READ})
    if not CODE.isdisjoint(operators(command)):
        classes = classes | {_C.CODE_EXECUTION}
    reads = _C.READ in classes
    return Verdict(
        classes,
        reads=touched if reads else frozenset(),
        writes=frozenset() if reads else touched,
        reason=_reason(verb, classes),
    )


def _qualified(collection: str, database: str | None) -> str:
    return f"{database}.{collection}" if database else collection


def _reason(verb: str, classes: Iterable[StatementClass]) -> str:
    return f"{verb} is {', '.join(sorted(classes))}"


def _privileged(relations: Iterable[str]) -> bool:
    for relation in relations:
        first, _, rest = relation.partition(".")
        if relation in SENSITIVE_COLLECTIONS or rest in SENSITIVE_COLLECTIONS or first in PRIVILEGED_DATABASES:
            return True
        if relation.startswith("system.") and relation != "system.views":
            return True
    return False


def _verdict(
    verb: str,
    classes: set[StatementClass],
    *,
    reads: Iterable[str] = (),
    writes: Iterable[str] = (),
    rows: int | None = None,
    code: bool = False,
) -> Verdict:
    looked, changed = frozenset(reads), frozenset(writes)
    if code:
        classes.add(_C.CODE_EXECUTION)
    if _privileged(looked | changed):
        classes.add(_C.PRIVILEGE)
    if any(each.rpartition(".")[2] == "js" and "system" in each for each in changed):
        classes.add(_C.CODE_EXECUTION)
    settled = settle(frozenset(classes))
    return Verdict(settled, looked, changed, rows if _C.READ in settled else None, _reason(verb, settled))


def _find(command: Document, target: Value, database: str | None) -> Verdict:
    conditions = document(command.get("filter", _NO_DOCUMENT))
    code = any(
        runs_code(value) for key, value in command.items() if key not in ("$db", "$readPreference", "$clusterTime")
    )
    narrow = narrowing(conditions)
    limit = count(command.get("limit", 0))
    if limit is None:
        raise NotUnderstoodError("a limit that is no number")
    if command.get("singleBatch") is True:
        limit = limit or count(command.get("batchSize", 101)) or 0
    rows = abs(limit) or None
    if narrow is Narrowing.ONE:
        rows = 1
    bulk = (narrow is Narrowing.NONE and rows is None) or (rows is not None and rows > ROWS_MAX)
    classes = {_C.BULK_READ if bulk else _C.READ}
    if command.get("tailable") or command.get("noCursorTimeout"):
        classes.add(_C.SESSION_CONTROL)
    return _verdict("find", classes, reads=[_qualified(name(target), database)], rows=rows, code=code)


def _aggregate(command: Document, target: Value, database: str | None) -> Verdict:
    flow = follow(array(command.get("pipeline", [])))
    if runs_code(command.get("let")):
        flow.classes.add(_C.CODE_EXECUTION)
    source = {_qualified(target, database)} if isinstance(target, str) else set()
    if command.get("explain") is True:
        return _verdict("aggregate", {_C.READ, *_only_code(flow)}, reads=source | flow.reads)
    classes = set(flow.classes)
    if not classes & {_C.MASS_WRITE, _C.WRITE, _C.EXPORT}:
        classes.add(_C.READ if flow.bounded and not flow.packed else _C.BULK_READ)
    writes = {_qualified(each, database) for each in flow.writes}
    reads = source | {_qualified(each, database) for each in flow.reads}
    return _verdict("aggregate", classes, reads=reads, writes=writes, rows=flow.rows)


def _only_code(flow: Flow) -> set[StatementClass]:
    return flow.classes & {_C.CODE_EXECUTION, _C.PRIVILEGE}


def _count(command: Document, target: Value, database: str | None) -> Verdict:
    code = runs_code(command.get("query"))
    return _verdict("count", {_C.READ}, reads=[_qualified(name(target), database)], rows=1, code=code)


def _distinct(command: Document, target: Value, database: str | None) -> Verdict:
    query = document(command.get("query", _NO_DOCUMENT))
    bulk = narrowing(query) is Narrowing.NONE
    reads = [_qualified(name(target), database)]
    return _verdict("distinct", {_C.BULK_READ if bulk else _C.READ}, reads=reads, code=runs_code(query))


def _get_more(command: Document, _: Value, database: str | None) -> Verdict:
    size = count(command.get("batchSize", 0)) or None
    bulk = size is None or size > ROWS_MAX
    reads = [_qualified(name(command.get("collection")), database)]
    return _verdict("getMore", {_C.BULK_READ if bulk else _C.READ}, reads=reads, rows=size)


def _insert(command: Document, target: Value, database: str | None) -> Verdict:
    array(command.get("documents"))
    return _verdict("insert", {_C.WRITE}, writes=[_qualified(name(target), database)])


def _update(command: Document, target: Value, database: str | None) -> Verdict:
    classes: set[StatementClass] = set()
    code = runs_code(command.get("let"))
    for each in map(document, array(command.get("updates"))):
        code = runs_code(list(each.values())) or code
        many = each.get("multi", False) not in (False, 0, None)
        wide = many and narrowing(document(each.get("q"))) is Narrowing.NONE
        classes.add(_C.MASS_WRITE if wide else _C.WRITE)
    return _changed("update", classes, target, database, code)


def _delete(command: Document, target: Value, database: str | None) -> Verdict:
    classes: set[StatementClass] = set()
    code = runs_code(command.get("let"))
    for each in map(document, array(command.get("deletes"))):
        code = runs_code(list(each.values())) or code
        wide = each.get("limit") != 1 and narrowing(document(each.get("q"))) is Narrowing.NONE
        classes.add(_C.MASS_WRITE if wide else _C.WRITE)
    return _changed("delete", classes, target, database, code)


def _changed(verb: str, classes: set[StatementClass], target: Value, database: str | None, code: bool) -> Verdict:
    if not classes:
        raise NotUnderstoodError(f"{verb} without anything to do")
    return _verdict(verb, classes, writes=[_qualified(name(target), database)], code=code)


def _find_and_modify(command: Document, target: Value, database: str | None) -> Verdict:
    code = runs_code([command.get(key) for key in ("query", "update", "fields", "let", "arrayFilters", "sort")])
    touched = [_qualified(name(target), database)]
    return _verdict("findAndModify", {_C.READ, _C.WRITE}, reads=touched, writes=touched, rows=1, code=code)


def _explain(command: Document, inner: Value, database: str | None) -> Verdict:
    explained = judge(document(inner), database)
    kept = explained.classes & {_C.CODE_EXECUTION, _C.PRIVILEGE}
    return _verdict("explain", {_C.READ, *kept}, reads=explained.relations, rows=1)


def _rename(command: Document, target: Value, _: str | None) -> Verdict:
    classes = {_C.DESTRUCTIVE_DDL} if command.get("dropTarget") else {_C.DDL}
    return _verdict("renameCollection", classes, writes=[name(target), name(command.get("to"))])


def _bulk_write(command: Document, _: Value, database: str | None) -> Verdict:
    spaces = [name(document(each).get("ns")) for each in array(command.get("nsInfo"))]
    return combine(_bulk_operation(document(each), spaces) for each in array(command.get("ops")))


def _bulk_operation(operation: Document, spaces: list[str]) -> Verdict:
    verb = next(iter(operation))
    index = count(operation[verb])
    if index is None or not 0 <= index < len(spaces):
        raise NotUnderstoodError("an operation on a namespace that is not listed")
    space = spaces[index]
    query = operation.get("filter")
    match verb:
        case "insert":
            return judge({"insert": space, "documents": [operation.get("document")]})
        case "update":
            change: Document = {"q": query, "u": operation.get("updateMods"), "multi": operation.get("multi", False)}
            return judge({"update": space, "updates": [change]})
        case "delete":
            return judge({"delete": space, "deletes": [{"q": query, "limit": 0 if operation.get("multi") else 1}]})
    raise NotUnderstoodError("an operation that is not known")


_JUDGES: dict[str, Callable[[Document, Value, str | None], Verdict]] = {
    "find": _find,
    "aggregate": _aggregate,
    "count": _count,
    "distinct": _distinct,
    "getMore": _get_more,
    "insert": _insert,
    "update": _update,
    "delete": _delete,
    "findAndModify": _find_and_modify,
    "explain": _explain,
    "renameCollection": _rename,
    "bulkWrite": _bulk_write,
}
