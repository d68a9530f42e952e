"""Masks bodies: every leaf is looked at as it reads once decoded, and nothing outside a finding changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import TypeVar

from countersign.jsontext import Document, JsonRefused, JsonText, apply_edits, check, outline, write_edits
from countersign.masking.detectors import Detector, Hit
from countersign.masking.detectors.base import parts_of
from countersign.masking.detectors.by_key import KeyDetector
from countersign.masking.explaining import Explained, located
from countersign.masking.fields import Field
from countersign.masking.gates import DetectorGates
from countersign.masking.key_rules import Cover, KeyRules
from countersign.masking.layers import JsonLayer, Layer
from countersign.masking.layout import Layout, lay_out_json, lay_out_text
from countersign.masking.places import summarise
from countersign.masking.readings import readings
from countersign.masking.replacements import Minter, Replacement
from countersign.masking.result import Masked, NotMaskable, Span, merge
from countersign.masking.sparing import bind
from countersign.masking.text_fields import TextFields
from countersign.model.event import Finding

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Rule:
    """A detector and what to put in place of what it finds."""

    detector: Detector
    replacement: Replacement
    reads_names: bool = False
    """Whether it also masks whole what stands beside a telling key."""
    name: str = ""
    """The detector's name in gateway.yaml."""

    @property
    def cover(self) -> Cover:
        """What masks a whole value on this rule's behalf."""
        return Cover(self.detector.label, self.replacement, self.name, "its key announces one")


