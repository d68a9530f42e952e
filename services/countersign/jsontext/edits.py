"""Change places of a text; everything else stays as it is, byte for byte."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from json import JSONEncoder

from countersign.jsontext.spans import element_spans, member_spans
from countersign.jsontext.values import Document

_WRITER = JSONEncoder(ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Edit:
    """Put ``text`` where ``start`` to ``end`` (code points, end exclusive) stands now.

    ``origin`` is whatever its maker knows the edit by; it travels with it.
    """

    start: int
    end: int
    text: str
    origin: object = field(default=None, compare=False, repr=False)


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """Apply edits, given in any order.

    Raises :class:`ValueError` when two overlap, or when one lies outside the text.
    """
    ordered = _ordered(text, edits)
    return "".join(_pieces(text, ordered)) if ordered else text


def write_edits(text: str, edits: Iterable[Edit]) -> bytes:
    """Apply edits as :func:`apply_edits` does, and encode as UTF-8: no other copy of the text is made."""
    written = BytesIO()
    for piece in _pieces(text, _ordered(text, edits)):
        written.write(piece.encode())
    return written.getvalue()


def _ordered(text: str, edits: Iterable[Edit]) -> list[Edit]:
    ordered = sorted(edits, key=lambda edit: (edit.start, edit.end))
    done = 0
    for edit in ordered:
        if not done <= edit.start <= edit.end <= len(text):
            raise ValueError("edits overlap or lie outside the text")
        done = edit.end
    return ordered


def _pieces(text: str, ordered: Iterable[Edit]) -> Iterator[str]:
    done = 0
    for edit in ordered:
        yield text[done : edit.start]
        yield edit.text
        done = edit.end
    yield text[done:]


def drop_elements(document: Document, path: Sequence[str | int], drop: Container[int]) -> list[Edit]:
    """Make the edits that delete the elements at these positions of the array at ``path``, with their commas."""
    spans = element_spans(document, path)
    return _dropped(spans, [index for index in range(len(spans)) if index in drop])


def drop_members(document: Document, path: Sequence[str | int], drop: Container[str]) -> list[Edit]:
    """Make the edits that delete the members with these keys of the object at ``path``, with their commas."""
    spans = member_spans(document, path)
    return _dropped(list(spans.values()), [index for index, key in enumerate(spans) if key in drop])


def _dropped(spans: Sequence[tuple[int, int]], dropped: Sequence[int]) -> list[Edit]:
    if not dropped:
        return []
    leading = next((position for position, index in enumerate(dropped) if position != index), len(dropped))
    edits: list[Edit] = []
    if leading:
        end = spans[leading][0] if leading < len(spans) else spans[-1][1]
        edits.append(Edit(spans[0][0], end, ""))
    edits.extend(Edit(spans[index - 1][1], spans[index][1], "") for index in dropped[leading:])
    return edits


def quote(value: str) -> str:
    """Write a JSON string literal that decodes to ``value``; what is not ASCII stays readable."""
    return _WRITER.encode(value)
