"""The detectors that a file states itself: names of their own, and patterns that were tried out."""

from __future__ import annotations

import re
from collections.abc import Mapping

from countersign.config.document import Node, Path
from countersign.config.problem import Problems
from countersign.config.shape import BUILT_IN, OWN_DETECTOR_NAME, OwnDetectorShape
from countersign.config.wording import nearest
from countersign.model.rule import VALIDATORS, OwnDetector

_LABEL = re.compile(r"[A-Z][A-Z0-9_]{0,39}")
_NOT_FOR_LABELS = re.compile(r"[^A-Z0-9_]")


def read(shapes: Mapping[str, OwnDetectorShape], root: Node, out: Problems) -> dict[str, OwnDetector]:
    """The detectors by their names; to be used only if nothing was added to ``out``."""
    return {name: _detector(name, shape, root, out) for name, shape in shapes.items()}


def _detector(name: str, shape: OwnDetectorShape, root: Node, out: Problems) -> OwnDetector:
    path: Path = ("detectors", name)
    node = root.find(path)
    if not re.fullmatch(OWN_DETECTOR_NAME, name):
        remedy = "use small letters, digits and _, the first a letter"
        out.add(root.key_place(path), f"`{name}` is no usable name of a detector", remedy)
    if name in BUILT_IN:
        out.add(root.key_place(path), f"there is a detector `{name}` already", "give this one another name")
    label = shape.label or _NOT_FOR_LABELS.sub("_", name.upper())
    if shape.label and not _LABEL.fullmatch(shape.label):
        remedy = "write up to 40 capital letters, digits and _, such as EMPLOYEE_ID"
        out.add(node.find(("label",)).place, f"`{shape.label}` is no label", remedy)
    if shape.validate_by and shape.validate_by not in VALIDATORS:
        meant = nearest(shape.validate_by, VALIDATORS)
        remedy = f"did you mean `{meant}`?" if meant else f"use one of {', '.join(VALIDATORS)}"
        out.add(node.find(("validate",)).place, f"there is no check `{shape.validate_by}`", remedy)
        return OwnDetector(name, shape.pattern, label)
    for index, word in enumerate(shape.near or ()):
        if not any(map(str.isalnum, word)) or not word.isprintable() or word != word.strip():
            out.add(node.find(("near", index)).place, f"`{word}` is no word", "write words such as employee")
    own = OwnDetector(name, shape.pattern, label, shape.validate_by or "", tuple(shape.near or ()))
    _try_out(own, node.find(("pattern",)), out)
    return own


def _try_out(own: OwnDetector, node: Node, out: Problems) -> None:
    # Who reads files without detectors of their own, as the recorder does, need not load what finds things.
    from countersign.masking.own import PatternRefused, check_own

    try:
        check_own(own)
    except PatternRefused as refused:
        out.add(node.place, refused.what, refused.remedy)