class Masker:
    """Applies a set of detectors and fields. Nothing is ever returned half masked: :class:`NotMaskable` is raised."""

    def __init__(
        self, rules: Sequence[Rule], fields: Sequence[Field], *, gates: DetectorGates | None = None, max_depth: int = 64
    ) -> None:
        """Without ``gates``, which must know the detectors of all rules, every detector looks at every text."""
        self._rules = tuple(rules)
        self.fields = tuple(fields)
        self._gates = gates or DetectorGates((), cache_dir=None)
        self._order = {rule.detector: index for index, rule in reversed(list(enumerate(self._rules)))}
        self._ungated = [rule.detector for rule in self._rules if not self._gates.knows(rule.detector)]
        secrets = next((rule.cover for rule in rules if rule.reads_names), None)
        personal = {rule.detector.label: rule.cover for rule in rules if isinstance(rule.detector, KeyDetector)}
        self._keys = KeyRules(fields, secrets, personal)
        self._text_fields = TextFields(fields, self._keys)
        self._columns = self._text_fields.columns
        self._idle = not rules and not fields
        self.minter: Minter | None = None
        self.max_depth = max_depth

    def within(self, minter: Minter) -> Masker:
        """Return this masker for texts of one session: with its tokens, which are not masked again."""
        bound = copy(self)
        bound.minter = minter
        return bound

    def with_fields(self, fields: Sequence[Field]) -> Masker:
        """Return this masker with more fields, which come before its own."""
        wider = Masker(self._rules, (*fields, *self.fields), gates=self._gates, max_depth=self.max_depth)
        wider.minter = self.minter
        return wider

    def json(self, data: bytes) -> Masked:
        """Mask a JSON body. Raises :class:`NotMaskable` when it is not JSON, strictly read."""
        try:
            body = check(data, max_depth=self.max_depth)
        except JsonRefused as refused:
            raise NotMaskable(f"not JSON: {refused}") from None
        if self._idle:
            return Masked(data)
        return self._guarded(lambda: self._masked(data, self._json_layout(body)))

    def json_text(self, body: JsonText) -> tuple[bytes | None, tuple[Finding, ...]]:
        """Mask a JSON body as ``check`` read it; ``None`` instead of its bytes when it stays as it is."""
        if self._idle:
            return None, ()
        return self._guarded(lambda: self._written(self._json_layout(body)))

    def json_document(self, document: Document) -> tuple[str, tuple[Finding, ...]]:
        """Mask a parsed JSON body; the text is the document's own when there are no findings."""
        if self._idle:
            return document.text, ()
        return self._guarded(lambda: self._masked_text(self._json_layout(outline(document))))

    def text(self, data: bytes) -> Masked:
        """Mask a text body; one that is JSON after all is masked as JSON. Raises :class:`NotMaskable` if not UTF-8."""
        text = _decode(data)
        if self._idle:
            return Masked(data)
        return self._guarded(lambda: self._masked(data, self._text_layout(text)))

    def explain(self, text: str) -> Explained:
        """Mask a text as :meth:`text` does, and say of each stretch of it that was replaced why it was.

        Raises :class:`NotMaskable`.
        """
        _decode(text.encode("utf-8", "surrogatepass"))
        if self._idle:
            return Explained(text, ())
        return self._guarded(lambda: self._explained(self._text_layout(text)))

    def _guarded(self, work: Callable[[], _T]) -> _T:
        """Do the work; a mistake of ours must end the call like any other doubt, and must not show the text."""
        try:
            return work()
        except NotMaskable:
            raise
        except Exception as error:
            refusal = NotMaskable(f"masking failed: {type(error).__name__}")
        raise refusal

    def _json_layout(self, body: JsonText) -> Layout:
        return lay_out_json(body, self._keys, self._columns, self.max_depth)

    def _text_layout(self, text: str) -> Layout:
        return lay_out_text(text, self._keys, self._columns, self.max_depth)

    def _masked(self, data: bytes, layout: Layout) -> Masked:
        changed, findings = self._written(layout)
        return Masked(data if changed is None else changed, findings)

    def _written(self, layout: Layout) -> tuple[bytes | None, tuple[Finding, ...]]:
        findings = self._mask(layout)
        body = layout.body
        # The texts within it may be as long as itself.
        del layout
        return (write_edits(body.text, body.edits) if findings else None), findings

    def _masked_text(self, layout: Layout) -> tuple[str, tuple[Finding, ...]]:
        findings = self._mask(layout)
        return apply_edits(layout.body.text, layout.body.edits), findings

    def _explained(self, layout: Layout) -> Explained:
        self._mask(layout)
        return Explained(apply_edits(layout.body.text, layout.body.edits), located(layout.body.edits))

    def _mask(self, layout: Layout) -> tuple[Finding, ...]:
        """Find what is to be masked and have the layout's body edited; return what was found."""
        named = self._named_in_prose(layout)
        self._detect(layout)
        found = _settled(layout, named)
        if self.minter is not None:
            found = bind(found, _value, self.minter)
        return _edit(layout, found) if found else ()

    def _detect(self, layout: Layout) -> None:
        for window in layout.windows():
            found = list(self._found_in(window.text))
            for reading in readings(window.text) if self._rules else ():
                found += ((hit, rule, *reading.written(*place)) for hit, rule, *place in self._found_in(reading.text))
            for hit, rule, first, last in found:
                start, end = window.start + first, window.start + last
                if window.cuts(start, end):
                    end = layout.end_of_leaf(end)
                if window.owns(start, end):
                    layout.mark(start, end, Span(0, 0, rule.detector.label, rule.replacement, rule.name, hit.why))

    def _found_in(self, text: str) -> Iterator[tuple[Hit, Rule, int, int]]:
        """What the detectors find in a text, and where it stands there (code points)."""
        data = _scannable(text)
        asked = self._gates.opened(data) | {detector: parts_of(detector) for detector in self._ungated}
        # In the order of the rules: of equal findings the first rule's counts.
        mine = sorted((self._order[detector], parts) for detector, parts in asked.items() if detector in self._order)
        found = [(hit, self._rules[index]) for index, parts in mine for part in parts for hit in _find(part, data)]
        places: Iterable[tuple[int, int]] = ((hit.start, hit.end) for hit, _ in found)
        if found and len(data) != len(text):
            places = _in_code_points(data, places)
        for (hit, rule), (start, end) in zip(found, places, strict=True):
            yield hit, rule, start, end

    def _named_in_prose(self, layout: Layout) -> list[tuple[Leaf, Span]]:
        if not self._text_fields:
            return []
        json_texts = (layer.text for layer in layout.layers if isinstance(layer, JsonLayer))
        prose = list(layout.prose(single_lines=self._text_fields.in_single_lines(json_texts)))
        texts = [text for _, _, text in prose]
        named = list(layout.counted(self._text_fields.find(texts)))
        named += layout.counted(self._named_in_readings(texts, {index for index, _ in named}))
        return [(prose[index][:2], span) for index, span in named]

    def _named_in_readings(self, texts: Sequence[str], tabled: Container[int]) -> Iterator[tuple[int, Span]]:
        """What the texts, by their numbers, hold once escapes are undone.

        In those that are ``tabled``, which have such values as they are written, escapes keep cells apart.
        """
        read = [(index, reading) for index, text in enumerate(texts) for reading in readings(text)]
        no_tables = {number for number, (index, _) in enumerate(read) if index in tabled}
        for number, span in self._text_fields.find([reading.text for _, reading in read], no_tables=no_tables):
            index, reading = read[number]
            start, end = reading.written(span.start, span.end)
            yield index, span._replace(start=start, end=end)


