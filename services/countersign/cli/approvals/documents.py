"""Approvals for programs: one object each, with the names of approval.proto; times in microseconds since the epoch."""

from __future__ import annotations

from dataclasses import asdict

from countersign.api.approvals.v1 import approvals_pb2
from countersign.model.approval import Approval

_DELIVERY_STATES = {
    approvals_pb2.DELIVERY_STATE_WAITING: "waiting",
    approvals_pb2.DELIVERY_STATE_DELIVERED: "delivered",
    approvals_pb2.DELIVERY_STATE_DEAD: "dead",
}


def approval_document(approval: Approval) -> dict[str, object]:
    """Return an approval; its digest is in hex."""
    return {**asdict(approval), "state": approval.state.value, "digest": approval.digest.hex()}


def delivery_document(delivery: approvals_pb2.Delivery) -> dict[str, object]:
    """Return what became of a notification."""
    return {
        "id": delivery.id,
        "approval_id": delivery.approval_id,
        "channel": delivery.channel,
        "state": delivery_state(delivery),
        "attempts": delivery.attempts,
        "problem": delivery.problem,
        "created_us": delivery.created_us,
        "next_try_us": delivery.next_try_us,
    }


def delivery_state(delivery: approvals_pb2.Delivery) -> str:
    """Return the state of a notification in a word."""
    return _DELIVERY_STATES.get(delivery.state, "unknown")
