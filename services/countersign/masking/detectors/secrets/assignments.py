"""Values that are assigned to telling names, in prose, configuration, environment files, commands and code."""

from __future__ import annotations

import re

from countersign.masking.detectors.base import ByteSpan, Hit, Pattern
from countersign.masking.detectors.looks import is_digest_or_uuid, is_random
from countersign.masking.detectors.secrets.part import Part
from countersign.masking.detectors.telling import Telling, classify, holds_secret

# A name of the first kind tells by itself; one of the second only beside a value that looks like a secret.
_STRONG = (
    r"(?:pass|pwd|pswd|psw\b|pw\b|psk\b|secret|token|jwt|kennwort|contrasena|senha|"
    r"(?:api|access|private|signing|encryption|encrypt|client|auth|account|shared|service|master|session|storage|hmac|"
    r"subscription)[ _.-]?(?:access[_.-]?)?(?:key|signature))"
)
_WEAK = r"(?:key|cred|auth|api\b|sas\b|pat\b)"
# What opens with a backslash closes with one; elsewhere a mark behind one belongs to the value.
QUOTED = (
    r"""\\+"((?:[^"\\\n]|\\[^"\n])*)|\\+'((?:[^'\\\n]|\\[^'\n])*)"""
    r"""|"((?:[^"\\\n]|\\[^\n])*)|'((?:[^'\\\n]|\\[^\n])*)|\x60([^\x60\n]*)"""
)
_TYPE = r"""(?::?\s{0,2}(?:string|str|secretstr|char\s?\*|&str|&'static str)(?:\[\])?\s{0,2})?"""
_OPERATOR = r"(?:=>|\|\|=?|[?.+]=|={1,3}|:{1,3}=?|->)"
_CLOSED = r"""\\*["'\x60]?\]?\)?\s{0,8}"""
# Of a value that must look like a secret: no blanks, and long.
_LONG = r"""[a-z0-9_+/=.~%$!@#^&*-]{12,}"""
_WORD = r"""[a-z0-9_+/=.~%$!@#^&*-]{6,}"""

_NAME = rf"[a-z0-9_.-]*{_STRONG}[a-z0-9_.-]{{0,40}}"
_WEAK_NAME = rf"[a-z0-9_.-]*{_WEAK}[a-z0-9_.-]{{0,40}}"
_AND_OPERATOR = rf"{_CLOSED}{_TYPE}{_OPERATOR}"
_LONG_VALUE = rf"""\s{{0,16}}(?:[a-z@]{{0,2}}\\*["'\x60])?((?:base64:)?{_LONG})"""
_ARGUMENT_NAME = rf"[a-z0-9_.-]*(?:{_STRONG}|{_WEAK})[a-z0-9_.-]{{0,24}}"
_OPENED = r"""["'\x60]?(?:\(|[,\n])[ \t]{0,4}[a-z]{0,2}["'\x60]"""
# A row of a table: the name of a secret in a column, the value in the next.
_ROW = Pattern(rf"""(?i)(?:^|[\s,;"'])({_NAME})[,;][ \t]?([a-z0-9_+/=.~-]{{16,}})(?:[,;\s"'\\]|$)""")
# Marks of strings in many languages, an opened bracket, and what PHP writes of a variable.
_BEFORE_QUOTED = r"""(?:\(\s{0,40}|\s{0,8}string\([0-9]{1,5}\)\s)?[a-z@]{0,2}"""
_DASHED = r"""(?:^|[\s"'\x60(\[=])--?"""
_FLAG_NAME = rf"[a-z0-9-]*(?:{_STRONG}|{_WEAK})[a-z0-9-]{{0,24}}"

