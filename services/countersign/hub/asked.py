"""A request of a caller, and how it is put to a target. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from countersign.hub.between import STATED, in_meta, inserted, made_legacy
from countersign.hub.peers import Way
from countersign.hub.wording import Path, replaced
from countersign.jsontext import Document, JsonValue, apply_edits, quote
from countersign.mcp import Era
from countersign.mcp.eras import MIRRORED_PARAMS
from countersign.mcp.replies import JSON_TYPE


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it was read: its text, its params, the JSON text of its id, and its headers."""

    document: Document = field(repr=False)
    method: str
    params: dict[str, JsonValue] = field(repr=False)
    id_json: str
    era: Era
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class About:
    """What a request is about: a target's name, what that calls it, and where in params it stands."""

    target: str
    own: str
    path: Path


def body_for(asked: Asked, about: About, way: Way, *, id_json: str = "", state: str = "") -> bytes:
    """Return the request in the target's words and era.

    With ``id_json`` it has another id, and with ``state`` it hands back that ``requestState``, which it had not.
    """
    document = asked.document
    edits = [replaced(document, ("params", *about.path), quote(about.own))]
    if id_json:
        edits.append(replaced(document, ("id",), id_json))
    if state:
        edits += inserted(document, ("params",), f'"requestState":{quote(state)}')
    if way.era is Era.LEGACY and asked.era is Era.MODERN:
        edits += made_legacy(document)
    if way.era is Era.MODERN and asked.era is Era.LEGACY:
        edits += in_meta(document, STATED)
    return apply_edits(document.text, edits).encode()


def headers_for(asked: Asked, about: About, way: Way) -> dict[str, str]:
    """Return the headers that go with it."""
    name = about.own if asked.method in MIRRORED_PARAMS else ""
    found = {**way.headers(asked.method, name), "content-type": JSON_TYPE}
    if way.era is Era.MODERN:
        found |= {name: value for name, value in asked.headers.items() if name.startswith("mcp-param-")}
    return found
