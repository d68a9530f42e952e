"""Redirections and here-documents: which files they touch, and what else stands in them.

Source: POSIX.1-2024, Shell Command Language, section 2.7; the Bash manual, "Redirections".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from tree_sitter import Node

from countersign.statements.shell.errors import UnreadError
from countersign.statements.shell.paths import read_classes, write_classes
from countersign.statements.shell.readers import quiet
from countersign.statements.shell.words import source, variables, words
from countersign.statements.verdict import StatementClass

_C = StatementClass
_OUTPUTS = frozenset({">", ">>", ">|", "&>", "&>>", ">&"})


def file_redirect(
    node: Node, known: Mapping[str, str | None], folder: str, inner: list[Node]
) -> tuple[frozenset[StatementClass], bool]:
    """Return what a redirection to or from a file does, and whether it takes the output away from whoever asked."""
    targets = [child for child in node.children if child.is_named and child.type != "file_descriptor"]
    signs = [child.type for child in node.children if not child.is_named]
    if len(targets) != 1 or len(signs) != 1:
        raise UnreadError("a redirection that is not read")
    target = targets[0]
    sign = signs[0]
    if sign in (">&", "<&") and re.fullmatch(r"\d|-", source(target)):
        return frozenset(), False
    read = words(target, known, inner)
    # A pattern to read from is any file that matches.
    if len(read) != 1 or (read[0].glob and sign != "<") or sign not in _OUTPUTS | {"<"}:
        raise UnreadError("a redirection that is not read")
    if sign == "<":
        if target.type == "process_substitution":
            return frozenset(), False
        unknown = frozenset({_C.FILE_ACCESS}) if read[0].text is None else frozenset[StatementClass]()
        return read_classes(read[0], folder) | unknown, False
    classes = write_classes(read[0], folder)
    errors = any(child.type == "file_descriptor" and source(child) == "2" for child in node.children)
    return classes, bool(classes) and not errors


def here(node: Node, known: Mapping[str, str | None], inner: list[Node]) -> bool:
    """Look at a here-document or here-string, whose text is data for the command that gets it.

    Return whether a variable stands in it that could hold a credential.
    """
    if node.type == "heredoc_redirect":
        _check_here_document(node)
    for child in node.children:
        if child.type == "heredoc_body":
            substitutions(child, inner)
        elif node.type == "herestring_redirect" and child.is_named:
            words(child, known, inner)
        elif child.is_named and child.type not in (
            "heredoc_start",
            "heredoc_end",
            "file_descriptor",
            "heredoc_content",
        ):
            raise UnreadError("a here-document whose command goes on behind it")
    return any(each not in known and not quiet(each) for each in variables(node))


def _check_here_document(node: Node) -> None:
    """Refuse what two readers could end at different lines."""
    found = re.match(r"<<(-?) ?(['\"]?)([A-Za-z_]\w*)\2\n", source(node))
    if found is None:
        raise UnreadError("a here-document that is not read")
    lines = source(node).split("\n")[1:]
    ends = [number for number, line in enumerate(lines) if (line.lstrip("\t") if found[1] else line) == found[3]]
    body = "\n".join(lines)
    expands = not found[2] and re.search(r"`|\$[(\[{]", body)
    if ends != [len(lines) - 1] or expands:
        raise UnreadError("a here-document that is not read")


def substitutions(node: Node, inner: list[Node]) -> None:
    """Add the command and process substitutions that a node holds to ``inner``."""
    for child in node.named_children:
        if child.type in ("command_substitution", "process_substitution"):
            inner.append(child)
        else:
            substitutions(child, inner)
