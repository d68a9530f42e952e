"""By what events are found: the facets that each has, and the pairs of them that are often asked for together."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, product
from typing import Any, NamedTuple
from uuid import UUID

from countersign.recorder.search.signature import key_of
from countersign.recorder.who import searchable

# Two facets may each be in most blocks and never in one event: what people ask for together is marked together.
PAIRS = tuple(combinations(("subject", "target", "name", "outcome", "kind", "rule", "label", "relation"), 2))
OF_PRINCIPAL = frozenset({"issuer", "subject", "group", "principal_kind"})
OF_SESSIONS = ("method", "rule", "approval_id", "label", "relation")
"""Those by which sessions are found."""
UNNAMED = "unnamed"
"""Marks a block with an event whose session did not say yet whose it is: it may be anybody's."""
_REFUSED = 5
# Events of one kind of call are alike but for their ids.
_ALIKE = 4096
_DECODER = json.JSONDecoder()


class Facets(NamedTuple):
    """What an event has in each field by which it is found, but for what it shares with few others.

    The fields are named as those of ``Wanted``; what is empty, or "", is not there.
    """

    issuer: tuple[str, ...]
    subject: tuple[str, ...]
    group: tuple[str, ...]
    principal_kind: tuple[str, ...]
    target: tuple[str, ...]
    method: tuple[str, ...]
    name: tuple[str, ...]
    outcome: tuple[str, ...]
    kind: tuple[str, ...]
    rule: tuple[str, ...]
    label: tuple[str, ...]
    relation: tuple[str, ...]


class Details(NamedTuple):
    """What is searched of an event and stands in its record alone."""

    rules: tuple[str, ...]
    labels: tuple[str, ...]
    relations: tuple[str, ...]
    approval_id: str


@dataclass(frozen=True, slots=True)
class Marked:
    """What is marked of an event: its columns, its session's principal and its record."""

    index: int
    session_id: UUID
    call_id: UUID
    kind: int
    time_us: int
    outcome: int
    target: str
    method: str
    name: str
    record: str
    first_index: int
    issuer: str
    subject: str
    groups: tuple[str, ...]
    principal_kind: str


@dataclass(frozen=True, slots=True)
class Marks:
    """Keys that stand for what an event has: for its block, and for its session."""

    of_block: frozenset[int]
    of_session: frozenset[int]


def details_of(record: str) -> Details:
    """Read of a canonical record what is searched."""
    return Details(
        # Of the decision; those of a shadow come behind them.
        rules=tuple([searchable(one) for one in _value(record, '"rules":') or ()]),
        labels=tuple([searchable(one["label"]) for one in _value(record, '"findings":') or ()]),
        relations=tuple([searchable(one) for one in _value(record, '"relations":') or ()]),
        approval_id=searchable(_value(record, '"approval_id":') or ""),
    )


def marks_of(event: Marked) -> Marks:
    """Return what marks an event."""
    details = details_of(event.record)
    shared = _shared(
        Facets(
            issuer=(event.issuer,),
            subject=(event.subject,),
            group=event.groups,
            principal_kind=(event.principal_kind,),
            target=(event.target,),
            method=(event.method,),
            name=(event.name,),
            outcome=(str(event.outcome or ""),),
            kind=(str(event.kind),),
            rule=details.rules,
            label=details.labels,
            relation=details.relations,
        )
    )
    own = {key_of(mark("session_id", event.session_id.hex)), key_of(mark("call_id", event.call_id.hex))}
    approvals = {key_of(mark("approval_id", details.approval_id))} if details.approval_id else set()
    return Marks(shared.of_block | own | approvals, shared.of_session | approvals)


def mark(field: str, value: str) -> str:
    """Return the text that stands for one facet."""
    return f"{field}\0{value}"


def mark_pair(one: str, first: str, other: str, second: str) -> str:
    """Return the text that stands for two facets of one event; ``(one, other)`` is of ``PAIRS``."""
    return f"{one}\0{first}\0{other}\0{second}"


@lru_cache(maxsize=_ALIKE)
def _shared(facets: Facets) -> Marks:
    values: Mapping[str, list[str]] = {one: list(filter(None, given)) for one, given in facets._asdict().items()}
    texts = {mark(one, value) for one, given in values.items() for value in given}
    for one, other in PAIRS:
        texts |= {mark_pair(one, first, other, second) for first, second in product(values[one], values[other])}
    # What was refused before its caller was known stays nobody's.
    if not values["subject"] and values["kind"] != [str(_REFUSED)]:
        texts.add(UNNAMED)
    of_session = {mark(one, value) for one in OF_SESSIONS for value in values.get(one, ())}
    return Marks(frozenset(map(key_of, texts)), frozenset(map(key_of, of_session)))


def _value(record: str, key: str) -> Any:
    """Return the value of the first ``key`` (with its quotation marks and colon); ``None`` when there is none.

    A canonical record has no blanks, and a quotation mark within a text is escaped: so what looks like a key is one.
    """
    place = record.find(key)
    return None if place < 0 else _DECODER.raw_decode(record, place + len(key))[0]
