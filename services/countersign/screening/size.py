"""Results with more text than a model's context should be flooded with: cut where text can be cut, else refused."""

from __future__ import annotations

import re
from collections.abc import Sequence

from countersign.jsontext import Edit, Place, apply_edits, decoded, pick_places, quote
from countersign.model.event import Finding
from countersign.screening.screen import Dangerous
from countersign.screening.terms import Oversized

OVERSIZED = "OVERSIZED"
"""The label of results that were cut or refused."""

_MARK = " [cut by the gateway: {} bytes more]"
# Of the longest mark, escapes and quotation marks.
_MARK_BYTES = 64
# Below these stands what must stay what it is.
_WHOLE = frozenset({"structuredContent", "_meta"})
_FILES = frozenset({"data", "blob"})
_HALF_ESCAPE = re.compile(r"((?:^|[^\\])(?:\\\\)*)\\(?:u[0-9a-fA-F]{0,3})?\Z")


def fitted(text: str, bound: int, how: Oversized) -> tuple[str, tuple[Finding, ...]]:
    """Return a message (JSON, checked) whose size without files is at most ``bound`` bytes, as UTF-8.

    Cut, from the last one that fits on, are texts that are shown: of content blocks, resources, prompts, errors and
    log messages. ``structuredContent`` and ``_meta`` stay whole. Raises ``Dangerous`` when it is to be refused, and
    when the rest alone is too large.
    """
    if len(text) * 4 <= bound:
        return text, ()
    total = len(text.encode())
    if total <= bound:
        return text, ()
    shown: list[Place] = []
    for place in pick_places(text, [(0, len(text))]):
        if place.is_key or place.is_number:
            continue
        if _is_file(place.path):
            total -= place.end - place.start
        elif _is_shown(place.path):
            shown.append(place)
    if total <= bound:
        return text, ()
    if how is Oversized.REFUSE:
        raise _too_large(bound)
    sizes = [len(text[place.start : place.end].encode()) for place in shown]
    left = bound - (total - sum(sizes))
    if left < 0:
        raise _too_large(bound)
    edits: list[Edit] = []
    # Each text that is cut needs room for its mark.
    after = _needed(sizes)
    for place, size, needed in zip(shown, sizes, after, strict=True):
        if size + needed <= left:
            left -= size
            continue
        room = left - needed
        if room < min(size, _MARK_BYTES):
            raise _too_large(bound)
        if size <= _MARK_BYTES:
            left -= size
            continue
        kept = _cut(decoded(text[place.start : place.end]), max(0, room - _MARK_BYTES), size)
        edits.append(Edit(place.start, place.end, kept))
        left -= len(kept.encode())
    return apply_edits(text, edits), (Finding(OVERSIZED, "", len(edits)),)


def cut_text(text: str, bound: int, how: Oversized) -> tuple[str, tuple[Finding, ...]]:
    """Do likewise with a plain text."""
    data = text.encode()
    if len(data) <= bound:
        return text, ()
    if how is Oversized.REFUSE:
        raise _too_large(bound)
    kept = data[: max(0, bound - _MARK_BYTES)].decode(errors="ignore")
    return kept + _MARK.format(len(data) - len(kept.encode())), (Finding(OVERSIZED, "", 1),)


def _needed(sizes: Sequence[int]) -> list[int]:
    """How many bytes the texts behind each one need at least."""
    needed = [0]
    for size in reversed(sizes[1:]):
        needed.append(needed[-1] + min(size, _MARK_BYTES))
    needed.reverse()
    return needed[: len(sizes)] if sizes else []


def _cut(value: str, most: int, size: int) -> str:
    """Return the literal of the beginning of a value, of ``most`` bytes and a mark; ``size`` is that of all of it."""
    written = quote(value[:most])[1:-1].encode()[:most].decode(errors="ignore")
    whole = _HALF_ESCAPE.sub(r"\1", written)
    return f'"{whole}{_MARK.format(max(0, size - len(whole.encode()) - 2))}"'


def _too_large(bound: int) -> Dangerous:
    return Dangerous(f"the result is larger than {bound} bytes", [Finding(OVERSIZED)])


def _is_file(path: Sequence[str | int]) -> bool:
    return bool(path) and path[-1] in _FILES and len(path) > 3 and _WHOLE.isdisjoint(path) and "result" in path


def _is_shown(path: Sequence[str | int]) -> bool:
    if not path or not _WHOLE.isdisjoint(path):
        return False
    if path[-1] == "text":
        return "result" in path or "params" in path
    return tuple(path[-2:]) in (("error", "message"), ("error", "data"), ("params", "data"), ("params", "message"))
