"""What an aggregation pipeline does: how much leaves, what it writes, whom it asks.

Source: MongoDB manual 8.0, "Aggregation stages".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from countersign.statements.mongo.filters import ROWS_MAX, Narrowing, narrowing
from countersign.statements.mongo.operators import PACKING, STAGES, operators, runs_code
from countersign.statements.mongo.values import Document, NotUnderstoodError, Value, array, count, document, name
from countersign.statements.names import names
from countersign.statements.verdict import StatementClass

_C = StatementClass
_RESHAPING = names("$project $addFields $set $unset $replaceRoot $replaceWith $group $setWindowFields $fill $bucket")
"""Stages after which a field need not be the collection's any more: a match on it narrows nothing for sure."""

_PEEKING = names("$currentOp $listSessions $listLocalSessions $queryStats $planCacheStats")
"""Stages that show what others run."""


@dataclass(slots=True)
class Flow:
    """What is known of the documents between two stages."""

    rows: int | None = None
    narrowed: bool = False
    reshaped: bool = False
    packed: bool = False
    """One document holds unboundedly many."""
    classes: set[StatementClass] = field(default_factory=set)
    reads: set[str] = field(default_factory=set)
    writes: set[str] = field(default_factory=set)

    @property
    def bounded(self) -> bool:
        """Whether so few documents pass that they are no bulk."""
        return self.narrowed or (self.rows is not None and self.rows <= ROWS_MAX)

    def at_most(self, rows: int | None) -> None:
        """Note that no more than so many documents pass; ``None`` says nothing."""
        if rows is not None and rows >= 0:
            self.rows = rows if self.rows is None else min(self.rows, rows)


def follow(stages: list[Value]) -> Flow:
    """Follow a pipeline from the whole collection. Raises :class:`NotUnderstoodError` for what is not known."""
    flow = Flow()
    for stage in stages:
        _step(flow, document(stage))
    return flow


def _step(flow: Flow, stage: Document) -> None:
    if len(stage) != 1:
        raise NotUnderstoodError("a stage has one key")
    (key, value), *_ = stage.items()
    if key not in STAGES:
        raise NotUnderstoodError("a stage that is not known")
    if key not in _WITH_PIPELINES and runs_code(value):
        flow.classes.add(_C.CODE_EXECUTION)
    if key in _PEEKING:
        flow.classes.add(_C.PRIVILEGE)
    elif key in _STEPS:
        _STEPS[key](flow, value)
    flow.reshaped = flow.reshaped or key in _RESHAPING


def _match(flow: Flow, value: Value) -> None:
    narrow = narrowing(document(value))
    if flow.reshaped or narrow is Narrowing.NONE:
        return
    flow.narrowed = True
    if narrow is Narrowing.ONE:
        flow.at_most(1)


def _limit(flow: Flow, value: Value) -> None:
    flow.at_most(count(value))


def _sample(flow: Flow, value: Value) -> None:
    flow.at_most(count(document(value).get("size")))


def _count(flow: Flow, _: Value) -> None:
    flow.rows, flow.narrowed, flow.packed = 1, True, False


def _group(flow: Flow, value: Value) -> None:
    _pack(flow, value)
    key = document(value).get("_id")
    if not isinstance(key, (dict, list)) and not (isinstance(key, str) and key.startswith("$")):
        flow.at_most(1)


def _pack(flow: Flow, value: Value) -> None:
    if not flow.bounded and any(operator in PACKING for operator in operators(value)):
        flow.packed = True


def _bucket(flow: Flow, value: Value) -> None:
    _pack(flow, value)
    options = document(value)
    boundaries = options.get("boundaries")
    flow.at_most(len(boundaries) + 1 if isinstance(boundaries, list) else count(options.get("buckets")))


def _unwind(flow: Flow, _: Value) -> None:
    flow.narrowed, flow.rows = flow.bounded, None


