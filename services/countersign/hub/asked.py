"""A request of a caller, and how it is put to a target. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from countersign.hub.between import in_meta, inserted, made_legacy, stated
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


@dataclass(frozen=True, slots=True)
class Again:
    """How a request is made again: with what the target had its client keep, and answer (JSON text); empty: nothing."""

    state: str = field(default="", repr=False)
    responses_json: str = field(default="", repr=False)

    @property
    def members(self) -> str:
        """The members of params that it has besides."""
        found = [f'"requestState":{quote(self.state)}'] if self.state else []
        found += [f'"inputResponses":{self.responses_json}'] if self.responses_json else []
        return ",".join(found)


FIRST = Again()


def body_for(
    asked: Asked, about: About, way: Way, *, id_json: str = "", again: Again = FIRST, capabilities_json: str = "{}"
) -> bytes:
    """Return the request in the target's words and era.

    With ``id_json`` it has another id. ``again`` is what it has besides, which it must not have already, and
    ``capabilities_json`` what a modern target is told of a legacy caller.
    """
    document = asked.document
    edits = [replaced(document, ("params", *about.path), quote(about.own))]
    if id_json:
        edits.append(replaced(document, ("id",), id_json))
    edits += inserted(document, ("params",), again.members)
    if way.era is Era.LEGACY and asked.era is Era.MODERN:
        edits += made_legacy(document)
    if way.era is Era.MODERN and asked.era is Era.LEGACY:
        edits += in_meta(document, stated(capabilities_json))
    return apply_edits(document.text, edits).encode()


def headers_for(asked: Asked, about: About, way: Way) -> dict[str, str]:
    """Return the headers that go with it."""
    name = about.own if asked.method in MIRRORED_PARAMS else ""
    found = {**way.headers(asked.method, name), "content-type": JSON_TYPE}
    if way.era is Era.MODERN:
        found |= {name: value for name, value in asked.headers.items() if name.startswith("mcp-param-")}
    return found
