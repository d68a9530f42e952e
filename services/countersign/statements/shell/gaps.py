"""What a syntax tree leaves out: a tree that skips more than blanks has not read the text as the shell does."""

from __future__ import annotations

import re

from tree_sitter import Node

from countersign.statements.shell.errors import UnreadError

_BLANKS = re.compile(rb"(?:[ \t\n]|\\\n)*")
_TEXTS = frozenset({"string", "heredoc_body", "expansion"})
"""Their own text stands between their children."""


def check_gaps(root: Node, text: bytes) -> None:
    """Raise :class:`UnreadError` when anything but blanks stands between two nodes, or a comment begins in a word."""
    pending = [root]
    while pending:
        node = pending.pop()
        end = node.start_byte
        for child in node.children:
            if node.type not in _TEXTS and _BLANKS.fullmatch(text, end, child.start_byte) is None:
                raise UnreadError("text that the syntax tree leaves out")
            if child.type == "comment" and text[: child.start_byte][-1:] not in (
                b"",
                b" ",
                b"\t",
                b"\n",
                b";",
                b"&",
                b"|",
            ):
                raise UnreadError("a comment in the middle of a word")
            end = child.end_byte
            pending.append(child)
