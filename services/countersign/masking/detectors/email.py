"""Mail addresses, as people and machines write them (a useful part of RFC 5321, not all of it)."""

from __future__ import annotations

from countersign.masking.detectors.base import Hit, Pattern

_ADDRESS = Pattern(
    r"[\pL\pN._%+'&~!#$*/=?^`{|}-]*[\pL\pN_%+-]@(?:[\pL\pN](?:[\pL\pN-]*[\pL\pN])?\.)+(?:\pL{2,}|xn--[a-z0-9-]+)"
)
_REPOSITORY_USER = b"git@"


class Email:
    """Detects mail addresses."""

    label = "EMAIL"
    gate = ("@",)

    def find(self, data: bytes) -> list[Hit]:
        """See :class:`Detector`. ``git@host`` is how repositories are named, and nobody's mailbox."""
        if b"@" not in data:
            return []
        return [
            Hit(start, end, "has the form of a mail address")
            for start, end in _ADDRESS.spans(data)
            if not (data.startswith(_REPOSITORY_USER, start) and data[end : end + 1] == b":")
        ]
