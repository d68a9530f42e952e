"""A detector that gateway.yaml states: where its pattern matches, and what is checked of each match."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

import re2

from countersign.masking.detectors.base import ByteSpan, Hit
from countersign.masking.own.errors import PatternRefused
from countersign.masking.own.validators import is_valid
from countersign.model.rule import OwnDetector

VALUE = "value"
"""The group of a pattern that stands for the value itself, where a match is more than that."""

NEAR_CHARACTERS = 50
"""How far from a match, within its line, a word may stand to be near."""

_LARGEST_PROGRAM = 10_000
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_REMEDIES = (
    (b"invalid perl operator: (?=", "look-ahead", "RE2 has none: match what follows, too, and mark (?P<value>...)"),
    (b"invalid perl operator: (?!", "look-ahead", "RE2 has none: say what may follow, or use \\b"),
    (
        b"invalid perl operator: (?<",
        "look-behind",
        "RE2 has none: match what stands before, too, and mark (?P<value>...)",
    ),
    (b"invalid perl operator: (?P", "a reference to a group, or a group without a name", "RE2 has no references"),
    (b"invalid perl operator: (?>", "an atomic group", "RE2 needs none, as it never goes back: write (?:...)"),
    (b"bad repetition operator: ", "repeats of repeats", "RE2 needs no possessive ones: repeat once"),
    (b"invalid repetition size: ", "a repeat of more than 1000", "repeat up to 1000 times"),
)
_BACKREFERENCE = re.compile(rb"invalid escape sequence: \\[1-9]")


class OwnPattern:
    """Detects what one entry of ``detectors`` describes. A match stays within its line."""

    def __init__(self, own: OwnDetector, regexp: re2._Regexp) -> None:
        self.label = own.label
        self._regexp = regexp
        self._group = regexp.groupindex.get(VALUE, 0)
        self._is_valid: Callable[[str], bool] | None = is_valid(own.validate) if own.validate else None
        self._near = _words(own.near) if own.near else None
        self._why = f"the pattern of {own.name}" + (f", and {own.validate} says yes" if own.validate else "")

    def find(self, data: bytes) -> list[Hit]:
        """See :class:`countersign.masking.detectors.base.Detector`."""
        if self._near is not None and self._near.search(data) is None:
            return []
        return [
            Hit(start, end, self._why)
            for (start, end), whole in map(self._spans, self._regexp.finditer(data))
            if start < end
            and (self._is_valid is None or self._is_valid(data[start:end].decode()))
            and (self._near is None or self._is_near(data, *whole))
        ]

    def _spans(self, match: re2._Match) -> tuple[ByteSpan, ByteSpan]:
        whole = match.span()
        value = match.span(self._group)
        # A value that took no part must not leave the match in clear text.
        return (value if value[0] >= 0 else whole), whole

    def _is_near(self, data: bytes, start: int, end: int) -> bool:
        assert self._near is not None
        # So many characters have at most four times as many bytes.
        least, most = max(start - 4 * NEAR_CHARACTERS, 0), end + 4 * NEAR_CHARACTERS
        first = max(data.rfind(b"\n", least, start) + 1, least)
        line_end = data.find(b"\n", end, most)
        last = line_end if line_end >= 0 else most
        before = data[first:start].decode("utf-8", "ignore")[-NEAR_CHARACTERS:]
        after = data[end:last].decode("utf-8", "ignore")[:NEAR_CHARACTERS]
        return self._near.search(f"{before} \n {after}".encode()) is not None


@lru_cache(maxsize=1_000)
def compile_own(own: OwnDetector) -> OwnPattern:
    """Compile a detector of gateway.yaml. Raises :class:`PatternRefused` for a pattern that cannot be used."""
    return OwnPattern(own, compiled(own.pattern))


def compiled(pattern: str) -> re2._Regexp:
    """Compile a pattern. Raises :class:`PatternRefused`, also for one that is so large that it would be slow."""
    options = re2.Options()
    options.log_errors = False
    options.never_nl = True
    try:
        regexp = re2.compile(pattern, options)
    except re2.error as error:
        refused = _explained(error.args[0] if error.args else b"")
    else:
        if "C" in _ESCAPE.findall(pattern):
            raise PatternRefused("the pattern matches single bytes (\\C)", "match characters: a dot is any")
        if regexp.programsize > _LARGEST_PROGRAM or regexp.reverseprogramsize > _LARGEST_PROGRAM:
            raise PatternRefused("the pattern is too large, and so too slow", "use smaller repeats, or fewer of them")
        if wrong := sorted(set(regexp.groupindex) - {VALUE}):
            what = f"the group `{wrong[0]}` of the pattern means nothing"
            raise PatternRefused(what, "call the group that is to be masked `value`, and others nothing: (?:...)")
        return regexp
    raise refused


def _explained(said: bytes | str) -> PatternRefused:
    message = said if isinstance(said, bytes) else said.encode()
    for begins, what, remedy in _REMEDIES:
        if message.startswith(begins):
            return PatternRefused(f"the pattern has {what}", remedy)
    if _BACKREFERENCE.match(message):
        return PatternRefused("the pattern has a back-reference", "RE2 has none: write out what is repeated")
    if message == rb"invalid escape sequence: \Z":
        return PatternRefused("the pattern has \\Z", "the end of the text is \\z in RE2")
    text = message.decode("utf-8", "replace")
    return PatternRefused(f"RE2 does not take the pattern ({text})", "see github.com/google/re2/wiki/Syntax")


def _words(words: Iterable[str]) -> re2._Regexp:
    """Match any of the words alone, and as a part of a name: ``employee`` in ``employee_id`` and ``theEmployeeId``."""
    options = re2.Options()
    options.log_errors = False
    plain = "|".join(re2.escape(word) for word in words)
    humps = "|".join(re2.escape(word[:1].upper() + word[1:].lower()) for word in words)
    return re2.compile(rf"(?:(?:^|[^\pL\pN])(?i:{plain})|\p{{Ll}}(?:{humps}))(?:$|[^\p{{Ll}}\pN])", options)
