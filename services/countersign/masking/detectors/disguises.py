"""Text that reads as another: escapes, invisible characters, letters of other scripts that look like Latin ones."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from countersign.masking.detectors.base import Pattern

# Letters that a reader takes for Latin ones (a useful part of Unicode's confusables, UTS 39): Cyrillic, then Greek.
_ALIKE = str.maketrans(
    "аеорсухіѕјһԁԛԝкмтАВЕКМНОРСТХІЅЈУοαρντικυγΑΒΕΖΗΙΚΜΝΟΡΤΥΧıɑɡſ",
    "aeopcyxisjhdqwkmtABEKMHOPCTXISJYoapvtikuyABEZHIKMNOPTYXiags",
)
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufe00-\ufe0f\ufeff]+"
)
_PIECE = re.compile(
    rb"%[0-9A-Fa-f]{2}|=\r?\n|=3D"
    rb"|&(?:quot|apos|amp|lt|gt|equals|colon|#[0-9]{2,3}|#[xX][0-9a-fA-F]{2});"
    rb"|\\u00[2-7][0-9a-fA-F]|\\x[2-7][0-9a-fA-F]|\\[/nrt\"]"
    rb"|[\xc2-\xd4][\x80-\xbf]|\xe1\xa0\x8e|\xe2[\x80-\x81][\x80-\xbf]|\xef[\xb8-\xbd][\x80-\xbf]|\xf0\x9d[\x90-\x9f][\x80-\xbf]"
)
_MAIL = re.compile(rb"=3D|(?i:quoted-printable)")
# What the gate looks for, and where a credential may stand that such a thing hides.
_LETTER_ALIKE = "[" + "".join(map(chr, sorted(_ALIKE))) + "]"
_TRIGGER = Pattern(
    r"%(?:3[aAdD]|40|2[256fF])|&(?:quot|apos|equals|colon|#)|=3D|(?i:quoted-printable)|\\u00[2-7]|\\x[2-7]"
    r"|[\x{ad}\x{34f}\x{61c}\x{180e}\x{200b}-\x{200f}\x{202a}-\x{202e}\x{2060}-\x{2069}\x{fe00}-\x{fe0f}\x{feff}]"
    rf"|[\x{{ff01}}-\x{{ff5e}}\x{{1d400}}-\x{{1d7ff}}]|[A-Za-z]{_LETTER_ALIKE}|{_LETTER_ALIKE}[A-Za-z]"
)
_BEFORE_BYTES, _AFTER_BYTES = 512, 2_048
_BETWEEN = b"\n\n"
_NAMED = {b"quot": b'"', b"apos": b"'", b"amp": b"&", b"lt": b"<", b"gt": b">", b"equals": b"=", b"colon": b":"}
_LETTERS = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}

GATE = (
    r"%(?:3[aAdD]|40|2[256fF])",
    r"&(?:quot|apos|equals|colon|#3[49]|#58|#61|#[xX](?:22|27|3[aAdD]));",
    r"=3D|(?i:quoted-printable)",
    r"\\u00[2-7]|\\x[2-7]",
    r"\xc2\xad|\xcd\x8f|\xe1\xa0\x8e|\xe2\x80[\x8b-\x8f\xaa-\xae]|\xe2\x81[\xa0-\xa9]|\xef\xb8[\x80-\x8f]|\xef\xbb\xbf",
    r"\xef[\xbc\xbd][\x80-\xbf]|\xf0\x9d[\x90-\x9f][\x80-\xbf]",
    r"[A-Za-z](?:[\xce-\xd1\xd4][\x80-\xbf]|\xc4\xb1|\xc9[\x91\xa1]|\xc5\xbf)",
    r"(?:[\xce-\xd1\xd4][\x80-\xbf]|\xc4\xb1|\xc9[\x91\xa1]|\xc5\xbf)[A-Za-z]",
)
"""What a text holds that reads as another, for hyperscan."""


def fold(name: str) -> str:
    """A name as a reader sees it: compatible forms made plain (NFKC), look-alikes Latin, nothing invisible."""
    return unicodedata.normalize("NFKC", _INVISIBLE.sub("", name)).translate(_ALIKE)


class Reading(NamedTuple):
    """A text as it reads, and where each of its parts stands in the text as written."""

    text: bytes
    read_at: list[int]
    written_at: list[int]
    written_until: list[int]

    def written(self, start: int, end: int) -> tuple[int, int]:
        """Where a span of the reading stands as written; it covers whole escapes."""
        first, last = bisect_right(self.read_at, start) - 1, bisect_right(self.read_at, end - 1) - 1
        return self._at(first, start), self._until(last, end)

    def _at(self, piece: int, offset: int) -> int:
        return min(self.written_at[piece] + offset - self.read_at[piece], self.written_until[piece])

    def _until(self, piece: int, offset: int) -> int:
        size = self.read_at[piece + 1] - self.read_at[piece] if piece + 1 < len(self.read_at) else None
        read = offset - self.read_at[piece]
        return (
            self.written_until[piece] if read == size else min(self.written_at[piece] + read, self.written_until[piece])
        )


def excerpt(data: bytes) -> Reading:
    """Those parts of UTF-8 text that stand near what reads as another: elsewhere it reads as it is written."""
    result = Reading(b"", [], [], [])
    parts: list[bytes] = []
    read = 0
    for start, end in _near(data):
        for text, first, last in ((data[start:end], start, end), (_BETWEEN, end, end)):
            parts.append(text)
            result.read_at.append(read)
            result.written_at.append(first)
            result.written_until.append(last)
            read += len(text)
    return result._replace(text=b"".join(parts))


def _near(data: bytes) -> Iterator[tuple[int, int]]:
    """Where the stretches stand that hold what reads as another, with what may belong to it; none overlap."""
    start = end = 0
    for first, last in _TRIGGER.spans(data):
        if first - _BEFORE_BYTES > end:
            if end:
                yield start, end
            start = _whole(data, first - _BEFORE_BYTES)
        end = _whole(data, min(last + _AFTER_BYTES, len(data)))
    if end:
        yield start, end


def _whole(data: bytes, offset: int) -> int:
    """The next place between two characters."""
    while offset < len(data) and data[offset] & 0xC0 == 0x80:
        offset += 1
    return offset


def reading(data: bytes) -> Reading | None:
    """UTF-8 text with its escapes undone and its disguises taken off; ``None`` when it reads as it is written."""
    parts: list[bytes] = []
    result = Reading(b"", [], [], [])
    done = read = 0
    # A line that ends with an equals sign goes on in mail only (RFC 2045, section 6.7); elsewhere Base64 ends so.
    mail = _MAIL.search(data) is not None
    for match in _PIECE.finditer(data):
        plain = _plain(match[0])
        if plain is None or (plain == b"" and match[0][:1] == b"=" and not mail):
            continue
        for text, start, end in (
            (data[done : match.start()], done, match.start()),
            (plain, match.start(), match.end()),
        ):
            if text:
                parts.append(text)
                result.read_at.append(read)
                result.written_at.append(start)
                result.written_until.append(end)
                read += len(text)
        done = match.end()
    if not done:
        return None
    parts.append(data[done:])
    result.read_at.append(read)
    result.written_at.append(done)
    result.written_until.append(len(data))
    return result._replace(text=b"".join(parts))


def _plain(piece: bytes) -> bytes | None:
    """What a piece reads as; ``None`` when that is the piece itself."""
    first = piece[:1]
    if first == b"%":
        code = int(piece[1:], 16)
        return bytes((code,)) if 32 <= code < 127 else None
    if first == b"=":
        return b"=" if piece == b"=3D" else b""
    if first == b"&":
        return _entity(piece[1:-1])
    if first == b"\\":
        return _LETTERS.get(piece[1:]) or (bytes((int(piece[-2:], 16),)) if len(piece) > 2 else piece[1:])
    character = piece.decode()
    plain = fold(character)
    return plain.encode() if plain != character and plain.isascii() and len(plain) < 2 else None


def _entity(name: bytes) -> bytes | None:
    if name[:1] != b"#":
        return _NAMED[name]
    code = int(name[1:].replace(b"x", b"0x").replace(b"X", b"0x"), base=0)
    return bytes((code,)) if 32 <= code < 127 else None
