"""The lines of a server-sent event besides its data: only what a client acts on is released. Pure."""

from __future__ import annotations

import re
from dataclasses import replace

from countersign.masker.withheld import Withheld
from countersign.masking import SseEvent

_LINE = re.compile(rb"([^\r\n]*)(\r\n|\n|\r|\Z)")
_BOM = b"\xef\xbb\xbf"
# What is recorded of an event is its data. These lines are released without it, so they must not be a way for more.
_HARMLESS = {
    b"event": re.compile(rb" ?[A-Za-z0-9_./-]{0,64}"),
    b"id": re.compile(rb" ?[!-~]{0,256}"),
    b"retry": re.compile(rb" ?[0-9]{0,9}"),
}


def without_remarks(event: SseEvent) -> SseEvent:
    """Return the event with its comments emptied and without lines that no client reads (WHATWG HTML, section 9.2.6).

    An emptied comment still keeps the connection alive. Raises ``Withheld`` when the name or id of the event, or its
    retry, is not of a shape that is known, or stands there twice.
    """
    named: set[bytes] = set()
    raw = b"".join(_released(line, ending, named) for line, ending in _LINE.findall(event.raw))
    return event if raw == event.raw else replace(event, raw=raw)


def _released(line: bytes, ending: bytes, named: set[bytes]) -> bytes:
    content = line.removeprefix(_BOM)
    name, _, value = content.partition(b":")
    # Without a byte order mark: it means something at the very beginning only, where a comment of ours may stand.
    if name == b"data" or not content:
        return content + ending
    if not name:
        return b":" + ending
    shape = _HARMLESS.get(name)
    if shape is None:
        return b""
    if not shape.fullmatch(value):
        raise Withheld("the name, id or retry of an event is not of a known shape")
    # Clients read the last one. In the others, of which there may be thousands, anything could leave.
    if name in named:
        raise Withheld("the name, id or retry of an event stands there twice")
    named.add(name)
    return content + ending
