"""Whom a rule asks, and who hears that its glass was broken: an approval that nobody could give is refused."""

from __future__ import annotations

from collections.abc import Collection

from countersign.config import selectors
from countersign.config.document import Node
from countersign.config.durations import ONCE, Bounds
from countersign.config.problem import Problems
from countersign.config.shape_approvals import ApproversShape
from countersign.config.shape_rules import RuleShape
from countersign.model.opening import OpeningHours, parse_opening
from countersign.model.principal import PrincipalKind
from countersign.model.rule import Approvers, Effect, Glass

WITHIN = Bounds("10s", "30d")
REUSE = Bounds("1s", "24h")

_OF_GLASS = ("alert", "within", "reuse", "reason_required")
_GLASS_WITHIN = "15m"


def read(title: str, effect: Effect, shape: RuleShape, node: Node, out: Problems) -> Approvers | None:
    """Whom the rule asks, which an approve rule in force must say and no other may."""
    if effect is not Effect.APPROVE:
        if shape.by is not None:
            remedy = "make it an `approve` rule, or remove `by`"
            out.add(node.keys["by"], f"{title} asks nobody, so nobody agrees to anything", remedy)
        return None
    if shape.by is not None:
        return _approvers(title, shape.by, node.find(("by",)), out)
    if shape.mode != "shadow":
        remedy = "say who may agree: by: {groups: [data-owners]}"
        out.add(node.keys[effect], f"{title} needs an approval that nobody could give", remedy)
    return None


def read_glass(
    title: str, effect: Effect, shape: RuleShape, node: Node, channels: Collection[str], out: Problems
) -> Glass | None:
    """How the glass of the rule is broken, which only a break_glass rule says; one in force must alert somebody."""
    given = [key for key in _OF_GLASS if key in node.keys]
    if effect is not Effect.BREAK_GLASS:
        for key in given:
            remedy = f"write `{key}` under `by`" if effect is Effect.APPROVE and key in ("within", "reuse") else ""
            out.add(node.keys[key], f"{title} breaks no glass, and has `{key}`", remedy or f"remove `{key}`")
        return None
    kinds = node.find((effect, "kind"))
    if shape.break_glass is not None and set(shape.break_glass.kind or ()) == {PrincipalKind.MACHINE}:
        what = f"{title} is for machines, which can never answer for it"
        out.add(kinds.place, what, "select persons or agents, or make it an `approve` rule")
    if not shape.reason_required:
        out.add(node.find(("reason_required",)).place, f"{title} asks for no reason", "remove it: one is always needed")
    if shape.alert is None and shape.mode != "shadow":
        what = f"{title} would be broken in silence"
        out.add(node.keys[effect], what, "name whom it alerts: alert: [NAME], with a channel under `approvals:`")
    for position, name in enumerate(shape.alert or ()):
        if name not in channels:
            remedy = selectors.declared(name, channels, "approvals: channels")
            out.add(node.find(("alert", position)).place, f"there is no channel `{name}`", remedy)
    return Glass(
        alert=tuple(dict.fromkeys(shape.alert or ())),
        within_s=int(WITHIN.read(shape.within or _GLASS_WITHIN, node.find(("within",)), out)),
        reuse_s=_reuse_s(shape.reuse or ONCE, node.find(("reuse",)), out),
    )


def check_groups(groups: Collection[str], node: Node, out: Problems) -> None:
    """Refuse groups that are not named in full: nobody could tell whom a wildcard would make an approver."""
    for position, group in enumerate(groups):
        place = node.find((position,)).place
        if selectors.is_wild(group):
            out.add(place, f"`{group}` is a wildcard where a group is needed", "name each group in full")
        elif not group.isprintable() or group != group.strip():
            out.add(place, "unprintable characters, or spaces around a group", "remove them")


def _approvers(title: str, shape: ApproversShape, node: Node, out: Problems) -> Approvers:
    check_groups(shape.groups, node.find(("groups",)), out)
    return Approvers(
        groups=tuple(dict.fromkeys(shape.groups)),
        count=shape.count,
        within_s=int(WITHIN.read(shape.within, node.find(("within",)), out)),
        reuse_s=_reuse_s(shape.reuse, node.find(("reuse",)), out),
        window=None if shape.window is None else _window(title, shape.window, node.find(("window",)), out),
        note_required=shape.note_required,
    )


def _reuse_s(text: str, node: Node, out: Problems) -> int:
    return 0 if text == ONCE else int(REUSE.read(text, node, out))


def _window(title: str, text: str, node: Node, out: Problems) -> OpeningHours | None:
    try:
        return parse_opening(text)
    except ValueError as error:
        out.add(node.place, f"{title} has no usable `window`", str(error))
        return None
