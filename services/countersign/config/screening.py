"""What a file says of screening: of the gateway, and of a target, whose keys replace the gateway's one by one."""

from __future__ import annotations

from dataclasses import replace

from countersign.config.document import Node
from countersign.config.problem import Problems
from countersign.config.shape_screening import ScreeningShape
from countersign.screening import Act, Oversized, Screening

_REMEDY = "write `ignore`, `flag` (it passes and is recorded), `strip` (it is taken out) or `refuse` (the answer is)"


def read(shape: ScreeningShape | None, node: Node, out: Problems, default: Screening) -> Screening:
    """Read the section below ``node``; to be used only if nothing was added to ``out``."""
    if shape is None:
        return default
    if not shape.model_fields_set:
        out.add(node.find(("screening",)).place, "`screening` says nothing", "give it a key, such as `hidden: strip`")
    return replace(
        default,
        hidden=_act("hidden", shape.hidden, node, out, default.hidden),
        tags=_act("tags", shape.tags, node, out, default.tags),
        ansi=_act("ansi", shape.ansi, node, out, default.ansi),
        text_bytes=default.text_bytes if shape.text_bytes is None else shape.text_bytes,
        oversized=_oversized(shape.oversized, node, out, default.oversized),
    )


def _act(key: str, said: str | None, node: Node, out: Problems, default: Act) -> Act:
    if said is None or said in tuple(Act):
        return default if said is None else Act(said)
    out.add(node.find(("screening", key)).place, f"`{said}` is nothing to do with hidden text", _REMEDY)
    return default


def _oversized(said: str | None, node: Node, out: Problems, default: Oversized) -> Oversized:
    if said is None or said in tuple(Oversized):
        return default if said is None else Oversized(said)
    what = f"`{said}` is nothing to do with a result that is too large"
    out.add(node.find(("screening", "oversized")).place, what, "write `cut` (with a mark) or `refuse`")
    return default
