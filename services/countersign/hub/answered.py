"""What a target says, put into the door's words and into its caller's era. Pure."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from countersign.hub.asking import named
from countersign.hub.between import completed, in_meta
from countersign.hub.wording import at_door, read, replaced, text_at
from countersign.jsontext import Document, apply_edits, drop_members, quote, value_at
from countersign.mcp import CACHEABLE_METHODS, Era
from countersign.mcp.eras import META_SUBSCRIPTION
from countersign.mcp.message import MAX_ID_LENGTH, id_text
from countersign.model.door_names import handle
from countersign.model.methods import ANSWERED_METHODS

_DEEPEST = 1_000  # More than gateway.yaml can permit.


@dataclass(frozen=True, slots=True)
class Terms:
    """For whom a target's messages are: the caller's era, and the target's name and era.

    ``method`` is what was asked; ``logs`` whether a modern caller wants log messages. ``id_json`` is the JSON text of
    the id that the caller gave its request, where the target was asked with another. ``subscription`` is that of the id
    by which a modern caller knows a stream, where the target knows none.

    ``answers`` are the JSON texts of ids that the target may answer, and ``progress`` those of tokens for which it may
    tell progress; ``None`` is any. Callers tell their requests apart by these alone, whoever was asked: at the door
    a target must not answer what another was asked.
    """

    target: str
    caller: Era
    spoken: Era
    method: str = ""
    logs: bool = True
    id_json: str = ""
    subscription: str = ""
    answers: Container[str] | None = None
    progress: Container[str] | None = None


def told(document: Document, terms: Terms) -> str | None:
    """Return the message for the caller; ``None`` for one that a caller of its era cannot be sent.

    Raises ``Away`` for one that asks the caller too much at once.
    """
    root = document.root
    if not isinstance(root, dict):
        return None
    method = root.get("method")
    if type(method) is str:
        if "id" in root:
            return _request(document, terms)
        if terms.caller is Era.MODERN and method == "notifications/message" and not terms.logs:
            return None
        token = id_text(value_at(root, ("params", "progressToken")))
        # Clients of JavaScript take `true` for 1: what is no token is none of this target's.
        known = terms.progress is None or (token and token in terms.progress)
        if method == "notifications/progress" and not known:
            return None
    elif terms.answers is not None and id_text(root.get("id")) not in terms.answers:
        return None
    edits = at_door(terms.target, document) + named(terms.target, document)
    if "result" in root and terms.caller is Era.MODERN and terms.spoken is Era.LEGACY:
        edits += completed(document, cacheable=terms.method in CACHEABLE_METHODS)
    if terms.id_json and "method" not in root and root.get("id") is not None:
        edits.append(replaced(document, ("id",), terms.id_json))
    text = apply_edits(document.text, edits)
    return text if not terms.subscription else _subscribed(text, terms.subscription)


def _request(document: Document, terms: Terms) -> str | None:
    """A target's own request: its id says to whom the answer goes.

    What a client made for one target (a task that ends with a person's answer) it would show to any: to the client all
    of them are one server. So only what needs nothing that was there before is asked.
    """
    if text_at(document.root, ("method",)) not in ANSWERED_METHODS:
        return None
    id_json = id_text(value_at(document.root, ("id",)))
    wrapped = handle(terms.target, id_json)
    if terms.caller is Era.MODERN or not id_json or len(wrapped) > MAX_ID_LENGTH:
        return None
    edits = named(terms.target, document)
    return apply_edits(document.text, [*edits, replaced(document, ("id",), quote(wrapped))])


def _subscribed(text: str, subscription: str) -> str:
    document = read(text, _DEEPEST)
    # What the target says in its place is none of the streams that the caller has.
    if isinstance(value_at(document.root, ("params", "_meta")), dict):
        said = drop_members(document, ("params", "_meta"), {META_SUBSCRIPTION})
    else:
        said = drop_members(document, ("params",), {"_meta"})
    if said:
        text = apply_edits(text, said)
        document = read(text, _DEEPEST)
    return apply_edits(text, in_meta(document, f'"{META_SUBSCRIPTION}":{subscription}'))
