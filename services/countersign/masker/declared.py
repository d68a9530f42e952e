"""Answers that stay what their tools declare, with masked values in them. Pure, once the schemas are there."""

from __future__ import annotations

from collections.abc import Mapping

from countersign.jsontext import Document, JsonValue, parse
from countersign.masker.tools import Pins
from countersign.masking import Masked
from countersign.masking.fitting import OutputSchema, Steps, fitted
from countersign.mcp.message import read_id
from countersign.model.handoff import Handoff

_CALL = "tools/call"


class Declared:
    """The output schemas of the tools that a request calls, by the request's id as JSON text."""

    def __init__(self, schemas: Mapping[str, JsonValue], *, max_depth: int) -> None:
        self._schemas = schemas
        self._max_depth = max_depth

    @classmethod
    async def of(cls, handoff: Handoff, pins: Pins, *, max_depth: int) -> Declared:
        """Return those that are known of a request's calls. Only the first call of a tool has to be waited for."""
        schemas: dict[str, JsonValue] = {}
        for call in handoff.calls:
            if handoff.masks and call.method == _CALL and call.id_json:
                schema = await pins.output_schema(handoff.target, call.name)
                if schema is not None:
                    schemas[call.id_json] = schema
        return cls(schemas, max_depth=max_depth)

    def __bool__(self) -> bool:
        return bool(self._schemas)

    def fit(self, document: Document, masked: Masked) -> Masked:
        """Return an answer as it was masked, with other values where masked ones broke what a schema declares."""
        if not masked.findings or not self._schemas:
            return masked
        steps = Steps()
        batch = isinstance(document.root, list)
        messages = document.root if isinstance(document.root, list) else [document.root]
        schemas: dict[tuple[str | int, ...], OutputSchema] = {}
        for index, message in enumerate(messages):
            schema = self._of(message)
            if schema is not None:
                schemas[(index,) if batch else ()] = OutputSchema(schema, steps)
        if not schemas:
            return masked
        text = fitted(document, parse(masked.data, max_depth=self._max_depth), schemas)
        return Masked(text.encode(), masked.findings)

    def _of(self, message: JsonValue) -> JsonValue:
        if not isinstance(message, dict) or message.get("id") is None or "result" not in message:
            return None
        return self._schemas.get(read_id(message)[1])
