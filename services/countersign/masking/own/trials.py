"""Whether a pattern of gateway.yaml is fit to be used: tried out before it is in force, on texts made against it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

import re2

from countersign.masking.own.detector import OwnPattern, compile_own, compiled
from countersign.masking.own.errors import PatternRefused
from countersign.model.rule import OwnDetector

_PROSE = (
    b"The quick brown fox jumps over 13 lazy dogs; order 4711-22 was shipped on 2024-03-04 at 17:05.\n"
    b'{"id": 10482, "status": "open", "items": [{"sku": "A-100", "price": 12.5}, {"sku": "B-7", "price": 3}]}\n'
    b"GET /api/v2/users/42?page=3 HTTP/1.1 200 5123 req=7f3a9c2e-1b4d-4e8a-9c60-2d5f8b7e1a34 took 18ms\n"
    b"def total(items): return sum(item.price for item in items)  # see README.md, section 2\n"
    b"Wir danken f\xc3\xbcr Ihre Bestellung und w\xc3\xbcnschen Ihnen viel Freude damit.\n"
)
"""Ordinary text, in which a good detector finds next to nothing."""

_MOST_COVERED = 0.25
_SMALL_BYTES, _LARGE_BYTES = 1_024, 16_384
_SLOWEST = 8
"""How many times the time of the reference a pattern may take: twice what an honest one does in the worst case."""

_GROWN = 2
"""How many times the time for a byte may grow from the small text to the large one: by nothing, if it is honest."""

_FAST_S_PER_BYTE = 0.6e-6
"""What is as fast as this on any machine needs no comparison."""

_RUNS = 3
_TIMES = 3
"""How often a pattern must be found slow: where others use the same processor, an honest one may be once."""

_PREFIX_BYTES = 24
_MOST_SAMPLES = 12
_SYNTAX = re.compile(
    r"\\(?:[pPx]\{[^}]*\}|[pP].|x[0-9a-fA-F]{2}|.)|\(\?(?:P?<\w+>|[a-zA-Z-]*:?)|\{[0-9,]*\}|\[:\^?\w+:\]"
)
_LITERAL = re.compile(r"[^\\^$.|?*+()\[\]{}\s-]+")


@lru_cache(maxsize=1_000)
def check_own(own: OwnDetector) -> None:
    """Try a detector out. Raises :class:`PatternRefused` for one that could not be used, or should not.

    Refused are patterns that RE2 does not take, that match the empty text, that find more than a quarter of ordinary
    text, and those that are slow: RE2 never hangs, but may look at the rest of a line once for each match in it.
    """
    detector = compile_own(own)
    regexp = compiled(own.pattern)
    if any(match.start() == match.end() for text in (b"", _PROSE) for match in regexp.finditer(text)):
        raise PatternRefused("the pattern matches where nothing stands", "say what must be there: x+ in place of x*")
    if _covered(detector) > _MOST_COVERED:
        what = "the pattern finds more than a quarter of ordinary text"
        raise PatternRefused(what, "describe the value more closely, or add `near` or `validate`")
    bare = OwnPattern(replace(own, validate="", near=()), regexp)
    for sample in _samples(own.pattern, regexp):
        if _is_slow(bare, sample):
            what = "the pattern is slow: on some texts it looks at the same characters again and again"
            raise PatternRefused(what, "bound what it repeats (.{0,20} in place of .*), and avoid x.*y|x")


def _covered(detector: OwnPattern) -> float:
    covered = bytearray(len(_PROSE))
    for start, end, _ in detector.find(_PROSE):
        covered[start:end] = b"\1" * (end - start)
    return covered.count(1) / len(_PROSE)


def _samples(pattern: str, regexp: re2._Regexp) -> Iterator[bytes]:
    """Texts that a pattern finds hard, to be repeated: what it matches, what it almost matches, what it is made of."""
    yield _PROSE
    try:
        least, greatest = (_valid(bound) for bound in regexp.possiblematchrange(_PREFIX_BYTES))
    except re2.error:  # it may begin with anything
        least = greatest = b""
    literals = [found.encode() for found in _LITERAL.findall(_SYNTAX.sub(" ", pattern))]
    begun = (least, least[:-1], greatest, least + b" ")
    texts = map(_valid, (*begun, *literals, *(literal[:1] for literal in literals), b"a", b"0"))
    # Repeated, "a" and "aa" are the same text.
    different = {_repeated(text, 4 * _PREFIX_BYTES): text for text in texts if text}
    yield from list(different.values())[:_MOST_SAMPLES]


def _valid(text: bytes) -> bytes:
    return text.decode("utf-8", "ignore").replace("\n", "").encode()


def _repeated(sample: bytes, size: int) -> bytes:
    return _valid_end((sample * (size // len(sample) + 1))[:size])


def _valid_end(text: bytes) -> bytes:
    return text.decode("utf-8", "ignore").encode()


def _is_slow(detector: OwnPattern, sample: bytes) -> bool:
    return all(_takes_long(detector, sample) for _ in range(_TIMES))


def _takes_long(detector: OwnPattern, sample: bytes) -> bool:
    """Whether the detector takes many times what an ordinary pattern does, or the longer a text the more for a byte."""
    large = _s_per_byte(detector, sample, _LARGE_BYTES, runs=1)
    if large < _FAST_S_PER_BYTE:
        return False
    small, ordinary = _s_per_byte(detector, sample, _SMALL_BYTES), _s_per_byte(_REFERENCE, _PROSE, _SMALL_BYTES)
    if small > _SLOWEST * ordinary:
        return True
    large = min(large, _s_per_byte(detector, sample, _LARGE_BYTES))
    return large > _SLOWEST * ordinary or large > max(_GROWN * small, ordinary)


def _s_per_byte(detector: OwnPattern, sample: bytes, size: int, runs: int = _RUNS) -> float:
    """Processor time of this thread, in seconds, the least of a few runs: whatever else goes on decides nothing."""
    text = _repeated(sample, size)
    spent: list[float] = []
    for _ in range(runs):
        began = time.thread_time()
        detector.find(text)
        spent.append(time.thread_time() - began)
    return min(spent) / size


_REFERENCE = OwnPattern(OwnDetector("reference", "[a-z]+", "WORD"), compiled("[a-z]+"))
