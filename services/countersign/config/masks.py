"""The masks of a file: what they find is known, and what they put in its place is, too."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from countersign.config.document import Node, Path
from countersign.config.problem import Problems
from countersign.config.shape import BUILT_IN, MASK_NAME, MaskShape
from countersign.config.wording import nearest
from countersign.model.rule import DETECTOR_SETS, Mask, ReplacementKind

_NO_KEY = re.compile(r"[*?\[\]{}\"'\\$]")
_PLACEHOLDER = re.compile(r"\{label\}")
_KINDS = tuple(kind.value for kind in ReplacementKind)
_SPECIAL = tuple(kind for kind in _KINDS if kind != ReplacementKind.REDACT)


def read(shapes: Mapping[str, MaskShape], detectors: Collection[str], root: Node, out: Problems) -> dict[str, Mask]:
    """The masks by their names; to be used only if nothing was added to ``out``.

    ``detectors`` are the names of those that the file states itself.
    """
    seen: dict[str, str] = {}
    for name, shape in shapes.items():
        path: Path = ("masks", name)
        place = root.key_place(path)
        if not re.fullmatch(MASK_NAME, name):
            out.add(place, f"`{name}` is no usable name of a mask", "use letters, digits, - and _")
        if name.casefold() in seen:
            what = f"`{name}` differs only in case from `{seen[name.casefold()]}`"
            out.add(place, what, "give each mask a name of its own")
        seen[name.casefold()] = name
        if shape.detect is None and shape.fields is None:
            out.add(place, f"the mask `{name}` finds nothing", "give it `detect`, `fields` or both")
        _check(shape, (*BUILT_IN, *detectors), root.find(path), out)
    return {name: _mask(name, shape) for name, shape in shapes.items()}


def _mask(name: str, shape: MaskShape) -> Mask:
    found = [single for detector in shape.detect or () for single in DETECTOR_SETS.get(detector, (detector,))]
    detectors, fields = tuple(dict.fromkeys(found)), tuple(shape.fields or ())
    if shape.replace in _KINDS:
        return Mask(name, detectors, fields, how=ReplacementKind(shape.replace))
    return Mask(name, detectors, fields, shape.replace)


def _check(shape: MaskShape, known: Collection[str], node: Node, out: Problems) -> None:
    for index, detector in enumerate(shape.detect or ()):
        if detector not in known:
            meant = nearest(detector, known)
            remedy = f"did you mean `{meant}`?" if meant else f"use one of {', '.join(known)}"
            out.add(node.find(("detect", index)).place, f"there is no detector `{detector}`", remedy)
    for index, field in enumerate(shape.fields or ()):
        steps = field.split(".")
        if not all(step == "*" or _is_key(step) for step in steps) or steps[-1] == "*":
            remedy = "write keys joined by dots, such as ssn or customer.*.card, the last one a name"
            out.add(node.find(("fields", index)).place, f"`{field}` is no path of keys", remedy)
    if shape.replace not in _KINDS:
        _check_replacement(shape.replace, node.find(("replace",)), out)


def _check_replacement(text: str, node: Node, out: Problems) -> None:
    rest = _PLACEHOLDER.sub("", text)
    meant = nearest(text, _SPECIAL) if text.isalpha() and text.islower() else None
    if meant:
        remedy = f"did you mean `{meant}`? write a text of your own in other letters"
        out.add(node.place, f"`{text}` is no kind of replacement", remedy)
    if "{" in rest or "}" in rest:
        out.add(node.place, "`replace` holds braces other than {label}", "use {label} only, or none")
    if not text.isprintable():
        out.add(node.place, "`replace` holds unprintable characters", "remove them")


def _is_key(step: str) -> bool:
    return bool(step) and step.isprintable() and step == step.strip() and not _NO_KEY.search(step)
