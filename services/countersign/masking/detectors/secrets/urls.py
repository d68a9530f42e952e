"""Credentials in URLs: user info, query parameters, and addresses that are credentials themselves."""

from __future__ import annotations

from countersign.masking.detectors.base import Hit, Pattern

_URL_PASSWORD = Pattern(r"""[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#"'<>@:]*:([^\s/"'<>]+)@""")


def find(data: bytes, lower: bytes) -> list[Hit]:
    """Where the credentials of URLs stand; ``lower`` is ``data`` in lower case."""
    found: list[Hit] = []
    if b"://" in data:
        found += (Hit(*span, "the password of a URL") for span in _URL_PASSWORD.spans(data, 1))
    return found
