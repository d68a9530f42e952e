"""Reads the subset of JavaScript that MongoDB statements are written in: literals, no code.

Sources: ECMA-262 for the literals; MongoDB, "Extended JSON (v2)", for ``$oid`` and its like. Stricter than both: a key
twice, ``__proto__``, computed keys, spreads, templates, functions and operators are refused, since each can make a
document mean something else than it seems to.
"""

from __future__ import annotations

import re

from countersign.statements.mongo.values import Constant, Document, NotUnderstoodError, Pattern, ProgramError, Value
from countersign.statements.names import names

DEPTH_MAX = 64
VALUES_MAX = 5000

_SPACE = re.compile(r"(?:[ \t\r\n]+|//[^\n\r\u2028\u2029]*|/\*(?:[^*]|\*(?!/))*\*/)+")
_WORD = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_NUMBER = re.compile(
    r"[-+]?(?:0[xX][0-9a-fA-F]{1,16}|(?:0|[1-9][0-9]{0,30})(?:\.[0-9]*)?(?:[eE][-+]?[0-9]{1,3})?)(?![\w.$])"
)
_STRING = re.compile(r'"(?:[^"\\\n\r]|\\[^\n\r])*"' + r"|'(?:[^'\\\n\r]|\\[^\n\r])*'")
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}|(.))", re.DOTALL)
_PATTERN = re.compile(r"/((?:[^/\\\[\n\r]|\\[^\n\r]|\[(?:[^\]\\\n\r]|\\[^\n\r])*\])+)/[a-z]*")
_SHORT = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v"}
_WORDS: dict[str, Value] = {
    "true": True,
    "false": False,
    "null": None,
    "undefined": None,
    "Infinity": float("inf"),
    "NaN": float("nan"),
    "MinKey": Constant(),
    "MaxKey": Constant(),
}
_MAKERS = names(
    """ObjectId ObjectID ISODate Date UUID LUUID CSUUID JUUID BinData HexData MD5 Timestamp NumberDecimal Decimal128
    MinKey MaxKey Binary BSONRegExp RegExp DBRef"""
)
_NUMBER_MAKERS = names("NumberInt NumberLong Long Int32 Double Number")
_WRAPPED_NUMBERS = names("$numberInt $numberLong $numberDouble $numberDecimal")
_WRAPPED_CONSTANTS = names("$oid $date $binary $uuid $timestamp $minKey $maxKey $symbol $undefined")
PROGRAM_WORDS = names(
    """async await class const continue delete do eval export for function if import let load new require return switch
    this throw try typeof var void while with yield print printjson globalThis process Mongo connect sleep"""
)


