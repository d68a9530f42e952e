"""Demo only: the steps of the walk in which a call waits until somebody agrees to it.

The command and curl ask about a customer each, since what is agreed to runs once.
"""

from __future__ import annotations

import re

from countersign.api.approvals.v1 import approvals_pb2
from countersign.demo.orders_data import database_path
from countersign.demo.places import Places
from countersign.demo.steps import (
    Outcome,
    Step,
    all_of,
    as_person,
    customer_values,
    ends,
    grpc_curl,
    hides,
    mcp_curl,
    shows,
)

CUSTOMER, CUSTOMER_OF_CURL = 7, 8
NOTE = "Her parcel is late."
BOB_DECIDES = "bob-decides"
"""The name of bob's token for the gateway itself."""

_SERVICE = "countersign.api.approvals.v1.ApprovalService"
_ID = re.compile(r"\bid ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b")


def asking(places: Places, program: str) -> Step:
    """Alice calls what support must agree to."""
    waits = "waiting for approval by support, id "
    return Step(
        "alice looks up a customer: support must agree to exactly this call, so it waits",
        (program, *_call(CUSTOMER), "--no-wait", *as_person("alice", places)),
        _call_curl(places, CUSTOMER_OF_CURL, "prefer: respond-async"),
        all_of(ends(1), shows(waits), hides(('"email"',))),
        all_of(ends(0), shows(waits), hides(('"email"',))),
    )


def waiting(places: Places, program: str) -> Step:
    """Bob looks what waits for him."""
    request = approvals_pb2.ListApprovalsRequest(to_decide=True).SerializeToString()
    return Step(
        "bob (support) sees what waits for him",
        (program, "approvals", "list", "--to-decide", *as_person(BOB_DECIDES, places)),
        grpc_curl(places, "ListApprovals", request, person=BOB_DECIDES, service=_SERVICE),
        all_of(ends(0), shows("alice", "get_customer", "support")),
        all_of(ends(0), shows("alice", "get_customer", "support")),
    )


def agreeing(places: Places, program: str, of_command: str, of_curl: str) -> Step:
    """Bob agrees to both calls, each by its approval's id."""
    # The version that he saw: nobody did anything about it since it was asked.
    request = approvals_pb2.DecideApprovalRequest(approval_id=of_curl, version=1, agrees=True, note=NOTE)
    options = ("--yes", "--note", NOTE)
    return Step(
        "bob reads what alice wants to do, and agrees",
        (program, "approvals", "approve", of_command, *options, *as_person(BOB_DECIDES, places)),
        grpc_curl(places, "DecideApproval", request.SerializeToString(), person=BOB_DECIDES, service=_SERVICE),
        all_of(ends(0), shows(f'"customer_id": {CUSTOMER}', "approved; its call may run")),
        all_of(ends(0), shows(f'"customer_id": {CUSTOMER_OF_CURL}', NOTE)),
    )


def running(places: Places, program: str) -> Step:
    """Alice makes the same call again, which runs now, once."""
    raw = customer_values(database_path(places.state), (CUSTOMER, CUSTOMER_OF_CURL))
    return Step(
        "alice calls again: now it runs, once, and comes back masked",
        (program, *_call(CUSTOMER), "--no-wait", *as_person("alice", places)),
        _call_curl(places, CUSTOMER_OF_CURL, "prefer: respond-async"),
        all_of(ends(0), shows("[EMAIL]", "[SSN]", "[CARD]"), hides(raw)),
        all_of(ends(0), shows("[EMAIL]", "[SSN]", "[CARD]"), hides(raw)),
    )


def approval_id(outcome: Outcome) -> str | None:
    """The id of the approval that a call waits for, as its caller is told; ``None`` without one."""
    found = _ID.search(outcome.text)
    return found[1] if found is not None else None


def _call(customer: int) -> tuple[str, ...]:
    return "call", "get_customer", f"customer_id={customer}"


def _call_curl(places: Places, customer: int, *headers: str) -> str:
    params: dict[str, object] = {"name": "get_customer", "arguments": {"customer_id": customer}}
    return mcp_curl(places, "alice", "tools/call", params, *headers)
