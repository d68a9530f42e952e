"""Strict JSON text: parse it once, know where everything stands, and edit it without touching the rest. Pure."""

from countersign.jsontext.edits import Edit, apply_edits, drop_elements, drop_members, quote, write_edits
from countersign.jsontext.parsing import check, check_lines, outline, parse
from countersign.jsontext.spans import (
    Literal,
    Place,
    decoded,
    element_spans,
    literals,
    member_spans,
    pick_places,
    string_at,
    tokens,
    value_span,
)
from countersign.jsontext.values import Document, JsonAmbiguous, JsonRefused, JsonText, JsonValue, Number, value_at

__all__ = [
    "Document",
    "Edit",
    "JsonAmbiguous",
    "JsonRefused",
    "JsonText",
    "JsonValue",
    "Literal",
    "Number",
    "Place",
    "apply_edits",
    "check",
    "check_lines",
    "decoded",
    "drop_elements",
    "drop_members",
    "element_spans",
    "literals",
    "member_spans",
    "outline",
    "parse",
    "pick_places",
    "quote",
    "string_at",
    "tokens",
    "value_at",
    "value_span",
    "write_edits",
]
