"""One value as it is written in data, code and prose. Offsets are code points; ends are exclusive."""

from __future__ import annotations

import re

_OPENING = re.compile(r"""(?:[brunBRUN]{1,2}(?=["']))?(\\*)(["'`])""")
_DECORATION = re.compile(r"(?:!\S*|&\S+)[ \t]+")
_DOUBLE = re.compile(r'(?:[^"\\\r\n]|\\.|"")*')
_SINGLE = re.compile(r"(?:[^'\\\r\n]|\\.|'')*")
_BACKTICK = re.compile(r"[^`\r\n]*")
_QUOTED = {'"': _DOUBLE, "'": _SINGLE, "`": _BACKTICK}
_BARE = re.compile(r"""[^\s,;&"'`{}\[\]][^\r\n,;&"'`}\](]*""")
_NEXT_NAME = re.compile(r"(?<=\S)\s+[A-Za-z_][A-Za-z0-9_.-]{0,63}\s?[=:]")
_PLACEHOLDER = re.compile(r"\{\{?[ \t]{0,8}(?:[A-Za-z_$][\w.$]{0,63})?[ \t]{0,8}\}\}?")
_BRACKETS = re.compile(r"""[\[\](){}]|"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?|\n[ \t]*\n""")
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_COMMENT = re.compile(r"(?<=[^ \t])[ \t]+#[^\n]*$")


def undecorated(text: str, at: int) -> int:
    """Skip YAML's tags and anchors."""
    while (match := _DECORATION.match(text, at)) is not None:
        at = match.end()
    return at


def scalar(text: str, at: int, limit: int) -> tuple[int, int, int]:
    """The value that begins at ``at``: its start and end without quotes, and where to go on reading.

    A bare value ends at ``limit`` at the latest; what is quoted or in brackets ends where it is closed, or with its
    line or paragraph if it is not.
    """
    match = _OPENING.match(text, at)
    if match is not None:
        return _quoted(text, match)
    if text[at : at + 1] in ("(", "[", "{"):
        placeholder = _PLACEHOLDER.match(text, at)
        if placeholder is not None:
            return at, at, placeholder.end()
        end = closing_bracket(text, at)
        return at, end, end
    return _bare(text, at, limit)


def rest_of_line(text: str, at: int) -> tuple[int, int, int]:
    """The value where nothing but it stands on the line."""
    end = text.find("\n", at)
    end = len(text) if end < 0 else end
    value = _COMMENT.sub("", text[at:end]).rstrip()
    return at, at + len(value), end


def closing_bracket(text: str, at: int) -> int:
    """Where what the bracket at ``at`` opens ends; at the end of its paragraph if nothing closes it."""
    expected: list[str] = []
    for match in _BRACKETS.finditer(text, at):
        token = match[0]
        if token in _CLOSING:
            expected.append(_CLOSING[token])
        elif token[0] == "\n":
            return match.start()
        elif token == expected[-1]:
            expected.pop()
            if not expected:
                return match.end()
    return len(text)


def _quoted(text: str, match: re.Match[str]) -> tuple[int, int, int]:
    start = match.end()
    if match[1]:
        # Text that was written into a string of something else: the quote that closes is escaped as often.
        closing = match[1] + match[2]
        line = text.find("\n", start)
        line = len(text) if line < 0 else line
        end = text.find(closing, start, line)
        while end > start and text[end - 1] == "\\":
            end = text.find(closing, end + len(closing), line)
        return (start, line, line) if end < 0 else (start, end, end + len(closing))
    inner = _QUOTED[match[2]].match(text, start)
    end = start if inner is None else inner.end()
    if text[end : end + 1] == "\\":
        end += 1
    return start, end, end + 1


def _bare(text: str, at: int, limit: int) -> tuple[int, int, int]:
    match = _BARE.match(text, at, limit)
    if match is None:
        return at, at, at
    end = match.end()
    # A call, as in ``Decimal('1.5')``; what it is called with is the value, too.
    while text[end : end + 1] == "(" and end < limit:
        end = closing_bracket(text, end)
        more = _BARE.match(text, end, limit)
        end = end if more is None else more.end()
    # A bare value may hold blanks; it ends at the latest where the next name begins.
    called = text.find("(", at, end)
    following = _NEXT_NAME.search(text, at, min(end + 1, len(text)) if called < 0 else called)
    if following is not None:
        end = following.start()
    end = at + len(text[at:end].rstrip())
    return at, end, end