Leaf = tuple[Layer, int]
"""A leaf of a layer."""


def _value(leaf: Leaf) -> str:
    layer, start = leaf
    return layer.value(start)


def _settled(layout: Layout, named: Iterable[tuple[Leaf, Span]]) -> dict[Leaf, list[Span]]:
    """All that was found, by leaf, in the order of the body."""
    expected: defaultdict[Layer, set[int]] = defaultdict(set)
    for (layer, leaf), _ in named:
        expected[layer].add(leaf)
    # An inner text comes after the one that holds it, which must know where it stands.
    for layer in reversed(layout.layers):
        layer.settle(expected[layer])
        if layer.parent is not None and (layer.found or expected[layer]):
            expected[layer.parent[0]].add(layer.parent[1])
    for (layer, leaf), span in named:
        layer.found.setdefault(leaf, []).append(span)
    leaves = [(layer, leaf) for layer in layout.layers for leaf in layer.found]
    leaves.sort(key=lambda place: (*place[0].order, place[1]))
    # Taken from the layers, which need it no more: there may be many.
    return {(layer, leaf): merge(layer.found.pop(leaf)) for layer, leaf in leaves}


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        refusal = NotMaskable("not UTF-8")
    # Raised out here so that no exception that holds the bytes rides along as the context.
    raise refusal


_ENDS_OF_LEAVES = ((b'",', b'"\n'), (b',"', b'\n"'), (b"},", b"}\n"), (b"],", b"]\n"))


def _scannable(text: str) -> bytes:
    """Encode without a change of length beyond that of UTF-8, for detectors that were made for lines of text."""
    # The scanner takes text with many NULs for UTF-16, and its offsets would be those of another text.
    data = text.encode().replace(b"\0", b"\1")
    for written, line_end in _ENDS_OF_LEAVES:
        # What ends a leaf ends a line, so that no pattern takes what stands beside one for a part of it.
        data = data.replace(written, line_end)
    return data


def _find(detector: Detector, data: bytes) -> list[Hit]:
    """Run a detector; whatever goes wrong in it, native panics among them, means that nothing may pass."""
    try:
        found = detector.find(data)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a native panic is no Exception
        refusal = NotMaskable(f"the detector of {detector.label} failed: {type(error).__name__}")
    else:
        for start, end, _ in found:
            if not 0 <= start < end <= len(data):
                raise NotMaskable(f"the detector of {detector.label} found something outside the text")
        return found
    raise refusal


def _in_code_points(data: bytes, spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Turn byte offsets into code points in one pass."""
    spans = list(spans)
    counted: dict[int, int] = {0: 0}
    done = count = 0
    for offset in sorted({offset for span in spans for offset in span}):
        piece = data[done:offset]
        # Continuation bytes are 10xxxxxx; every other byte begins a code point.
        count += len(piece) - len(piece.translate(None, _NOT_CONTINUATION))
        if offset < len(data) and data[offset] & 0xC0 == 0x80:
            raise NotMaskable("a detector cut a character in two")
        counted[offset] = count
        done = offset
    return ((counted[start], counted[end]) for start, end in spans)


_NOT_CONTINUATION = bytes(byte for byte in range(256) if byte & 0xC0 != 0x80)


def _edit(layout: Layout, found: Mapping[Leaf, Sequence[Span]]) -> tuple[Finding, ...]:
    for (layer, leaf), spans in found.items():
        layer.write(leaf, spans)
    # Only now are all masked keys known, without which no place may be told.
    findings = summarise((span.label, layer.place(leaf)) for (layer, leaf), spans in found.items() for span in spans)
    # An inner text comes after the one that holds it, so its edits are complete before they are handed out.
    for layer in reversed(layout.layers):
        if layer.parent is not None and layer.edits:
            outer, leaf = layer.parent
            outer.embed(leaf, layer.text, layer.edits)
            layer.edits = []
    for layer in layout.layers:
        layer.forget()
    return findings
