"""Fields in text that is not JSON: ``ssn=...``, ``ssn: ...``, ``"ssn": "..."``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import re2

from countersign.masking.detectors.base import Pattern
from countersign.masking.fields import Field, named
from countersign.masking.result import Span

_VALUE = re.compile(r"""\\?"((?:[^"\\\r\n]|\\.)*)|'([^'\r\n]*)|([^\s,;&"'`{}\[\]][^\r\n,;&"'`}\]]*)""")
_NEXT_NAME = re.compile(r"\s+[A-Za-z_][A-Za-z0-9_.-]{0,63}\s?[=:]")


class TextFields:
    """Finds the values of named fields. Paths say nothing here, so the last key of a field is what counts."""

    def __init__(self, fields: Iterable[Field]) -> None:
        self._named = named(fields)
        names = "|".join(re2.escape(name) for name in sorted(self._named, key=lambda name: (-len(name), name)))
        self._mark = Pattern(rf"""(?i)(?:^|[^\pL\pN_])({names})\\?["'`]?[ \t]*[:=][ \t]*""")

    def __bool__(self) -> bool:
        return bool(self._named)

    def find(self, text: str) -> Iterator[Span]:
        """Yield the values' places in code points."""
        data = text.encode()
        marks = list(self._mark.groups(data))
        ends = [*(mark[0][0] for mark in marks), len(data)][1:]
        counted_bytes = counted = 0
        for ((_, start), name), end in zip(marks, ends, strict=True):
            # Each value is looked for up to the next mark only, so that many marks on one line stay linear.
            value = _value(data[start:end].decode())
            counted += len(data[counted_bytes:start].decode())
            counted_bytes = start
            if value is not None:
                field = self._named[data[slice(*name)].decode().casefold()]
                yield Span(counted + value[0], counted + value[1], field.label, field.replacement)


def _value(text: str) -> tuple[int, int] | None:
    match = _VALUE.match(text)
    if match is None or match.lastindex is None:
        return None
    start, end = match.span(match.lastindex)
    if match[3] is not None:
        # A bare value may hold blanks; it ends at the latest where the next name begins.
        following = _NEXT_NAME.search(text, start, end + 1)
        end = start + len(text[start : end if following is None else following.start()].rstrip())
    return (start, end) if start < end else None