def _grow(flow: Flow, _: Value) -> None:
    flow.rows, flow.narrowed = None, False


def _facet(flow: Flow, value: Value) -> None:
    for part in document(value).values():
        inner = Flow(flow.rows, flow.narrowed, flow.reshaped, flow.packed)
        for stage in array(part):
            _step(inner, document(stage))
        flow.packed = flow.packed or inner.packed or not inner.bounded
        _absorb(flow, inner)
    flow.rows = 1


def _lookup(flow: Flow, value: Value) -> None:
    options = document(value)
    if "from" in options:
        flow.reads.add(_collection(options["from"]))
    inner = follow(array(options.get("pipeline", [])))
    keyed = "localField" in options and "foreignField" in options
    flow.packed = flow.packed or inner.packed or not (keyed or inner.bounded)
    if runs_code(options.get("let")):
        flow.classes.add(_C.CODE_EXECUTION)
    _absorb(flow, inner)


def _graph(flow: Flow, value: Value) -> None:
    flow.reads.add(_collection(document(value).get("from")))
    flow.packed = True


def _union(flow: Flow, value: Value) -> None:
    options: Document = {"coll": value} if isinstance(value, str) else document(value)
    if "coll" in options:
        flow.reads.add(_collection(options["coll"]))
    inner = follow(array(options.get("pipeline", [])))
    both = flow.bounded and inner.bounded
    flow.rows = flow.rows + inner.rows if flow.rows is not None and inner.rows is not None else None
    flow.narrowed, flow.packed, flow.reshaped = both, flow.packed or inner.packed, True
    _absorb(flow, inner)


def _absorb(flow: Flow, inner: Flow) -> None:
    flow.classes |= inner.classes
    flow.reads |= inner.reads
    flow.writes |= inner.writes


def _out(flow: Flow, value: Value) -> None:
    if isinstance(value, dict) and not set(value) <= {"db", "coll", "timeseries"}:
        flow.classes.add(_C.EXPORT)
        return
    flow.writes.add(_collection(value))
    flow.classes |= {_C.MASS_WRITE, _C.DDL}


def _merge(flow: Flow, value: Value) -> None:
    target = value.get("into") if isinstance(value, dict) else value
    flow.writes.add(_collection(target))
    flow.classes.add(_C.WRITE if flow.rows is not None and flow.rows <= ROWS_MAX else _C.MASS_WRITE)


def _documents(flow: Flow, value: Value) -> None:
    flow.at_most(len(value) if isinstance(value, list) else None)


def _stats(flow: Flow, _: Value) -> None:
    flow.narrowed = True


def _vector(flow: Flow, value: Value) -> None:
    flow.at_most(count(document(value).get("limit")))


def _watch(flow: Flow, _: Value) -> None:
    flow.classes.add(_C.SESSION_CONTROL)


def _collection(value: Value) -> str:
    if isinstance(value, dict):
        return f"{name(value.get('db'))}.{name(value.get('coll'))}"
    return name(value)


_STEPS: dict[str, Callable[[Flow, Value], None]] = {
    "$match": _match,
    "$limit": _limit,
    "$sample": _sample,
    "$count": _count,
    "$searchMeta": _count,
    "$group": _group,
    "$bucket": _bucket,
    "$bucketAuto": _bucket,
    "$setWindowFields": _pack,
    "$unwind": _unwind,
    "$densify": _grow,
    "$facet": _facet,
    "$lookup": _lookup,
    "$graphLookup": _graph,
    "$unionWith": _union,
    "$out": _out,
    "$merge": _merge,
    "$documents": _documents,
    "$collStats": _stats,
    "$indexStats": _stats,
    "$vectorSearch": _vector,
    "$changeStream": _watch,
}
_WITH_PIPELINES = frozenset({"$facet", "$lookup", "$unionWith"})
"""Their pipelines are followed stage by stage, which looks at the operators there."""
