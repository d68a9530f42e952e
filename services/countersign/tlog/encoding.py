"""Base64, numbers and hashes as the C2SP texts write them: one way each, everything else is refused."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from countersign.tlog.errors import BadEncoding

HASH_BYTES: Final = 32
MAX_SIZE: Final = 2**63 - 1
"""The largest tree and the latest time: what a signed 64-bit integer holds (tlog-cosignature, 2^63 - 1)."""

_MAX_DIGITS: Final = len(str(MAX_SIZE))


def to_base64(content: bytes) -> str:
    """Write bytes as standard base64 with padding (RFC 4648, section 4)."""
    return base64.b64encode(content).decode("ascii")


def from_base64(text: str | bytes) -> bytes:
    """Read standard base64 with padding. Raises ``BadEncoding`` for anything that ``to_base64`` does not write.

    Of a long text no second copy is made.
    """
    try:
        content = binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError):
        raise BadEncoding("this is not standard base64") from None
    # What else may differ: padding that is missing, and bits of the last quantum that mean nothing.
    last = text[-4:] if isinstance(text, bytes) else text[-4:].encode()
    if len(text) != -(-len(content) // 3) * 4 or (
        content and base64.b64encode(content[-(len(content) % 3 or 3) :]) != last
    ):
        raise BadEncoding("this is not canonical base64")
    return content


def hash_from_base64(text: str) -> bytes:
    """Read a SHA-256 hash. Raises ``BadEncoding``."""
    content = from_base64(text)
    if len(content) != HASH_BYTES:
        raise BadEncoding(f"a hash has {HASH_BYTES} bytes, this has {len(content)}")
    return content


def parse_number(text: str) -> int:
    """Read a whole number from 0 to ``MAX_SIZE``: ASCII digits, no sign, no leading zeros. Raises ``BadEncoding``."""
    if not (0 < len(text) <= _MAX_DIGITS and text.isascii() and text.isdigit()):
        raise BadEncoding("this is not a whole number in decimal digits")
    value = int(text)
    if value > MAX_SIZE:
        raise BadEncoding("the number is too large")
    if text[0] == "0" and text != "0":
        raise BadEncoding("the number has leading zeros")
    return value
