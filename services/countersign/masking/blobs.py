"""Files within a message: base64 that holds text is masked as that text, base64 that holds none is somebody's decision.

Where MCP puts files (an object with ``blob``, or ``data`` beside its ``mimeType``) base64 must be canonical (RFC 4648,
sections 3.5 and 4), so that no lenient reader sees more in it than we do. Below the keys of ``_LOOSE`` stands what
servers make up themselves: there, what only looks like a file stays the text that it is.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from countersign.jsontext import Document, Edit, JsonText, apply_edits
from countersign.masking.places import bounded
from countersign.masking.result import Masked, NotMaskable
from countersign.model.event import Finding

BINARY = "BINARY"
"""The label of binary files that are not on the record."""

MOST_TEXTS = 2_000
"""How many files of text a message can hold: to mask each takes its time, however small it is."""

_LOOSE = frozenset({"structuredContent", "_meta", "data", "arguments", "error"})
_SHOWN = frozenset({"result", "params", "content", "contents", "messages", "resource", "blob", "data"})
_TEXT_TYPE = re.compile(
    r"text/.*|message/.*|image/svg.*|application/(?:.*\+)?(?:json|xml|yaml|x-yaml|toml|csv|sql|javascript|ecmascript"
    r"|typescript|x-javascript|x-sh|x-httpd-php|x-www-form-urlencoded|ndjson|jsonl|x-ndjson|graphql|rtf|xhtml)",
    re.IGNORECASE,
)
_CHARSET = re.compile(r'charset\s*=\s*"?([^\s;"]*)', re.IGNORECASE)
_UTF_8 = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})


# A key may be written with escapes, though nobody who means well escapes a letter.
_ESCAPED_LETTER, _ESCAPED_LETTER_IN_BYTES = re.compile(r"\\u00[4-7]"), re.compile(rb"\\u00[4-7]")
# Possessive: otherwise each escape of a long string costs a hundred bytes.
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\],]')


@dataclass(frozen=True, slots=True)
class Blobs:
    """What is done with files. ``refuse_binary`` withholds messages with files that are no text; else they pass."""

    refuse_binary: bool

    def masked(
        self, document: Document | JsonText, mask: Callable[[bytes], Masked]
    ) -> tuple[Sequence[Edit], tuple[Finding, ...]]:
        """Mask the files of a message with ``mask``; return what to change in its text, and what was found.

        Raises ``NotMaskable`` for what is no canonical base64, for text in another charset than UTF-8, and for binary
        files when they are refused.
        """
        if not _may_hold_files(document.text):
            return (), ()
        edits: list[Edit] = []
        findings: list[Finding] = []
        texts = 0

        def counted(data: bytes) -> Masked:
            nonlocal texts
            texts += 1
            if texts > MOST_TEXTS:
                raise NotMaskable(f"the answer holds more than {MOST_TEXTS} files of text")
            return mask(data)

        for file in _files(document.text):
            masked = self._masked(file, counted)
            if masked is not None and masked.changed:
                edits.append(_edit(file, masked.data))
                place = _place(file.path)
                findings += (Finding(one.label, place + one.place, one.count) for one in masked.findings)
        return edits, bounded(findings)

    def for_record(self, data: bytes) -> tuple[bytes, tuple[Finding, ...]]:
        """Return a masked message (JSON) without the binary files in it, each of which is a finding.

        That its caller may see a picture does not mean that the record, which nobody can mask later, may keep it.
        """
        if self.refuse_binary:
            return data, ()
        # Most hold none, and need not be decoded to see that.
        if not _may_hold_files(data):
            return data, ()
        text = data.decode()
        binary = [file for file in _files(text) if not file.is_loose and not _is_text(_decoded(file.value) or b"")]
        if not binary:
            return data, ()
        edits = [_edit(file, f"[{BINARY}]".encode()) for file in binary]
        return apply_edits(text, edits).encode(), bounded(Finding(BINARY, _place(file.path)) for file in binary)

    def _masked(self, file: _File, mask: Callable[[bytes], Masked]) -> Masked | None:
        data = _decoded(file.value)
        if data is None:
            if file.is_loose:
                return None
            raise NotMaskable("a file in the answer is not canonical base64")
        if not data:
            return None
        media, _, parameters = file.media_type.partition(";")
        if _is_text(data):
            charsets = _CHARSET.findall(parameters)
            if any(charset.lower() not in _UTF_8 for charset in charsets):
                raise NotMaskable("a text in a file of the answer is said to be in another charset than UTF-8")
            return mask(data)
        if file.is_loose:
            return None
        if _TEXT_TYPE.fullmatch(media.strip()):
            raise NotMaskable("a text in a file of the answer is not UTF-8")
        if self.refuse_binary:
            raise NotMaskable("the answer holds a binary file, which `binary: pass` of its target would let pass")
        return None


class _File(NamedTuple):
    """A string that is, or looks like, a file: its literal's place in the text, its value, and what is said of it."""

    start: int
    end: int
    value: str
    media_type: str
    is_loose: bool
    path: tuple[str | int, ...]


