"""The structured content of answers to tools' calls, before and after it was masked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from countersign.jsontext import Document, Edit, JsonValue, Number, apply_edits, literals, quote
from countersign.masking.fitting.schema import OutputSchema, TooMuch
from countersign.masking.fitting.values import fitting

Path = tuple[str | int, ...]
_STRUCTURED: Path = ("result", "structuredContent")


def fitted(document: Document, masked: Document, schemas: Mapping[Path, OutputSchema]) -> str:
    """Return the text of ``masked`` with other values where those in it broke a schema that ``document`` kept.

    ``schemas`` says by the path of each message (empty, or its position in a batch) what its tool declares.
    """
    edits: dict[Path, str] = {}
    for at, schema in schemas.items():
        before, after = (_value(one.root, (*at, *_STRUCTURED)) for one in (document, masked))
        try:
            for path, place, value, instead in _changed(before, after, (), (*at, *_STRUCTURED)):
                fits = fitting(schema, schema.at(path, before, after), value, instead)
                if fits is not instead:
                    edits[place] = _text(fits)
        except TooMuch:
            continue
    if not edits:
        return masked.text
    leaves = (leaf for leaf in literals(masked.text) if not leaf.is_key and leaf.path in edits)
    return apply_edits(masked.text, [Edit(leaf.start, leaf.end, edits[leaf.path]) for leaf in leaves])


def _value(root: JsonValue, path: Path) -> JsonValue:
    for step in path:
        if isinstance(root, dict) and isinstance(step, str):
            root = root.get(step)
        elif isinstance(root, list) and isinstance(step, int) and step < len(root):
            root = root[step]
        else:
            return None
    return root


def _changed(
    before: JsonValue, after: JsonValue, path: Path, place: Path
) -> Iterator[tuple[Path, Path, JsonValue, JsonValue]]:
    """Yield for each leaf that was masked its path as it was and as it is, and its values. Keys may be masked, too."""
    if isinstance(before, dict) and isinstance(after, dict):
        for (key, one), (name, other) in zip(before.items(), after.items(), strict=True):
            yield from _changed(one, other, (*path, key), (*place, name))
    elif isinstance(before, list) and isinstance(after, list):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _changed(one, other, (*path, index), (*place, index))
    elif isinstance(before, str) and isinstance(after, str) and before != after:
        yield path, place, before, after


def _text(value: JsonValue) -> str:
    if isinstance(value, Number):
        return str.__str__(value)
    if isinstance(value, str):
        return quote(value)
    return "null" if value is None else "true" if value is True else "false"
