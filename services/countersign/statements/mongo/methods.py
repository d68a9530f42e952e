"""mongosh's methods on collections and cursors, turned into the command documents that the shell would send.

Source: MongoDB manual 8.0, "mongosh methods".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from countersign.statements.mongo.values import Document, NotUnderstoodError, Value, array, document, name
from countersign.statements.names import names


@dataclass(frozen=True, slots=True)
class Call:
    """One ``.name(arguments)`` of a chain."""

    name: str
    arguments: list[Value]


_CURSOR_PLAIN = names(
    """sort skip project projection batchSize hint maxTimeMS maxAwaitTimeMS readConcern readPref collation comment
    pretty toArray hasNext allowDiskUse returnKey showRecordId min max size objsLeftInBatch isExhausted close itcount
    length"""
)
_CURSOR_SESSION = names("noCursorTimeout tailable addOption")


def on_collection(collection: str, calls: Sequence[Call]) -> Document:
    """Return the command for ``db.COLLECTION`` and the calls behind it. Raises :class:`NotUnderstoodError`."""
    explained = bool(calls) and calls[0].name == "explain"
    if explained:
        calls = calls[1:]
    if not calls:
        raise NotUnderstoodError("a collection without a method")
    first, *rest = calls
    if first.name not in _METHODS:
        raise NotUnderstoodError("a method that is not known")
    command = _METHODS[first.name](collection, first.arguments)
    for call in rest:
        if call.name == "explain":
            explained = True
        else:
            command = _cursor(command, call)
    return {"explain": command} if explained else command


def _cursor(command: Document, call: Call) -> Document:
    verb = next(iter(command))
    if call.name in ("toArray", "pretty", "hasNext", "close", "itcount") and verb in ("find", "aggregate", "distinct"):
        return command
    if verb == "aggregate" and call.name in ("next", "tryNext"):
        return command
    if verb == "distinct" and call.name in ("length", "sort"):
        return command
    if verb != "find":
        raise NotUnderstoodError("a method that this result does not have")
    if call.name in _CURSOR_PLAIN:
        return _with_argument(command, call)
    if call.name in _CURSOR_SESSION:
        return {**command, "noCursorTimeout": True}
    if call.name == "limit":
        return {**command, "limit": _argument(call.arguments, 0)}
    if call.name in ("next", "tryNext"):
        return {**command, "limit": 1}
    if call.name == "count":
        return {"count": command["find"], "query": command.get("filter", {})}
    raise NotUnderstoodError("a method that a cursor does not have")


def _with_argument(command: Document, call: Call) -> Document:
    key = {"sort": "sort", "project": "projection", "projection": "projection"}.get(call.name)
    return {**command, key: _argument(call.arguments, 0)} if key else command


def _argument(arguments: Sequence[Value], index: int) -> Value:
    if index >= len(arguments):
        raise NotUnderstoodError("an argument is missing")
    return arguments[index]


def _filter(arguments: Sequence[Value], index: int = 0) -> Value:
    return {} if index >= len(arguments) or arguments[index] is None else document(arguments[index])


def _rest(arguments: Sequence[Value], index: int) -> Document:
    """Return an options document, as far as one is given."""
    return document(arguments[index]) if len(arguments) > index and arguments[index] is not None else {}


def _find(collection: str, arguments: list[Value]) -> Document:
    options = _rest(arguments, 2)
    command: Document = {"find": collection, "filter": _filter(arguments), "projection": _filter(arguments, 1)}
    return {**command, **options}


def _find_one(collection: str, arguments: list[Value]) -> Document:
    return {**_find(collection, arguments), "limit": 1}


def _aggregate(collection: str, arguments: list[Value]) -> Document:
    if not arguments or isinstance(arguments[0], list):
        stages = array(arguments[0]) if arguments else []
        options = _rest(arguments, 1)
        kept: Document = {key: value for key, value in options.items() if key in ("let", "explain")}
        return {"aggregate": collection, "pipeline": stages, **kept}
    return {"aggregate": collection, "pipeline": arguments}


def _count(collection: str, arguments: list[Value]) -> Document:
    return {"count": collection, "query": _filter(arguments)}


def _distinct(collection: str, arguments: list[Value]) -> Document:
    return {"distinct": collection, "key": name(_argument(arguments, 0)), "query": _filter(arguments, 1)}


def _insert(collection: str, arguments: list[Value]) -> Document:
    first = _argument(arguments, 0)
    return {"insert": collection, "documents": first if isinstance(first, list) else [document(first)]}


def _update(many: bool) -> Callable[[str, list[Value]], Document]:
    def build(collection: str, arguments: list[Value]) -> Document:
        options = _rest(arguments, 2)
        change: Document = {
            "q": document(_argument(arguments, 0)),
            "u": _argument(arguments, 1),
            "multi": many,
            "arrayFilters": options.get("arrayFilters"),
        }
        return {"update": collection, "updates": [change], "let": options.get("let")}

    return build


def _old_update(collection: str, arguments: list[Value]) -> Document:
    if len(arguments) > 3:
        return _update(many=arguments[3] is not False)(collection, arguments[:2])
    return _update(many=bool(_rest(arguments, 2).get("multi", False)))(collection, arguments)


def _delete(many: bool) -> Callable[[str, list[Value]], Document]:
    def build(collection: str, arguments: list[Value]) -> Document:
        options = _rest(arguments, 1)
        removed: Document = {"q": document(_argument(arguments, 0)), "limit": 0 if many else 1}
        return {"delete": collection, "deletes": [removed], "let": options.get("let")}

    return build


def _remove(collection: str, arguments: list[Value]) -> Document:
    query: Value = document(arguments[0]) if arguments else {}
    second = arguments[1] if len(arguments) > 1 else False
    one = second is True or second == 1 or (isinstance(second, dict) and second.get("justOne") in (True, 1))
    return {"delete": collection, "deletes": [{"q": query, "limit": 1 if one else 0}]}


def _modify(collection: str, arguments: list[Value]) -> Document:
    options = _rest(arguments, 2)
    update = arguments[1] if len(arguments) > 1 else None
    return {"findAndModify": collection, "query": _filter(arguments), "update": update, "let": options.get("let")}


def _modify_by_options(collection: str, arguments: list[Value]) -> Document:
    return {"findAndModify": collection, **document(_argument(arguments, 0))}


def _bulk_write(collection: str, arguments: list[Value]) -> Document:
    operations: list[Value] = []
    for each in map(document, array(_argument(arguments, 0))):
        (verb, body), *more = each.items()
        if more or verb not in _BULK:
            raise NotUnderstoodError("an operation that is not known")
        given = document(body)
        kind, many = _BULK[verb]
        mods = given.get("update", given.get("replacement"))
        operations.append(
            {
                kind: 0,
                "filter": given.get("filter"),
                "updateMods": mods,
                "document": given.get("document"),
                "multi": many,
            }
        )
    return {"bulkWrite": 1, "ops": operations, "nsInfo": [{"ns": collection}]}


_BULK = {
    "insertOne": ("insert", False),
    "updateOne": ("update", False),
    "updateMany": ("update", True),
    "replaceOne": ("update", False),
    "deleteOne": ("delete", False),
    "deleteMany": ("delete", True),
}


def _rename(collection: str, arguments: list[Value]) -> Document:
    drop = len(arguments) > 1 and arguments[1] is not False
    return {"renameCollection": collection, "to": name(_argument(arguments, 0)), "dropTarget": drop}


def _simple(verb: str) -> Callable[[str, list[Value]], Document]:
    def build(collection: str, _: list[Value]) -> Document:
        return {verb: collection}

    return build


_METHODS: dict[str, Callable[[str, list[Value]], Document]] = {
    "find": _find,
    "findOne": _find_one,
    "aggregate": _aggregate,
    **dict.fromkeys(("count", "countDocuments", "estimatedDocumentCount"), _count),
    "distinct": _distinct,
    **dict.fromkeys(("insert", "insertOne", "insertMany", "save"), _insert),
    **dict.fromkeys(("updateOne", "replaceOne"), _update(many=False)),
    "updateMany": _update(many=True),
    "update": _old_update,
    "deleteOne": _delete(many=False),
    "deleteMany": _delete(many=True),
    "remove": _remove,
    **dict.fromkeys(("findOneAndUpdate", "findOneAndReplace", "findOneAndDelete"), _modify),
    "findAndModify": _modify_by_options,
    "bulkWrite": _bulk_write,
    "renameCollection": _rename,
    "drop": _simple("drop"),
    **dict.fromkeys(("createIndex", "createIndexes", "ensureIndex"), _simple("createIndexes")),
    **dict.fromkeys(("dropIndex", "dropIndexes"), _simple("dropIndexes")),
    **dict.fromkeys(("hideIndex", "unhideIndex"), _simple("collMod")),
    "reIndex": _simple("reIndex"),
    "convertToCapped": _simple("convertToCapped"),
    "mapReduce": _simple("mapReduce"),
    "validate": _simple("validate"),
    "compact": _simple("compact"),
    **dict.fromkeys(
        ("stats", "dataSize", "storageSize", "totalSize", "totalIndexSize", "isCapped"), _simple("collStats")
    ),
    **dict.fromkeys(("getIndexes", "getIndexKeys", "getIndices"), _simple("listIndexes")),
    "createSearchIndex": _simple("createSearchIndexes"),
    "dropSearchIndex": _simple("dropSearchIndex"),
}
