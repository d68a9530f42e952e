"""Server-sent events (WHATWG HTML, section 9.2): cut a stream into events, and mask one."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from countersign.jsontext import JsonRefused, parse
from countersign.masking.masker import Masker
from countersign.masking.result import Masked, NotMaskable

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"
_DATA = "data"
_LF = 0x0A
_LONGEST_HARMLESS = 12


@dataclass(frozen=True, slots=True)
class SseEvent:
    """One block of a stream, up to and with its blank line.

    ``raw`` is the block as it came. ``data`` is ``None`` when no line has that field (comments only, say), and ``""``
    for an event that is there for its id; ``event`` is ``""`` when not given; ``id`` is ``None`` when not given.
    """

    raw: bytes
    data: str | None
    event: str = ""
    id: str | None = None

    def with_data(self, text: str) -> bytes:
        """Write the block with other data; every other line stays as it is.

        Raises :class:`ValueError` when there is no data to replace, or the text holds a carriage return, which no
        data line can carry.
        """
        if self.data is None or "\r" in text:
            raise ValueError("this data cannot be put into this event")
        written: list[bytes] = []
        replaced = False
        for line, ending in _lines(self.raw):
            name = line.removeprefix(_BOM).partition(b":")[0]
            if name != b"data":
                written.append(line + ending)
            elif not replaced:
                # A byte order mark may stand at the start of a stream alone.
                written.append(line[: len(line) - len(line.removeprefix(_BOM))])
                written += (b"data: " + piece.encode() + ending for piece in text.split("\n"))
                replaced = True
        return b"".join(written)


class SseSplitter:
    """Cuts a stream into events as its bytes come; each event is given out with its last byte.

    An event longer than ``max_event_bytes``, finished or not, is refused.
    """

    def __init__(self, max_event_bytes: int) -> None:
        self._max_event_bytes = max_event_bytes
        self._buffer = bytearray()
        self._searched = 0
        self._line_start = 0
        self._at_start = True
        # Whether the line before ended in a bare carriage return, and whether a line feed would still belong to one.
        self._bare_cr = False
        self._skip_lf = False

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """Take the next bytes and return the events that they complete.

        Raises :class:`NotMaskable` for an event that is too long or not UTF-8; nothing after it can be trusted.
        """
        self._buffer += chunk
        events: list[SseEvent] = []
        done = 0
        for end in self._block_ends():
            if end - done > self._max_event_bytes:
                break
            events.append(_read(bytes(self._buffer[done:end]), at_start=self._at_start))
            self._at_start = False
            done = end
        del self._buffer[:done]
        self._line_start -= done
        self._searched -= done
        if len(self._buffer) > self._max_event_bytes:
            raise NotMaskable("an event is longer than allowed")
        return events

    def close(self) -> None:
        """Say that the stream has ended. Raises :class:`NotMaskable` when it ended inside an event that has data."""
        if self._buffer and _read(bytes(self._buffer), at_start=self._at_start).data is not None:
            raise NotMaskable("the stream ended inside an event")
        self._buffer.clear()

    def _block_ends(self) -> Iterator[int]:
        """Yield where blocks end in the buffer, and remember how far it was searched."""
        buffer = self._buffer
        if self._skip_lf and len(buffer) > self._line_start:
            self._skip_line_feed()
        while (match := _LINE_END.search(buffer, self._searched)) is not None:
            start, end = match.span()
            blank = start == self._line_start or (self._at_start and buffer[self._line_start : start] == _BOM)
            early = blank and self._bare_cr and match[0] != b"\n"
            if match[0] == b"\r" and end == len(buffer) and not early:
                # A line feed may follow and belong to it.
                self._searched = start
                return
            if early:
                # Where lines end in bare carriage returns nobody waits for a line feed: this byte may be the last
                # for long. Should one come after all, it goes with the next block, wherever the chunks were cut.
                end = start + 1
            self._bare_cr = early or match[0] == b"\r"
            self._line_start = self._searched = end
            if early:
                self._skip_lf = True
                if len(buffer) > end:
                    self._skip_line_feed()
            if blank:
                yield end
        self._searched = len(buffer)

    def _skip_line_feed(self) -> None:
        self._skip_lf = False
        if self._buffer[self._line_start] == _LF:
            self._line_start += 1
            self._searched = max(self._searched, self._line_start)


def mask_event(masker: Masker, event: SseEvent) -> Masked:
    """Mask one event; the result's bytes are the whole block.

    The data must be JSON, or empty. Raises :class:`NotMaskable` when it is not, and when a comment, an id or any other
    line holds a finding: those cannot be changed without changing what the stream means.
    """
    if event.data:
        try:
            document = parse(event.data, max_depth=masker.max_depth)
        except JsonRefused as refused:
            raise NotMaskable(f"the data of an event is not JSON: {refused}") from None
        text, findings = masker.json_document(document)
    else:
        text, findings = "", ()
    check_other_lines(masker, event)
    return Masked(event.with_data(text), findings) if findings else Masked(event.raw)


def check_other_lines(masker: Masker, event: SseEvent, *, besides: Collection[str] = ()) -> None:
    """Raise :class:`NotMaskable` when a comment, an id or any line but the data, and ``besides``, holds a finding."""
    other = "\n".join(_other_values(event.raw, besides))
    if other and masker.text(other.encode()).changed:
        raise NotMaskable("a line of an event other than its data holds what must be masked")


def is_harmless(text: str) -> bool:
    """Whether a text is a short word or number, which cannot be a finding."""
    return len(text) <= _LONGEST_HARMLESS and (text.isalpha() or text.isdigit() or not text)


def _other_values(raw: bytes, besides: Collection[str]) -> Iterator[str]:
    """Yield what stands in lines that are no data, except short words and numbers, which cannot be findings."""
    for line, _ in _lines(raw):
        name, _, value = line.decode().removeprefix("\ufeff").partition(":")
        if name != _DATA and name not in besides:
            text = value.strip() if name in ("", "event", "id", "retry") else f"{name} {value}"
            if not is_harmless(text):
                yield text


def _read(raw: bytes, *, at_start: bool) -> SseEvent:
    """Interpret a block (WHATWG HTML, section 9.2.6)."""
    data: list[str] = []
    kind = ""
    last_id: str | None = None
    first = True
    for line, _ in _lines(raw):
        text = _decode(line)
        if text.startswith("\ufeff"):
            if not (at_start and first):
                raise NotMaskable("a byte order mark inside an event stream")
            text = text[1:]
        first = False
        name, _, value = text.partition(":")
        value = value.removeprefix(" ")
        if name == _DATA:
            data.append(value)
        elif name == "event":
            kind = value
        elif name == "id" and "\0" not in value:
            last_id = value
    return SseEvent(raw, "\n".join(data) if data else None, kind, last_id)


def _lines(raw: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield each line and what ends it."""
    start = 0
    for match in _LINE_END.finditer(raw):
        yield raw[start : match.start()], match[0]
        start = match.end()
    if start < len(raw):
        yield raw[start:], b""


def _decode(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        refusal = NotMaskable("an event is not UTF-8")
    # Raised out here so that no exception that holds the bytes rides along as the context.
    raise refusal
