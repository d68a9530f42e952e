"""What approvers read of a call: all of it, save what is masked. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from countersign.authz.approving.canonical import DEEPEST, META
from countersign.authz.approving.understood import stated, statements_of
from countersign.authz.approving.written import shortened, written
from countersign.authz.records import NotRecordable
from countersign.config import Target
from countersign.jsontext import JsonRefused, JsonValue, parse
from countersign.masking import Masker, NotMaskable
from countersign.masking.tokens import ByForm
from countersign.model.approval import ApprovalSummary
from countersign.model.call import Call, NameKind
from countersign.model.decision import Decision
from countersign.model.rule import Approvers, Rule
from countersign.model.visible import visible

_MOST_TOOL_BYTES: Final = 2 * 1024


def summary_of(
    call: Call,
    params_json: str,
    decision: Decision,
    rules: Mapping[str, Rule],
    masker: Masker,
    target: Target,
    described: str,
) -> ApprovalSummary:
    """Return the summary of a call that the rules of ``decision``, which ``rules`` holds by name, want approved.

    ``call`` is what would run, and is judged; ``params_json`` is the text of its params as they are recorded (with the
    tokens that the caller sent, not their values), and is shown. ``masker`` is the one for records: it has every mask
    that there is, those of the decision among them. ``described`` is what the tool says that it does, empty when
    nothing is known. Whatever the masker finds in the params is masked in all of the summary.

    Raises ``NotRecordable`` when something cannot be masked: nobody may be asked about what they cannot be shown.
    """
    masker = masker.within(ByForm())

    def mask(text: str) -> str:
        return masker.text(text.encode()).data.decode() if text else ""

    try:
        shown = _parsed(masker.json(params_json.encode()).data if params_json else b"")
        paths = stated(call, decision, rules, target)
        return ApprovalSummary(
            arguments=written(_arguments(shown, call.name_kind)),
            why=why(decision, rules),
            statements=statements_of(paths, _parsed(call.params_json), shown, mask) if paths else (),
            tool=shortened(visible(mask(described), keep="\n").strip(), _MOST_TOOL_BYTES),
        )
    except (NotMaskable, JsonRefused):
        reason = "the call cannot be masked for its approvers; its arguments may hold a text of ambiguous JSON"
    # Raised out here so that no exception that holds a text rides along as the context.
    raise NotRecordable(reason)


def name_of(call: Call, masker: Masker) -> str:
    """Return the name of what a call calls, as approvers read it: masked, since it is the caller's own text.

    Raises ``NotRecordable``.
    """
    try:
        return masker.within(ByForm()).text(call.name.encode()).data.decode() if call.name else ""
    except NotMaskable:
        reason = "the name of what is called cannot be masked"
    raise NotRecordable(reason)


def why(decision: Decision, rules: Mapping[str, Rule]) -> str:
    """Say in a sentence which rules ask whom for what, and by which the caller may agree alone."""
    parts = [_asks(name, rules[name].by) for name in decision.rules if name in rules]
    parts += [f"rule `{name}` lets its caller agree alone, with a reason" for name in decision.glass]
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _asks(name: str, by: Approvers | None) -> str:
    if by is None:
        return f"rule `{name}` asks for approval"
    people = "one person" if by.count == 1 else f"{by.count} different people"
    terms = []
    if by.window is not None:
        terms.append(f"only {by.window.text}")
    if by.note_required:
        terms.append("each with a note")
    terms.append(f"again for {_span(by.reuse_s)}" if by.reuse_s else "for one call")
    return f"rule `{name}` asks for {people} of {' or '.join(by.groups)} ({', '.join(terms)})"


def _span(seconds: int) -> str:
    for unit, name in ((3_600, "h"), (60, "min")):
        if seconds % unit == 0:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"


def _parsed(params_json: bytes | str) -> JsonValue:
    return parse(params_json, max_depth=DEEPEST).root if params_json else None


def _arguments(params: JsonValue, kind: NameKind) -> JsonValue:
    """What there is to show of the params: all that the approval binds, without a name that is shown anyway."""
    if not isinstance(params, dict):
        return {} if params is None else params
    bound = {key: value for key, value in params.items() if key != META}
    if kind in (NameKind.TOOL, NameKind.PROMPT) and bound.keys() <= {"name", "arguments"}:
        return bound.get("arguments", {})
    return bound
