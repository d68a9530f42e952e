"""Data URIs (RFC 2397) that hold text in which masks find something: their data is masked whole."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from countersign.jsontext import quote
from countersign.masking.detectors.base import Hit, Pattern
from countersign.masking.result import Masked

_URI = Pattern(r"""(?i)\bdata:([^,\s"'<>()]{0,255}),([^\s"'<>()\\]+)""")
# In a text with more of them, all are masked when anything is found in any.
_MOST_ASKED_ABOUT = 64
_FROM_URL_SAFE = bytes.maketrans(b"-_", b"+/")


class DataUris:
    """A detector that asks ``mask`` about the text in each data URI; what is no text (a picture) stays.

    Readers of data URIs are lenient, so this one is: missing padding, the alphabet of URLs and escapes are all read.
    """

    label = "DATA"

    def __init__(self, mask: Callable[[bytes], Masked]) -> None:
        self._mask = mask

    def find(self, data: bytes) -> list[Hit]:
        """See ``Detector``."""
        held = [
            (payload, text)
            for _, kind, payload in _URI.groups(data)
            if (text := _text(data[slice(*kind)], data[slice(*payload)]))
        ]
        # To ask once for all of them costs what their bytes cost, however many there are.
        if not held or not self._mask(f"[{','.join(quote(text) for _, text in held)}]".encode()).changed:
            return []
        if len(held) <= _MOST_ASKED_ABOUT:
            held = [(payload, text) for payload, text in held if self._mask(text.encode()).changed]
        return [Hit(*payload, "a data URI with something to mask in it") for payload, _ in held]


def _text(kind: bytes, payload: bytes) -> str:
    """Return what a data URI holds when it is text in UTF-8; empty otherwise."""
    data = unquote_to_bytes(payload)
    if b";base64" in kind.lower():
        plain = data.translate(_FROM_URL_SAFE).rstrip(b"=")
        try:
            data = base64.b64decode(plain + b"=" * (-len(plain) % 4))
        except (binascii.Error, ValueError):
            return ""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return ""
