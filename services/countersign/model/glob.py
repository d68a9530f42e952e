"""Globs: what ``*`` and ``?`` mean in a rule, the same wherever rules are read, checked or applied."""

from __future__ import annotations

from collections.abc import Collection, Iterable


class Glob:
    """A pattern over whole strings: ``*`` is any run of characters, ``?`` any one; all else stands for itself.

    Case matters. Characters are code points. Matching never backtracks: it takes at most (length of the text) x (length
    of the pattern) steps, whatever the text, because each part between stars is placed once, as far left as it fits.
    """

    __slots__ = ("_head", "_middle", "_starred", "_tail", "pattern")

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        head, *rest = pattern.split("*")
        self._starred = bool(rest)
        self._head = _Part(head)
        self._tail = _Part(rest.pop() if rest else "")
        self._middle = tuple(_Part(part) for part in rest if part)

    def __repr__(self) -> str:
        return f"Glob({self.pattern!r})"

    @property
    def everything(self) -> bool:
        """Whether the pattern matches every string: stars alone."""
        return self.pattern != "" and not self.pattern.strip("*")

    def matches(self, text: str) -> bool:
        """Whether the whole of ``text`` fits the pattern."""
        at, end = self._head.size, len(text) - self._tail.size
        if not self._starred:
            return len(text) == at and self._head.stands_at(text, 0)
        if at > end or not self._head.stands_at(text, 0) or not self._tail.stands_at(text, end):
            return False
        for part in self._middle:
            found = part.find(text, at, end)
            if found < 0:
                return False
            at = found + part.size
        return True


class GlobSet:
    """Several globs, of which one must match; literals, prefixes and suffixes are compared without a loop."""

    __slots__ = ("_globs", "_literal", "_prefixes", "_suffixes", "everything", "literals")

    def __init__(self, patterns: Iterable[str]) -> None:
        literals, prefixes, suffixes, globs = set[str](), list[str](), list[str](), list[Glob]()
        self.everything = False
        for pattern in patterns:
            glob = Glob(pattern)
            self.everything = self.everything or glob.everything
            if not _is_wild(pattern):
                literals.add(pattern)
            elif pattern.endswith("*") and not _is_wild(pattern[:-1]):
                prefixes.append(pattern[:-1])
            elif pattern.startswith("*") and not _is_wild(pattern[1:]):
                suffixes.append(pattern[1:])
            else:
                globs.append(glob)
        self.literals, self._globs = frozenset(literals), tuple(globs)
        self._prefixes, self._suffixes = tuple(prefixes), tuple(suffixes)
        self._literal = not (globs or prefixes or suffixes)

    def matches(self, text: str) -> bool:
        """Whether any of the globs matches the whole of ``text``."""
        if self.everything or text in self.literals:
            return True
        if self._literal:
            return False
        if text.startswith(self._prefixes) or text.endswith(self._suffixes):
            return True
        return bool(self._globs) and any(glob.matches(text) for glob in self._globs)

    def matches_any(self, texts: Collection[str]) -> bool:
        """Whether any of the globs matches the whole of any of ``texts``."""
        if not self.literals.isdisjoint(texts):
            return True
        return not self._literal and any(self.matches(text) for text in texts)


class _Part:
    """What stands between two stars: literal pieces at fixed offsets, ``?`` being the gaps between them."""

    __slots__ = ("_pieces", "size")

    def __init__(self, text: str) -> None:
        self.size = len(text)
        pieces, offset = list[tuple[int, str]](), 0
        for piece in text.split("?"):
            if piece:
                pieces.append((offset, piece))
            offset += len(piece) + 1
        self._pieces = tuple(pieces)

    def stands_at(self, text: str, at: int) -> bool:
        return all(text.startswith(piece, at + offset) for offset, piece in self._pieces)

    def find(self, text: str, start: int, end: int) -> int:
        """Where the part first stands inside ``text[start:end]``, or -1."""
        if not self._pieces:
            return start if start + self.size <= end else -1
        offset, piece = self._pieces[0]
        last = end - self.size + offset + len(piece)
        found = text.find(piece, start + offset, last)
        while found >= 0 and not self.stands_at(text, found - offset):
            found = text.find(piece, found + 1, last)
        return found - offset if found >= 0 else -1


def _is_wild(pattern: str) -> bool:
    return "*" in pattern or "?" in pattern