def _may_hold_files(text: str | bytes) -> bool:
    if isinstance(text, str):
        named = '"blob"' in text or ('"data"' in text and '"mimeType"' in text)
        return named or ("\\u00" in text and _ESCAPED_LETTER.search(text) is not None)
    named = b'"blob"' in text or (b'"data"' in text and b'"mimeType"' in text)
    return named or (b"\\u00" in text and _ESCAPED_LETTER_IN_BYTES.search(text) is not None)


class _Open:
    """An open container: the key or position at hand, and of an object what makes members of it files."""

    __slots__ = ("awaits_key", "files", "is_loose", "media_type", "step")

    def __init__(self, step: str | int, *, is_loose: bool) -> None:
        self.step = step
        self.is_loose = is_loose
        self.awaits_key = isinstance(step, str)
        self.media_type: str | None = None
        self.files: list[tuple[str, int, int]] = []

    @property
    def holds_files(self) -> bool:
        """Whether what it holds now stands where only something that servers make up themselves can."""
        return not (self.is_loose or self.step in _LOOSE)


def _files(text: str) -> Iterator[_File]:
    """Yield the files of a JSON text, which was parsed before."""
    opened: list[_Open] = []
    for match in _TOKEN.finditer(text):
        piece = match[0]
        top = opened[-1] if opened else None
        if piece[0] in "{[":
            is_loose = top is not None and not top.holds_files
            opened.append(_Open("" if piece == "{" else 0, is_loose=is_loose))
        elif top is None:
            return  # the whole text is one string
        elif piece in ("}", "]"):
            opened.pop()
            for key, start, end in top.files:
                if key == "blob" or top.media_type is not None:
                    path = (*(each.step for each in opened), key)
                    yield _File(start, end, _value(text[start:end]), top.media_type or "", top.is_loose, path)
        elif piece == ",":
            if isinstance(top.step, int):
                top.step += 1
            else:
                top.awaits_key = True
        elif top.awaits_key:
            top.step, top.awaits_key = _value(piece), False
            if top.step == "mimeType":
                top.media_type = ""
        elif top.step == "mimeType":
            top.media_type = _value(piece)
        elif top.step in ("blob", "data"):
            top.files.append((str(top.step), *match.span()))


def _edit(file: _File, data: bytes) -> Edit:
    return Edit(file.start, file.end, f'"{base64.b64encode(data).decode()}"')


def _value(literal: str) -> str:
    return str(json.loads(literal)) if "\\" in literal else literal[1:-1]


def _decoded(text: str) -> bytes | None:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data).decode() == text else None


def _is_text(data: bytes) -> bool:
    """Whether bytes are text. Those of UTF-16 without a mark may be UTF-8, too, but for their zeros."""
    if b"\0" in data:
        return False
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _place(path: Sequence[str | int]) -> str:
    """Name a file by its path; a key that is not MCP's own may be anything, and is not shown."""
    return "$" + "".join(
        f"[{step}]" if isinstance(step, int) else f".{step if step in _SHOWN else '*'}" for step in path
    )
