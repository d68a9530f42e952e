"""Characters beyond ASCII, spelt in ASCII for the parser and read back from its tree.

The parser's scanner asks C's ``isalpha`` and its like about each character. Their tables end at 255: beyond, it reads
memory that is not its own, and now and then crashes the process.
"""

from __future__ import annotations

import re

from tree_sitter import Node

from countersign.statements.shell.errors import UnreadError

_FOREIGN = re.compile(r"[^\x00-\x7f]")
_SPELT = re.compile(r"QQ([0-9a-f]{6})QQ")


def spell(text: str) -> str:
    """Write each such character as letters and digits: to the shell, as they are, a part of a word.

    Raises :class:`UnreadError` for a text that itself holds what would be read back as another.
    """
    if "QQ" in text and _SPELT.search(text):
        raise UnreadError("letters that could stand for others")
    return text if text.isascii() else _FOREIGN.sub(lambda found: f"QQ{ord(found[0]):06x}QQ", text)


def unspell(text: str) -> str:
    """Read back what ``spell`` wrote."""
    return _SPELT.sub(lambda found: chr(int(found[1], 16)), text) if "QQ" in text else text


def check_names(root: Node) -> None:
    """Raise :class:`UnreadError` when such a character is part of a variable's name: the shell knows no such name."""
    pending = [root]
    while pending:
        node = pending.pop()
        if node.type in ("variable_name", "special_variable_name") and _SPELT.search((node.text or b"").decode()):
            raise UnreadError("a variable whose name is none")
        pending.extend(node.named_children)