class Reader:
    """A place in a text, and what can be read from there. Every method raises :class:`NotUnderstoodError` at worst."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self._depth = 0
        self._values = 0

    def skip(self) -> bool:
        """Pass over blanks and comments; say whether a line ended in them."""
        found = _SPACE.match(self.text, self.position)
        if found is None:
            return False
        self.position = found.end()
        return "\n" in found[0] or "\r" in found[0]

    def peek(self) -> str:
        """Return the next character, nothing at the end."""
        return self.text[self.position : self.position + 1]

    def take(self, character: str) -> bool:
        """Pass over the character if it stands here, and over the blanks behind it."""
        if self.peek() != character:
            return False
        self.position += 1
        self.skip()
        return True

    def need(self, character: str) -> None:
        """Pass over the character, which must stand here."""
        if not self.take(character):
            raise self.refusal()

    def word(self) -> str | None:
        """Read a name as JavaScript writes it, if one stands here."""
        found = _WORD.match(self.text, self.position)
        if found is None:
            return None
        self.position = found.end()
        return found[0]

    def refusal(self) -> NotUnderstoodError:
        """Return the error for what stands here: code where it looks like code."""
        ahead = self.text[self.position : self.position + 200].lstrip()
        word = _WORD.match(ahead)
        if ahead.startswith(("`", "=", "...", "+", "*", "?", "&&", "||")) or (word and word[0] in PROGRAM_WORDS):
            return ProgramError("JavaScript that would have to run")
        return NotUnderstoodError("not the literals and calls that are read")

    def value(self) -> Value:
        """Read one literal, and the blanks behind it."""
        self._depth += 1
        self._values += 1
        if self._depth > DEPTH_MAX or self._values > VALUES_MAX:
            raise NotUnderstoodError("nested too deeply, or too many values")
        value = self._value()
        self._depth -= 1
        self.skip()
        if self.text.startswith("=>", self.position):
            raise ProgramError("a function")
        return value

    def _value(self) -> Value:
        match self.peek():
            case "{":
                return self._document()
            case "[":
                self.take("[")
                return self.items("]")
            case '"' | "'":
                return self.string()
            case "/":
                found = _PATTERN.match(self.text, self.position)
                if found is None:
                    raise self.refusal()
                self.position = found.end()
                return Pattern(found[1])
        found = _NUMBER.match(self.text, self.position)
        if found is not None:
            self.position = found.end()
            return _number(found[0])
        return self._named()

    def items(self, closing: str) -> list[Value]:
        """Read values and commas up to the closing bracket, which is passed over."""
        values: list[Value] = []
        while not self.take(closing):
            values.append(self.value())
            if not self.take(","):
                self.need(closing)
                break
        return values

    def string(self) -> str:
        """Read a string literal."""
        found = _STRING.match(self.text, self.position)
        if found is None:
            raise NotUnderstoodError("a string that does not end")
        self.position = found.end()
        inner = found[0][1:-1]
        return _ESCAPE.sub(_unescape, inner) if "\\" in inner else inner

    def _document(self) -> Value:
        self.take("{")
        members: Document = {}
        while not self.take("}"):
            key = self._key()
            if key in members or key == "__proto__":
                raise NotUnderstoodError("a key that stands twice, or changes the document's kind")
            members[key] = self.value()
            if not self.take(","):
                self.need("}")
                break
        return _plain(members)

    def _key(self) -> str:
        if self.peek() in ('"', "'"):
            key = self.string()
        else:
            found = _WORD.match(self.text, self.position) or _NUMBER.match(self.text, self.position)
            if found is None:
                raise self.refusal()
            self.position = found.end()
            key = found[0]
        self.skip()
        if self.peek() == "(" or not self.take(":"):
            raise ProgramError("a method or a variable in a document")
        return key

    def _named(self) -> Value:
        word = self.word()
        if word == "new":
            self.skip()
            word = self.word()
        if word is None:
            raise self.refusal()
        self.skip()
        if self.peek() != "(":
            if word in _WORDS:
                return _WORDS[word]
            raise ProgramError("a variable")
        if word not in _MAKERS and word not in _NUMBER_MAKERS:
            raise ProgramError("a function that is not known")
        self.take("(")
        arguments = self.items(")")
        if word in _NUMBER_MAKERS:
            return _wrapped_number(arguments[0] if arguments else 0)
        return Pattern("") if word in ("RegExp", "BSONRegExp") else Constant()


def _unescape(found: re.Match[str]) -> str:
    digits = found[1] or found[2] or found[3]
    if digits is not None:
        code = int(digits, 16)
        if code > 0x10FFFF:
            raise NotUnderstoodError("an escape outside Unicode")
        return chr(code)
    character = found[4]
    if character.isdigit() or character in "xu\u2028\u2029":
        raise NotUnderstoodError("an escape that is not read")
    return _SHORT.get(character, character)


def _number(text: str) -> int | float:
    if "x" in text.lower():
        return int(text, 16)
    return float(text) if any(mark in text for mark in ".eE") else int(text)


def _wrapped_number(value: Value) -> int | float:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return _number(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    raise NotUnderstoodError("a number that is not one")


def _plain(members: Document) -> Value:
    """Turn the wrappers of Extended JSON into what they wrap."""
    first = next(iter(members), "")
    if not first.startswith("$"):
        return members
    if "$code" in members:
        raise ProgramError("a function")
    if first in _WRAPPED_NUMBERS and len(members) == 1:
        return _wrapped_number(members[first])
    if first in _WRAPPED_CONSTANTS and len(members) == 1:
        return Constant()
    if first == "$regularExpression" and len(members) == 1:
        return Pattern("")
    return members
