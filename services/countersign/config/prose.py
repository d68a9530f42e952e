"""The language model of a file: it is here, and masks that need one have one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as FilePath

from countersign.config.document import Node
from countersign.config.problem import Problems
from countersign.config.shape import MaskShape, NerShape
from countersign.model.rule import NAMES_IN_PROSE, ProseModel


def read(
    shape: NerShape | None, masks: Mapping[str, MaskShape], folder: FilePath, root: Node, out: Problems
) -> ProseModel | None:
    """The model; to be used only if nothing was added to ``out``. A relative folder starts at ``folder``."""
    users = [name for name, mask in masks.items() if NAMES_IN_PROSE in (mask.detect or ())]
    if shape is None:
        for name in users if root.child("ner") is None else ():
            remedy = "add `ner: {model: en_core_web_sm}`, the name or folder of a model of spaCy"
            out.add(root.find(("masks", name, "detect")).place, f"`{NAMES_IN_PROSE}` needs a language model", remedy)
        return None
    if not users:
        remedy = f"name `{NAMES_IN_PROSE}` in `detect` of a mask, or remove `ner`"
        out.add(root.key_place(("ner",)), "no mask uses the language model", remedy)
    is_path = "/" in shape.model or shape.model.startswith(".")
    model = str(folder / shape.model) if is_path else shape.model
    _find(model, root.find(("ner", "model")), out)
    plain = ProseModel(model)
    return ProseModel(model, tuple(shape.entities or plain.entities), shape.max_characters)


def _find(model: str, node: Node, out: Problems) -> None:
    # Who reads files without a model need not load what finds things.
    from countersign.masking.prose import ModelMissing, find_model

    try:
        find_model(model)
    except ModelMissing as missing:
        out.elsewhere = True
        out.add(node.place, missing.what, missing.remedy)
