"""Texts within a text that are written in another alphabet: in data URIs (RFC 2397), in base64, in hexadecimal digits.

What a mask finds in one is masked with all of it, since no part of it could be changed and the rest stay what it was.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable
from urllib.parse import unquote_to_bytes

from countersign.jsontext import quote
from countersign.masking.detectors.base import ByteSpan, Hit, Pattern
from countersign.masking.result import Masked

# Found several times as fast as the pattern of the whole, which few texts match.
_SCHEME = Pattern(r"(?i)data:")
_URI = Pattern(r"""(?i)\bdata:([^,\s"'<>()]{0,255}),([^\s"'<>()\\]+)""")
_RUN = Pattern(r"[A-Za-z0-9+/_-]{8,}={0,2}")
_HEX = re.compile(rb"(?:[0-9A-Fa-f]{2})+")
# In a text with more of them, all are masked when anything is found in any.
_MOST_ASKED_ABOUT = 64
_FROM_URL_SAFE = bytes.maketrans(b"-_", b"+/")

_Mask = Callable[[bytes], Masked]


class DataUris:
    """A detector that asks ``mask`` about the text in each data URI; what is no text (a picture) stays.

    Readers of data URIs are lenient, so this one is: missing padding, the alphabet of URLs and escapes are all read.
    """

    label = "DATA"

    def __init__(self, mask: _Mask) -> None:
        self._mask = mask

    def find(self, data: bytes) -> list[Hit]:
        """See ``Detector``."""
        if not _SCHEME.matches(data):
            return []
        held = ((payload, _text(data[slice(*kind)], data[slice(*payload)])) for _, kind, payload in _URI.groups(data))
        return _found(held, self._mask, "a data URI with something to mask in it")


class Codes:
    """A detector that asks ``mask`` about the text in runs of base64 (RFC 4648, either alphabet) or hexadecimal digits.

    For what is looked for in few texts: any long word may be such a run.
    """

    label = "ENCODED"

    def __init__(self, mask: _Mask) -> None:
        self._mask = mask

    def find(self, data: bytes) -> list[Hit]:
        """See ``Detector``."""
        runs = [(run, data[slice(*run)]) for run in _RUN.spans(data)]
        held = [(run, _from_base64(text)) for run, text in runs]
        held += ((run, _from_hex(text)) for run, text in runs if _HEX.fullmatch(text))
        return _found(held, self._mask, "something to mask, written in base64 or hexadecimal digits")


def _found(held: Iterable[tuple[ByteSpan, str]], mask: _Mask, why: str) -> list[Hit]:
    texts = [(place, text) for place, text in held if text]
    # To ask once for all of them costs what their bytes cost, however many there are.
    if not texts or not mask(f"[{','.join(quote(text) for _, text in texts)}]".encode()).changed:
        return []
    if len(texts) <= _MOST_ASKED_ABOUT:
        texts = [(place, text) for place, text in texts if mask(text.encode()).changed]
    return [Hit(*place, why) for place, _ in texts]


def _text(kind: bytes, payload: bytes) -> str:
    """Return what a data URI holds when it is text in UTF-8; empty otherwise."""
    data = unquote_to_bytes(payload)
    return _from_base64(data) if b";base64" in kind.lower() else _decoded(data)


def _from_base64(data: bytes) -> str:
    plain = data.translate(_FROM_URL_SAFE).rstrip(b"=")
    try:
        return _decoded(base64.b64decode(plain + b"=" * (-len(plain) % 4)))
    except (binascii.Error, ValueError):
        return ""


def _from_hex(data: bytes) -> str:
    return _decoded(bytes.fromhex(data.decode()))


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return ""
