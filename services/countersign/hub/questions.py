"""What a modern target has its client answer before it goes on, put to a legacy client as requests. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from countersign.hub.asking import named
from countersign.hub.between import inserted
from countersign.hub.wording import members_of, read, text_at
from countersign.jsontext import Document, JsonValue, apply_edits, parse, quote, value_at, value_span
from countersign.model.door import HUB_NAME
from countersign.model.door_names import handle

MOST_QUESTIONS = 16
"""What a target may ask at once."""

_DEEPEST = 1_000  # More than gateway.yaml can permit.


class CannotAsk(ValueError):
    """What the target asks its client cannot be put to this one. ``str()`` is safe to show."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request: its key among the target's ``inputRequests``, its id of the hub's own, and its whole JSON text."""

    key: str
    own_id: str
    text: str = field(repr=False)


def questions(
    target: str, document: Document, capabilities_json: str, new_id: Callable[[], str]
) -> tuple[Question, ...]:
    """Return what a result with ``resultType`` ``input_required`` asks, naming its target; empty when it asks nothing.

    ``capabilities_json`` is what the client said it can be asked; ``new_id`` gives a text that no other question has.
    Raises ``CannotAsk`` for a question that the client does not know, and ``Away``.
    """
    requests = value_at(document.root, ("result", "inputRequests"))
    if requests is None:
        return ()
    if not isinstance(requests, dict) or len(requests) > MOST_QUESTIONS:
        raise CannotAsk("the target asks its client in no way that the one door knows")
    can = parse(capabilities_json).root
    for request in requests.values():
        if not _takes(can, request):
            raise CannotAsk("the target asks for an answer that the client did not say it can give")
    shown = read(apply_edits(document.text, named(target, document)), _DEEPEST)
    members = members_of(shown, ("result", "inputRequests"))
    return tuple(_question(key, request, new_id()) for key, (_, request) in members.items())


def responses_json(answers: Mapping[str, str]) -> str:
    """Return ``inputResponses`` as JSON text: each answer is the JSON text of a result, by its question's key."""
    return "{" + ",".join(f"{quote(key)}:{result}" for key, result in answers.items()) + "}"


def _question(key: str, request: Document, own_id: str) -> Question:
    method = text_at(request.root, ("method",))
    span = value_span(request, ("params",))
    params = "{}" if span is None else request.text[slice(*span)]
    if text_at(request.root, ("params", "mode")) == "url":
        # Clients of 2025-11-25 know links by such an id; of one that was opened nobody is told.
        document = read(params, _DEEPEST)
        if value_at(document.root, ("elicitationId",)) is None:
            params = apply_edits(params, inserted(document, (), f'"elicitationId":{quote(own_id)}'))
    id_json = quote(handle(HUB_NAME, own_id))
    return Question(key, own_id, f'{{"jsonrpc":"2.0","id":{id_json},"method":{quote(method)},"params":{params}}}')


def _takes(can: JsonValue, request: JsonValue) -> bool:
    """Whether a client that can do this much knows what to do with a request (MCP 2025-11-25, Capabilities)."""
    method, params = text_at(request, ("method",)), value_at(request, ("params",))
    if method == "elicitation/create":
        elicits = value_at(can, ("elicitation",))
        if not isinstance(elicits, dict):
            return False
        mode = value_at(params, ("mode",))
        # An empty capability is that of forms only.
        return "url" in elicits if mode == "url" else mode in (None, "form") and ("form" in elicits or not elicits)
    if method == "sampling/createMessage":
        samples = value_at(can, ("sampling",))
        tools = [value_at(params, (key,)) for key in ("tools", "toolChoice")]
        return isinstance(samples, dict) and ("tools" in samples or tools == [None, None])
    return method == "roots/list" and isinstance(value_at(can, ("roots",)), dict)