_ASSIGNMENT = Pattern(
    rf"(?i)({_NAME}){_AND_OPERATOR}"
    rf"""[ \t]{{0,16}}(?:{_BEFORE_QUOTED}(?:{QUOTED})|(?:\n[ \t]{{1,16}})?([^\s"'\x60]+))"""
)
_WEAK_ASSIGNMENT = Pattern(rf"(?i)({_WEAK_NAME}){_AND_OPERATOR}{_LONG_VALUE}")
_ARGUMENT = Pattern(rf"""(?i)({_ARGUMENT_NAME}){_OPENED}({_WORD})["'\x60]""")
_FLAG = Pattern(
    rf"""(?i){_DASHED}({_FLAG_NAME})(?:["'],?\s{{1,4}}|[ \t]{{1,4}})(?:{QUOTED}|([^\s"'\x60-][^\s"'\x60]*))"""
)
# As in ADO.NET and ODBC, where a value may hold blanks and ends at a semicolon.
_BETWEEN_SEMICOLONS = Pattern(r"""(?i)[;"']\s{0,4}(password|pwd)\s{0,4}=\s{0,4}([^;"'\n]{1,128})[;"']""")
_LISTED_NAME = rf"(?:{_STRONG}|{_WEAK})[a-z0-9_.-]{{0,24}}"
_OPENS_LIST = r"""\\*["']?\s{0,4}(?:=>|[:=])\s{0,4}\["""
_LIST = Pattern(rf"(?i)([a-z0-9_.-]*{_LISTED_NAME}){_OPENS_LIST}([^\[\]{{}}]{{1,900}})")
_ITEM = Pattern(rf"(?:{QUOTED})")
# What a colon follows is the next name.
_NEXT_PART = Pattern(
    r"""["'][ \t]{0,4}[+.\\]?[ \t]{0,4}\r?\n[ \t]{0,60}[+.]?[ \t]{0,4}["']([^"'\n]{8,200})["']"""
    r"[ \t]{0,4}(?:[^: \t]|\z)"
)
_MOST_PARTS = 200
_PAIRS = (b"()", b"[]", b"{}", b"<>")
_TRAILING = b".,;:!?)]}>"
_LOUD = b"!?"
_NEXT_NAME = re.compile(rb"[;&,](?=\s{0,4}[A-Za-z][\w .-]{0,60}=)|;(?=\s|$)|&(?:amp;|quot;)")
_EXPRESSION = re.compile(
    r"[({\[@].*|[\w.$]*[A-Za-z_][(\[{].*|\$?[A-Za-z_]\w*(?:(?:\.|->|::)[A-Za-z_]\w*)+[\[(]?.*", re.DOTALL
)
_LONGEST_EXPRESSION = 200
_DEEPEST_INDENT = 18
_KEYWORDS = frozenset(
    {"await", "new", "yield", "not", "lambda", "return", "async", "function", "this", "self", "typeof"}
)
_SHORTEST_WITHOUT_DIGITS = 16


def find(data: bytes) -> list[Hit]:
    """Where the values stand that are assigned to telling names."""
    found: list[Hit] = []
    for _, name, *quoted, bare in _ASSIGNMENT.groups(data):
        found += assigned(data, name, max(quoted), bare)
    for pattern in (_WEAK_ASSIGNMENT, _ARGUMENT):
        for _, name, value in pattern.groups(data):
            trimmed = trim(data, value)
            text = data[slice(*trimmed)].decode()
            if pattern is _ARGUMENT and is_digest_or_uuid(text):
                continue
            if is_random(text) or (_is_called(data, name) and mixes(text)):
                found += assigned(data, name, trimmed)
    for _, name, *quoted, bare in _FLAG.groups(data):
        found += assigned(data, name, max(quoted), bare)
    for _, name, value in _ROW.groups(data):
        if is_random(data[slice(*value)].decode()):
            found += assigned(data, name, value)
    for _, name, (start, end) in _LIST.groups(data):
        found += _listed(data, name, start, end)
    for _, name, value in _BETWEEN_SEMICOLONS.groups(data):
        found += assigned(data, name, value)
    return found


def _listed(data: bytes, name: ByteSpan, start: int, end: int) -> list[Hit]:
    """The values of a list, if its name is telling; words of messages about passwords are none."""
    found: list[Hit] = []
    for _, *ways in _ITEM.groups(data[start:end]):
        first, last = max(ways)
        text = data[start + first : start + last].decode()
        if is_random(text) or (mixes(text) and " " not in text):
            found += assigned(data, name, (start + first, start + last))
    return found


def assigned(data: bytes, name: ByteSpan, quoted: ByteSpan, bare: ByteSpan = (-1, -1)) -> list[Hit]:
    """The value of a name, ``quoted`` or ``bare``, if the name is telling and the value can be a secret."""
    kind = classify(data[slice(*name)].decode())
    if kind is None:
        return []
    start, end = quoted if quoted[0] >= 0 else trim(data, bare)
    if start >= end or (quoted[0] < 0 and (_opens(data, name, start) or _is_said_of_it(data, start, end, kind))):
        return []
    # As written, too: the brace that was trimmed may close a placeholder.
    written = data[slice(*max(quoted, bare))].decode()
    if not (holds_secret(kind, written) and holds_secret(kind, data[start:end].decode())):
        return []
    if quoted[0] < 0:
        end = with_marks(data, end, bare[1])
    parts = [] if quoted[0] < 0 else _parts_behind(data, end)
    return [*parts, Hit(start, end, f"assigned to the name of a {kind.name.lower().replace('_', ' ')}")]


