"""Screens one message: every string of its JSON, keys and texts within texts among them, as it reads once decoded."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from countersign.jsontext import Edit, JsonRefused, JsonText, apply_edits, check, decoded, pick_places, quote
from countersign.model.event import Finding
from countersign.screening.characters import NOT_ASCII, Danger, Kind, dangers, without_any
from countersign.screening.terms import Act, Screening

MOST_DANGERS = 100_000
"""How many stretches of one message are counted; of more, none is taken out: the message is refused."""

_MOST_ROUNDS = 8
# In a JSON text, or one within it at any depth, an escape that may write one of these, or a letter of such an escape.
_ESCAPED = (
    r"\\(?i:[bf]|u(?:00[0-9][0-9a-f]|00ad|034f|061c|11(?:5f|60)|17b[45]|180[b-f]|20(?:0[b-f]|2[89a-e]|6[0-9a-f])|2800"
    r"|3164|[ef][0-9a-f]{3}|d8(?:04|0d|2f|34)|db[4-9a-f][0-9a-f]|dff[ef]))"
)
# To the end of the string: what else it holds is seen when it is looked at.
_IN_ESCAPES = re.compile(rf'{_ESCAPED}[^"]*+')
_IN_ANY = re.compile(rf'(?:{_ESCAPED}|[\x7f{NOT_ASCII}])[^"]*+')
_WHITESPACE = " \t\n\r\ufeff"
_OPENERS = ("{", "[", '"')
_Path = tuple[str | int, ...]
# The caller's own, or for the target to know again: nobody is shown them, and they must stay as they are.
_OPAQUE = frozenset(
    {
        *(("id",), ("params", "progressToken"), ("params", "requestId")),
        *(("result", "requestState"), ("result", "nextCursor")),
    }
)
# MCP's own words; any other key of a place may be anything, and is not told.
_TOLD = frozenset(
    {
        *("result", "params", "error", "message", "data", "content", "contents", "messages", "text", "resource", "uri"),
        *("name", "title", "description", "tools", "prompts", "resources", "resourceTemplates", "structuredContent"),
        *("_meta", "inputSchema", "outputSchema", "properties", "arguments", "annotations", "blob", "mimeType", "task"),
        *("completion", "values", "requestedSchema", "inputRequests", "logger", "prompt", "instructions", "status"),
    }
)
# Below them, and in texts within texts, keys are data. Elsewhere they are the protocol's, and taken for what they are.
_FREE = frozenset({"structuredContent", "_meta", "arguments", "data", "inputSchema", "outputSchema", "requestedSchema"})
_NAMES: Mapping[Kind, str] = {
    Kind.HIDDEN: "characters that nobody sees",
    Kind.TAGS: "a text in characters that nobody sees",
    Kind.ANSI: "escapes of terminals",
}
_BREAKS = "\u2028\u2029"


class Dangerous(ValueError):
    """The message must not be passed on. ``str()`` is safe to show; ``findings`` say what was found and where."""

    def __init__(self, reason: str, findings: Sequence[Finding] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.findings = tuple(findings)


@dataclass(frozen=True, slots=True)
class Screened:
    """What a message says now; ``text`` is ``None`` when it says what it said. ``findings`` has one for each place."""

    text: str | None
    findings: tuple[Finding, ...] = ()


_CLEAN = Screened(None)


class Screen:
    """Looks for dangers and does with them what ``terms`` say. Bytes outside of a changed string stay as they are."""

    def __init__(self, terms: Screening, *, max_depth: int = 64) -> None:
        self._acts = {Kind.HIDDEN: terms.hidden, Kind.TAGS: terms.tags, Kind.ANSI: terms.ansi}
        self._idle = all(act is Act.IGNORE for act in self._acts.values())
        self._max_depth = max_depth

    def json(self, body: JsonText, *, free: bool = False) -> Screened:
        """Screen a JSON text that was checked. ``free``: it is no message of MCP, and all its keys are data.

        Raises :class:`Dangerous`: for what is to be refused, for a key of the protocol that would change, for more than
        ``MOST_DANGERS``, and for texts within texts that are nested too deeply.
        """
        if self._idle or not _may_hold(body.text):
            return _CLEAN
        work = _Work(self._acts, self._max_depth)
        edits = work.json(body.text, "$", 0, free=free)
        return work.done(apply_edits(body.text, edits) if edits else None)

    def text(self, text: str) -> Screened:
        """Screen a text, also one that is JSON after all. Raises :class:`Dangerous` as :meth:`json` does."""
        if self._idle:
            return _CLEAN
        work = _Work(self._acts, self._max_depth)
        said = work.leaf(text, "$", 0)
        return work.done(None if said == text else said)


class _Work:
    """One message under way."""

    def __init__(self, acts: Mapping[Kind, Act], max_depth: int) -> None:
        self._acts = acts
        self._max_depth = max_depth
        self._found: Counter[tuple[Kind, str]] = Counter()
        self._total = 0

    def done(self, text: str | None) -> Screened:
        """Return what became of the message. Raises :class:`Dangerous` when it is to be refused."""
        refused = [kind for kind in Kind if self._acts[kind] is Act.REFUSE and any(k is kind for k, _ in self._found)]
        if refused:
            raise Dangerous(f"the answer holds {' and '.join(_NAMES[kind] for kind in refused)}", self._findings())
        return Screened(text, self._findings())

    def json(self, text: str, where: str, depth: int, *, free: bool) -> list[Edit]:
        """Return what to change in a JSON text that stands at a place, ``depth`` texts deep."""
        edits: list[Edit] = []
        for place in pick_places(text, _suspects(text)):
            path = place.path
            if place.is_number or (depth == 0 and not free and _plain(path) in _OPAQUE):
                continue
            value = decoded(text[place.start : place.end])
            at = where + _named(path)
            said = self._cleaned(value, at) if place.is_key else self.leaf(value, at, depth)
            if said == value:
                continue
            if place.is_key and depth == 0 and not free and _FREE.isdisjoint(path[:-1]):
                raise Dangerous("a key of the answer holds characters that nobody sees", self._findings())
            edits.append(Edit(place.start, place.end, quote(said)))
        return edits

    def leaf(self, value: str, where: str, depth: int) -> str:
        """Return what a value says now. That of a text that is JSON is its strings' to say."""
        if value.lstrip(_WHITESPACE).startswith(_OPENERS):
            try:
                check(value.lstrip("\ufeff"), max_depth=self._max_depth, permit_nan=True)
            except JsonRefused:
                pass
            else:
                if depth >= self._max_depth:
                    raise Dangerous("texts within texts are nested too deeply", self._findings())
                edits = self.json(value, where + "$", depth + 1, free=True) if _may_hold(value) else []
                return apply_edits(value, edits)
        said = self._cleaned(value, where)
        # What nobody saw may have kept it from being JSON, whose strings are looked at as they read once decoded.
        return said if said == value else self.leaf(said, where, depth)

    def _cleaned(self, value: str, where: str) -> str:
        """Take out what is to be, until nothing is left: what stood around it may have become a danger."""
        for turn in range(_MOST_ROUNDS):
            pieces: list[str] = []
            done = 0
            for danger in dangers(value):
                act = self._acts[danger.kind]
                if act is Act.IGNORE:
                    continue
                if turn == 0 and not self._counts(danger, where):
                    break
                if act is Act.STRIP:
                    pieces += (value[done : danger.start], _instead(value, danger))
                    done = danger.end
            if not done:
                return value
            value = "".join(pieces) + value[done:]
        # Only what was made to be so comes here.
        return without_any(value, [kind for kind, act in self._acts.items() if act is Act.STRIP])

    def _counts(self, danger: Danger, where: str) -> bool:
        self._found[danger.kind, where] += 1
        self._total += 1
        if self._total < MOST_DANGERS:
            return True
        if Act.STRIP in self._acts.values():
            reason = f"the answer holds more than {MOST_DANGERS:,} stretches of characters that nobody sees"
            raise Dangerous(reason, self._findings())
        return False

    def _findings(self) -> tuple[Finding, ...]:
        return tuple(Finding(kind.value, where, count) for (kind, where), count in self._found.items())


def _may_hold(text: str) -> bool:
    """Whether a JSON text may hold a danger: of most, this is all that is asked."""
    return not text.isascii() or "\\u" in text or "\\b" in text or "\\f" in text or "\x7f" in text


def _suspects(text: str) -> Iterator[tuple[int, int]]:
    pattern = _IN_ESCAPES if text.isascii() and "\x7f" not in text else _IN_ANY
    return (match.span() for match in pattern.finditer(text))


def _instead(value: str, danger: Danger) -> str:
    # Words that an invisible line break keeps apart must not become one.
    return "\n" if any(char in value[danger.start : danger.end] for char in _BREAKS) else ""


def _plain(path: _Path) -> _Path:
    """The path within a message, which may be one of a batch."""
    return path[1:] if path and isinstance(path[0], int) else path


def _named(path: Iterable[str | int]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step if step in _TOLD else '*'}" for step in path)
