"""Masks bodies: every leaf is looked at as it reads once decoded, and nothing outside a finding changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass

from countersign.jsontext import Document, Edit, JsonRefused, apply_edits, parse
from countersign.masking.detectors import Detector, Hit
from countersign.masking.detectors.by_key import KeyDetector
from countersign.masking.explaining import Explained, located
from countersign.masking.fields import Field
from countersign.masking.gates import DetectorGates
from countersign.masking.key_rules import Cover, KeyRules
from countersign.masking.layers import Layer
from countersign.masking.leaves import Leaves
from countersign.masking.places import summarise
from countersign.masking.replacements import Minter, Replacement
from countersign.masking.result import Masked, NotMaskable, Span, merge
from countersign.masking.sparing import bind
from countersign.masking.text_fields import TextFields
from countersign.model.event import Finding

_Outcome = tuple[str, tuple[Finding, ...], Sequence[Edit]]
"""The masked text, what was found, and what was changed in the text."""


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
        self._gates = gates or DetectorGates((), cache_dir=None)
        secrets = next((rule.cover for rule in rules if rule.reads_names), None)
        personal = {rule.detector.label: rule.cover for rule in rules if isinstance(rule.detector, KeyDetector)}
        self._keys = KeyRules(fields, secrets, personal)
        self._text_fields = TextFields(fields, self._keys)
        self._idle = not rules and not fields
        self.minter: Minter | None = None
        self.max_depth = max_depth

    def within(self, minter: Minter) -> Masker:
        """Return this masker for texts of one session: with its tokens, which are not masked again."""
        bound = copy(self)
        bound.minter = minter
        return bound

    def json(self, data: bytes) -> Masked:
        """Mask a JSON body. Raises :class:`NotMaskable` when it is not JSON, strictly read."""
        try:
            document = parse(data, max_depth=self.max_depth)
        except JsonRefused as refused:
            raise NotMaskable(f"not JSON: {refused}") from None
        text, findings = self.json_document(document)
        return Masked(text.encode() if findings else data, findings)

    def json_document(self, document: Document) -> tuple[str, tuple[Finding, ...]]:
        """Mask a parsed JSON body; the text is the document's own when there are no findings."""
        if self._idle:
            return document.text, ()
        text, findings, _ = self._guarded(document.text, lambda leaves: leaves.add_document(document))
        return text, findings

    def text(self, data: bytes) -> Masked:
        """Mask a text body; one that is JSON after all is masked as JSON. Raises :class:`NotMaskable` if not UTF-8."""
        text = _decode(data)
        if self._idle:
            return Masked(data)
        masked, findings, _ = self._guarded(text, lambda leaves: leaves.add_text(text))
        return Masked(masked.encode() if findings else data, findings)

    def explain(self, text: str) -> Explained:
        """Mask a text as :meth:`text` does, and say of each stretch of it that was replaced why it was.

        Raises :class:`NotMaskable`.
        """
        _decode(text.encode("utf-8", "surrogatepass"))
        if self._idle:
            return Explained(text, ())
        masked, _, edits = self._guarded(text, lambda leaves: leaves.add_text(text))
        return Explained(masked, located(edits))

    def _guarded(self, text: str, gather: Callable[[Leaves], None]) -> _Outcome:
        """Gather and mask; a mistake of ours must end the call like any other doubt, and must not show the text."""
        try:
            leaves = Leaves(self._keys, self.max_depth)
            gather(leaves)
            return self._mask(text, leaves)
        except NotMaskable:
            raise
        except Exception as error:
            refusal = NotMaskable(f"masking failed: {type(error).__name__}")
        raise refusal

    def _mask(self, text: str, leaves: Leaves) -> _Outcome:
        by_leaf: defaultdict[int, list[Span]] = defaultdict(list)
        for leaf, cover in leaves.covered:
            whole = len(leaves.value(leaf))
            by_leaf[leaf].append(Span(0, whole, cover.label, cover.replacement, cover.detector, cover.why))
        for leaf, span in self._detected(leaves):
            by_leaf[leaf].append(span)
        if self._text_fields and leaves.prose:
            for leaf, span in self._named_in_prose(leaves):
                by_leaf[leaf].append(span)
        if not by_leaf:
            return text, (), ()
        found = {leaf: merge(by_leaf[leaf]) for leaf in sorted(by_leaf)}
        if self.minter is not None:
            found = bind(found, leaves.value, self.minter)
        return _apply(text, leaves, found) if found else (text, (), ())

    def _detected(self, leaves: Leaves) -> Iterator[tuple[int, Span]]:
        joined = leaves.joined()
        # The scanner takes text with many NULs for UTF-16, and its offsets would be those of another text.
        data = joined.encode().replace(b"\0", b"\1")
        may_find = self._gates.opened(data)
        for rule in self._rules:
            found = [hit for part in may_find(rule.detector) for hit in _find(part, data)]
            if found:
                spans: Iterator[tuple[int, int]] = ((hit.start, hit.end) for hit in found)
                if len(data) != len(joined):
                    spans = _in_code_points(data, spans)
                for leaf, start, end, which in leaves.locate(spans):
                    why = found[which].why
                    yield leaf, Span(start, end, rule.detector.label, rule.replacement, rule.name, why)

    def _named_in_prose(self, leaves: Leaves) -> Iterator[tuple[int, Span]]:
        for index, span in self._text_fields.find([leaves.value(leaf) for leaf in leaves.prose]):
            yield leaves.prose[index], span


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        refusal = NotMaskable("not UTF-8")
    # Raised out here so that no exception that holds the bytes rides along as the context.
    raise refusal


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


def _apply(text: str, leaves: Leaves, spans: dict[int, list[Span]]) -> _Outcome:
    expected: defaultdict[Layer, set[int]] = defaultdict(set)
    for leaf in spans:
        layer, number = leaves.place(leaf)
        expected[layer].add(number)
    # An inner text comes after the one that holds it, which must know where it stands.
    for layer in reversed(leaves.layers):
        if layer in expected:
            if layer.parent is not None:
                expected[layer.parent[0]].add(layer.parent[1])
            layer.expect(expected[layer])
    for leaf, found in spans.items():
        layer, number = leaves.place(leaf)
        layer.write(number, found)
    # Only now are all masked keys known, without which no place may be told.
    findings = summarise(
        (span.label, layer.place(number))
        for leaf, found in spans.items()
        for layer, number in (leaves.place(leaf),)
        for span in found
    )
    # An inner text comes after the one that holds it, so its edits are complete before they are handed out.
    for layer in reversed(leaves.layers):
        if layer.parent is not None and layer.edits:
            outer, number = layer.parent
            outer.embed(number, layer.edits)
    edits = leaves.layers[0].edits
    return apply_edits(text, edits), findings, edits