def _opens(data: bytes, name: ByteSpan, start: int) -> bool:
    """Whether a list or an object of JSON begins there: what is in it has its own places."""
    return data[start : start + 1] in (b"[", b"{") and data[name[1] : name[1] + 1] in (b'"', b"'", b"\\")


def _is_called(data: bytes, name: ByteSpan) -> bool:
    return data[name[1] : name[1] + 1] == b"(" and classify(data[slice(*name)].decode()) is Telling.PASSWORD


def _parts_behind(data: bytes, end: int) -> list[Hit]:
    """The strings that code joins to the one that ends here, each on a line of its own."""
    found: list[Hit] = []
    while len(found) < _MOST_PARTS:
        span = _NEXT_PART.group_of_match(data, end, len(data))
        if span is None:
            break
        found.append(Hit(*span, "joined to a value of a telling name"))
        end = span[1]
    return found


def mixes(value: str) -> bool:
    """Whether a word is no word of a sentence: letters and digits, at least six."""
    return len(value) >= 6 and any(c.isdigit() for c in value) and any(c.isalpha() for c in value)


def trim(data: bytes, span: ByteSpan) -> ByteSpan:
    """A bare value without what ends a sentence or begins the next name."""
    start, end = span
    following = _NEXT_NAME.search(data, start, end)
    if following is not None:
        end = following.start()
    while end > start and data[end - 1] in _TRAILING and not _closes(data, start, end):
        end -= 1
    return start, end


def with_marks(data: bytes, end: int, limit: int) -> int:
    """Where a value ends with the marks that passwords and sentences both end with: rather too much than a rest."""
    while end < limit and data[end] in _LOUD:
        end += 1
    return end


def _closes(data: bytes, start: int, end: int) -> bool:
    """Whether the last character closes what the first opens, as in ``[REDACTED]``."""
    return data[start : start + 1] + data[end - 1 : end] in _PAIRS


def _is_said_of_it(data: bytes, start: int, end: int, kind: Telling) -> bool:
    """Whether a bare word is prose or code about the secret (``Password: must have ...``, ``token = read(...)``)."""
    value = data[start:end]
    calls = b"(" in value and value[: value.index(b"(")].replace(b".", b"").replace(b"_", b"").isalnum()
    if calls and (kind is not Telling.PASSWORD or data[end : end + 1] == b")"):
        return True
    if _is_code(value.decode(), kind, data[start - 1 : start].isspace()):
        return True
    _, newline, indent = data[max(start - _DEEPEST_INDENT, 0) : start].rpartition(b"\n")
    if newline and not indent.strip() and (value.isalpha() or data[end : end + 1] in (b" ", b"(", b":")):
        # Alone on the line below its name, a value is one; a statement below an "if" is none.
        return True
    goes_on = data[end : end + 1] in (b" ", b"\t") and data[end + 1 : end + 2].isalpha()
    return value.decode().isalpha() and goes_on and data[start - 2 : start - 1] == b":"


def _is_code(value: str, kind: Telling, apart: bool) -> bool:
    """Whether a bare value is an expression: it calls or indexes, or is a name (a blank before it means code).

    What has no blank before it may be a password of any form.
    """
    if kind is Telling.PASSWORD and not apart:
        return False
    if len(value) <= _LONGEST_EXPRESSION and _EXPRESSION.fullmatch(value) is not None and not is_random(value):
        return True
    is_name = value.isidentifier()
    if apart and value in _KEYWORDS:
        return True
    is_word = value.isalpha() and (apart or len(value) < _SHORTEST_WITHOUT_DIGITS)
    return is_name and (classify(value) is not None or (kind is not Telling.PASSWORD and is_word))


PART = Part(
    find,
    gate=(
        rf"(?i){_STRONG}[a-z0-9_.-]{{0,40}}{_AND_OPERATOR}",
        rf"(?i){_WEAK}[a-z0-9_.-]{{0,40}}{_AND_OPERATOR}{_LONG_VALUE}",
        rf"(?i)(?:{_STRONG}|{_WEAK})[a-z0-9_.-]{{0,24}}{_OPENED}{_WORD}",
        rf"(?i){_STRONG}[a-z0-9_.-]{{0,40}}[,;][ \t]?[a-z0-9_+/=.~-]{{16,}}",
        rf"(?i)--?{_FLAG_NAME}[\x22']?,?\s",
        rf"(?i){_LISTED_NAME}{_OPENS_LIST}",
    ),
)
