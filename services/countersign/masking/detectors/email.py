"""Mail addresses, as people and machines write them (a useful part of RFC 5321, not all of it)."""

from __future__ import annotations

import re

from countersign.masking.detectors.base import Hit, Pattern

_ADDRESS = Pattern(
    r"[\pL\pN._%+'&~!#$*/=?^`{|}-]*[\pL\pN_%+-]@(?:[\pL\pN](?:[\pL\pN-]*[\pL\pN])?\.)+(?:\pL{2,}|xn--[a-z0-9-]+)"
)
# A quoted mailbox, or the address of a machine in brackets (RFC 5321, 4.1.2 and 4.1.3): seldom, so looked for apart.
_QUOTED = Pattern(r"\x22[A-Za-z0-9._%+' -]+\x22@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}")
_AT_MACHINE = Pattern(r"[A-Za-z0-9._%+-]*[A-Za-z0-9_%+-]@\[[0-9A-Fa-f.:]+\]")
_REPOSITORY_USER = b"git@"
# What a mailbox may begin with (RFC 5322, atext), and is far more often quoted, marked up or divided by.
_MARKS = b"'&~!#$*/=?^`{|}.-"
_NAME = re.compile(rb"[A-Za-z_][A-Za-z0-9_.\[\]-]{0,63}\Z")


class Email:
    """Detects mail addresses."""

    label = "EMAIL"
    gate = ("@",)

    def find(self, data: bytes) -> list[Hit]:
        """See :class:`Detector`. ``git@host`` is how repositories are named, and nobody's mailbox."""
        if b"@" not in data:
            return []
        rare = ((b'"@', _QUOTED), (b"@[", _AT_MACHINE))
        patterns = (_ADDRESS, *(pattern for mark, pattern in rare if mark in data))
        return [
            Hit(_begin(data, start, end), end, "has the form of a mail address")
            for pattern in patterns
            for start, end in pattern.spans(data)
            if not (data.startswith(_REPOSITORY_USER, start) and data[end : end + 1] == b":")
        ]


def _begin(data: bytes, start: int, end: int) -> int:
    """Where the address itself begins: not with quotes or marks, the path it ends, or the name it is given to."""
    at = data.rindex(b"@", start, end)
    _, _, mailbox = data[start:at].rpartition(b"|")
    if mailbox[:1] in (b"/", b"?", b"&"):
        _, _, mailbox = mailbox.rpartition(b"/")
    before, assigns, rest = mailbox.rpartition(b"=")
    if assigns and _NAME.match(re.split(rb"[?&]", before)[-1].lstrip(_MARKS)):
        mailbox = rest
    return at - len(mailbox.lstrip(_MARKS) or mailbox)
