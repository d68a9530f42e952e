"""Words of the shell, as the command sees them: quoting taken away, braces expanded, what is unknown marked as such.

Source: POSIX.1-2024, Shell Command Language, section 2.2 (quoting); the Bash manual for ``$'…'`` and brace expansion.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tree_sitter import Node

from countersign.statements.shell.errors import UnreadError
from countersign.statements.shell.foreign import unspell

_NUMBERS = frozenset({"RANDOM", "SECONDS", "UID", "EUID", "LINENO", "COLUMNS", "PPID", "#", "?", "$"})
_ESCAPED = re.compile(r"\\(?:(\n)|(.))", re.DOTALL)
_ANSI = re.compile(
    r"\\(?:x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{1,4})|U([0-9a-fA-F]{1,8})|([0-7]{1,3})|c(.)|(.))", re.DOTALL
)
_ANSI_SHORT = {"a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_GLOB = re.compile(r"(?<!\\)[*?\[]")
_BRACES = re.compile(r"\{([^{}]*,[^{}]*|-?\d{1,6}\.\.-?\d{1,6}|[a-z]\.\.[a-z])\}")
_EXPANSIONS_MAX = 64


@dataclass(frozen=True, slots=True)
class Word:
    """One word. ``text`` is ``None`` when only a run would tell; ``glob``: file names could stand in its place."""

    text: str | None
    glob: bool = False
    variable: str | None = None
    """The variable, when the word is nothing but its value."""


UNKNOWN = Word(None)


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str | None
    raw: bool = False
    """Unquoted: a glob or a brace in it means something."""
    variable: str | None = None


def words(node: Node, known: Mapping[str, str | None], inner: list[Node]) -> list[Word]:
    """Read one word node into the words that the command gets: one, or more where braces expand.

    ``known`` has the values of the script's own variables, ``None`` where they are told only by a run. Command and
    process substitutions that the word holds are added to ``inner``. Raises :class:`UnreadError` for a node that is
    no word.
    """
    pieces = _pieces(node, known, inner)
    if any(piece.text is None for piece in pieces):
        variable = pieces[0].variable if len(pieces) == 1 else None
        return [Word(None, variable=variable)]
    if len(pieces) == 1 and not pieces[0].raw:
        return [Word(pieces[0].text)]
    if all(piece.raw for piece in pieces):
        written = "".join(piece.text or "" for piece in pieces)
        return [_unquoted(each) for each in _expand(written)]
    if any(piece.raw and ("{" in (piece.text or "") or "}" in (piece.text or "")) for piece in pieces):
        return [UNKNOWN]
    read = [_unquoted(piece.text or "") if piece.raw else Word(piece.text) for piece in pieces]
    return [Word("".join(each.text or "" for each in read), any(each.glob for each in read))]


def _unquoted(written: str) -> Word:
    text = _ESCAPED.sub(lambda found: found[2] or "", written) if "\\" in written else written
    return Word(text, glob=_GLOB.search(written) is not None)


def _expand(written: str) -> list[str]:
    """Expand braces, innermost first, as far as 64 words."""
    if "{" not in written or "\\" in written:
        return [written]
    done: list[str] = []
    pending = [written]
    while pending:
        each = pending.pop()
        found = _BRACES.search(each)
        if found is None:
            done.append(each)
        else:
            pending.extend(each[: found.start()] + choice + each[found.end() :] for choice in _choices(found[1]))
        if len(done) + len(pending) > _EXPANSIONS_MAX:
            raise UnreadError("braces that expand to too many words")
    return done


def _choices(inner: str) -> list[str]:
    if "," in inner:
        return inner.split(",")
    first, _, last = inner.partition("..")
    if first.isalpha():
        low, high = sorted((ord(first), ord(last)))
        return [chr(code) for code in range(low, high + 1)]
    low, high = sorted((int(first), int(last)))
    if high - low >= _EXPANSIONS_MAX:
        raise UnreadError("braces that expand to too many words")
    return [str(number) for number in range(low, high + 1)]


def source(node: Node) -> str:
    """Return the text that a node covers."""
    return unspell((node.text or b"").decode())


def _pieces(node: Node, known: Mapping[str, str | None], inner: list[Node]) -> list[_Piece]:
    match node.type:
        case "word" | "number" | "brace_expression" | "extglob_pattern" | "special_character":
            return [_Piece(source(node), raw=True)]
        case "raw_string":
            return [_Piece(source(node)[1:-1])]
        case "ansi_c_string":
            return [_Piece(_ANSI.sub(_ansi, source(node)[2:-1]))]
        case "string" | "translated_string":
            return _string(node, known, inner)
        case "concatenation" | "command_name":
            return _joined(node, known, inner)
        case "simple_expansion" | "expansion":
            return [_variable(node, known, inner)]
        case "command_substitution" | "process_substitution":
            inner.append(node)
            reads = node.children[0].type == "<("
            return [_Piece("/dev/fd/63" if reads else None)]
        case "arithmetic_expansion" if source(node).startswith("$(("):
            found = len(inner)
            _collect(node, inner)
            if len(inner) > found or not all(_is_number(each, known) for each in variables(node)):
                # A text is evaluated once more: the subscript of an array's name in it may be a command.
                raise UnreadError("arithmetic on what only a run tells")
            return [_Piece(None)]
    raise UnreadError("a construct that is not read")


def variables(node: Node) -> Iterator[str]:
    """Give the names of the variables that stand in a part of a script."""
    for child in node.named_children:
        if child.type in ("variable_name", "special_variable_name"):
            yield source(child)
        yield from variables(child)


def _is_number(name: str, known: Mapping[str, str | None]) -> bool:
    return name in _NUMBERS or re.fullmatch(r"-?\d+", known.get(name) or "") is not None


def _joined(node: Node, known: Mapping[str, str | None], inner: list[Node]) -> list[_Piece]:
    pieces: list[_Piece] = []
    end = node.start_byte
    for child in node.children:
        if child.start_byte != end or not child.is_named:
            raise UnreadError("a word whose parts do not join")
        pieces.extend(_pieces(child, known, inner))
        end = child.end_byte
    return pieces


def _string(node: Node, known: Mapping[str, str | None], inner: list[Node]) -> list[_Piece]:
    named = node.named_children
    if all(child.type == "string_content" for child in named):
        text = source(node)
        body = text[text.index('"') + 1 : -1]
        if "`" in body.replace("\\`", "") or re.search(r"(?<!\\)(?:\\\\)*\$[\w({\[?!@*#$-]", body):
            raise UnreadError("an expansion that was not seen")
        return [_Piece(re.sub(r"\\([$`\"\\])", r"\1", body.replace("\\\n", "")))]
    if len(named) == 1 and len(source(named[0])) + 2 == len(source(node)):
        return _pieces(named[0], known, inner)
    for child in named:
        if child.type != "string_content":
            _pieces(child, known, inner)
    return [_Piece(None)]


def _variable(node: Node, known: Mapping[str, str | None], inner: list[Node]) -> _Piece:
    _collect(node, inner)
    written = source(node)
    name = written[2:-1] if written.startswith("${") else written[1:]
    if name in known:
        value = known[name]
        return _Piece(value, raw=value is not None and _GLOB.search(value) is not None)
    return _Piece(None, variable=name)


def _collect(node: Node, inner: list[Node]) -> None:
    for child in node.named_children:
        if child.type in ("command_substitution", "process_substitution"):
            inner.append(child)
        else:
            _collect(child, inner)


def _ansi(found: re.Match[str]) -> str:
    code = found[1] or found[2] or found[3]
    if code is not None:
        value = int(code, 16)
        if value > 0x10FFFF:
            raise UnreadError("an escape outside Unicode")
        return chr(value)
    if found[4] is not None:
        return chr(int(found[4], 8) & 0xFF)
    if found[5] is not None:
        return chr(ord(found[5].upper()) & 0x1F)
    return _ANSI_SHORT.get(found[6], found[6] if found[6] in "\\'\"?" else "\\" + found[6])
