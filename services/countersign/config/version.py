"""The policy version: a name for what the files say, to the byte."""

from __future__ import annotations

import hashlib

VERSION_DIGITS = 16


def version_of(data: bytes, candidate: bytes | None = None) -> str:
    """The policy version of a file with these bytes, and of the candidate that it names."""
    digest = hashlib.sha256(data)
    if candidate is not None:
        digest = hashlib.sha256(digest.digest() + hashlib.sha256(candidate).digest())
    return digest.hexdigest()[:VERSION_DIGITS]
