"""What callers read of an approval: safe to show to them, for it holds names and people's notes only. Pure."""

from __future__ import annotations

from countersign.model.approval import Approval, ApprovalState
from countersign.model.visible import visible


def whom(approval: Approval) -> str:
    """Return who must still agree, such as ``2 of data-owners and 1 of security or admins``."""
    lacking = approval.lacking()
    if not lacking:
        return "its caller, who may break the glass" if approval.break_glass else "nobody more"
    asked = [f"{count} of {' or '.join(one.groups)}" for one, count in lacking]
    if len(lacking) == 1 and lacking[0][1] == 1:
        return " or ".join(lacking[0][0].groups)
    return " and ".join(asked)


def waiting(approval: Approval) -> str:
    """Say that it waits, for whom, under which id, and what to do.

    A model reads it, which may have a shell and a person's token: no command stands there that agrees to anything.
    """
    by = whom(approval)
    if approval.break_glass and approval.lacking():
        by += ", or its caller, who may break the glass"
    return f"waiting for approval by {by}, id {approval.id}, call again"


def ready(approval: Approval) -> str:
    """Say that people agreed, and what the caller is to do."""
    return f"approved (id {approval.id}): call again, and the call runs at once"


def over(approval: Approval) -> str:
    """Say how an approval ended whose call did not run by it."""
    match approval.state:
        case ApprovalState.DENIED:
            return f"denied by {_deniers(approval)} (approval {approval.id})"
        case ApprovalState.EXPIRED:
            return f"approval {approval.id} expired: nobody decided, or used it, in time; call again to ask anew"
        case ApprovalState.ABANDONED:
            return f"approval {approval.id} was abandoned when its caller went away; call again to ask anew"
        case ApprovalState.CANCELLED:
            why = f": {visible(approval.reason)}" if approval.reason else ""
            return f"approval {approval.id} was cancelled{why}; call again to ask anew"
        case ApprovalState.CONSUMED:
            return f"approval {approval.id} was used by call {approval.used_by}, and is good for one call"
        case _:
            return f"approval {approval.id} is {approval.state.value}"


def agreed(approval: Approval) -> str:
    """Say for the record who agreed to a call that runs."""
    glass = next((one for one in approval.decisions if one.glass), None)
    if glass is not None:
        return f"its caller broke the glass by `{glass.glass}` (approval {approval.id})"
    people = ", ".join(one.by.subject for one in approval.decisions if one.agrees)
    return f"approved by {visible(people)} (approval {approval.id})"


def _deniers(approval: Approval) -> str:
    against = [one for one in approval.decisions if not one.agrees]
    said = [visible(one.by.subject) + (f": {visible(one.note)}" if one.note else "") for one in against]
    return "; ".join(said) or "an approver"
