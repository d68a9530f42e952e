"""Tools' definitions made fit for the record and for operators. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from countersign.jsontext import JsonRefused, JsonValue, Number, parse, quote
from countersign.masking import Masker, NotMaskable
from countersign.pins import Definition, canonical, suspicions
from countersign.runtime.pins import Observed

# Below these keywords of JSON Schema, and in _meta, stand values; elsewhere a key is the name of a parameter.
_VALUES = frozenset({"default", "const", "enum", "example", "examples", "_meta"})


def observed(definition: Definition, masker: Masker) -> Observed | None:
    """Return a definition as it may be recorded, with what is suspicious about it as the target wrote it, not quoted.

    Every text is masked by itself, keys among them; fields of masks apply to values only, since a description under a
    parameter's name (``properties.ssn``) is what an operator must see. ``None`` for a tool whose name would be masked:
    nobody could ask for it. Raises ``NotMaskable``.
    """
    masked = _Masked(definition.value, masker)
    leaves = masked.rebuilt(definition.value)
    value = masked.with_values(leaves)
    if not isinstance(value, dict) or value.get("name") != definition.name:
        return None
    flags = suspicions(definition, _keyed(definition.value, leaves))
    return Observed(definition.name, definition.digest, canonical(value), flags)


class _Masked:
    """The leaves of a value, masked all at once, in their order."""

    def __init__(self, value: JsonValue, masker: Masker) -> None:
        self._masker = masker
        leaves = "[" + ",".join(_leaves(value)) + "]"
        root = self._read(masker.json(leaves.encode()).data)
        self._leaves: Iterator[JsonValue] = iter(root if isinstance(root, list) else [])

    def rebuilt(self, value: JsonValue) -> JsonValue:
        """Return the value with its masked leaves. Once."""
        if isinstance(value, dict):
            members: dict[str, JsonValue] = {}
            for member in value.values():
                name = str(self._next())
                while name in members:
                    name += "+"
                members[name] = self.rebuilt(member)
            return members
        if isinstance(value, list):
            return [self.rebuilt(element) for element in value]
        return self._next() if isinstance(value, str) else value

    def with_values(self, value: JsonValue) -> JsonValue:
        """Return a rebuilt value with what stands for values masked by fields, too."""
        if isinstance(value, dict):
            return {
                key: self._as_values(member) if key in _VALUES else self.with_values(member)
                for key, member in value.items()
            }
        return [self.with_values(element) for element in value] if isinstance(value, list) else value

    def _as_values(self, value: JsonValue) -> JsonValue:
        if not isinstance(value, (dict, list)):
            return value
        return self._read(self._masker.json(canonical(value).encode()).data)

    def _next(self) -> JsonValue:
        try:
            return next(self._leaves)
        except StopIteration:
            raise NotMaskable("masking a tool's definition lost a part of it") from None

    def _read(self, data: bytes) -> JsonValue:
        try:
            return parse(data, max_depth=self._masker.max_depth).root
        except JsonRefused:
            raise NotMaskable("masking a tool's definition left no JSON") from None


def _keyed(value: JsonValue, masked: JsonValue) -> JsonValue:
    """Return the value with the keys of its rebuilt copy."""
    if isinstance(value, dict) and isinstance(masked, dict):
        pairs = zip(masked, value.values(), masked.values(), strict=True)
        return {key: _keyed(member, beside) for key, member, beside in pairs}
    if isinstance(value, list) and isinstance(masked, list):
        return [_keyed(element, beside) for element, beside in zip(value, masked, strict=True)]
    return value


def _leaves(value: JsonValue) -> Iterator[str]:
    if isinstance(value, Number):
        yield str.__str__(value)
    elif isinstance(value, str):
        yield quote(value)
    elif isinstance(value, dict):
        for key, member in value.items():
            yield quote(key)
            yield from _leaves(member)
    elif isinstance(value, list):
        for element in value:
            yield from _leaves(element)
