"""What is exported as OCSF is OCSF, as its own schema says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from countersign.api.recorder.v1 import event_pb2
from countersign.exports import ocsf
from countersign.exports.facts import MOST_BODY_BYTES, Fact
from countersign.model.decision import Outcome
from countersign.model.event import Event, EventKind, Finding
from countersign.model.principal import PrincipalKind
from countersign.runtime.recording import to_message
from tests.support.events import ALICE, BOB, approval, decision, new_id, request, response
from tests.support.exporting import fact, message_fact

SCHEMA = json.loads((Path(__file__).parent / "ocsf" / "api_activity-1.5.0.json").read_text())
CHECKED = jsonschema.Draft202012Validator(SCHEMA)
AGENT = replace(ALICE, kind=PrincipalKind.AGENT, actors=("bot", "other"), token_subject="00u1", signed_in="sid-1")


def sealed() -> Fact:
    """A seal, which no sender can make."""
    message = to_message(response(new_id(), method="ended", kind=EventKind.SEAL, body=b"", status=0))
    message.seal.CopyFrom(event_pb2.Seal(event_count=3, root=bytes(32), unanswered_count=1))
    return message_fact(message)


def of(kind: EventKind, **changes: object) -> Event:
    return request(None, kind=kind, **changes)


FACTS: dict[str, Fact] = {
    "allowed": fact(request()),
    "with everything": fact(
        request(
            principal=AGENT,
            values_put_back=True,
            request_masked=True,
            approval_id=new_id(),
            continues=new_id(),
            relations=("public.orders",),
            findings=(Finding("email", "$.a", 2), Finding("email", "$.b"), Finding("secret")),
            traceparent=f"00-{'a1' * 16}-{'b2' * 8}-01",
            duration_us=1_500,
        )
    ),
    "denied": fact(request(decision=decision(Outcome.DENY), status=200, reason="rule says no")),
    "waits": fact(request(decision=decision(Outcome.APPROVE), approval_id=new_id())),
    "refused": fact(
        of(EventKind.REFUSED, principal=None, decision=None, method="", target="", source_address=""), owner=None
    ),
    "unreadable": fact(request(decision=decision(Outcome.REFUSED))),
    "answer": fact(response(new_id(), findings=(Finding("email", "$.rows[1]", 3),), row_count=4)),
    "failed answer": fact(response(new_id(), status=502, reason="withheld")),
    "stream event": fact(response(new_id(), kind=EventKind.STREAM_EVENT, status=0)),
    "stream end": fact(response(new_id(), kind=EventKind.STREAM_END, status=0, reason="the caller hung up")),
    "erased body": fact(response(new_id(), body=b""), erased=True),
    "approval": fact(approval(new_id())),
    "expired": fact(approval(new_id(), "expired", principal=None)),
    "glass": fact(approval(new_id(), "glass_broken")),
    "audit": fact(of(EventKind.AUDIT_READ, method="ListSessions")),
    "tools changed": fact(of(EventKind.TOOLS_CHANGED, principal=None, decision=None), owner=None),
    "tools accepted": fact(of(EventKind.TOOLS_ACCEPTED)),
    "tools forgotten": fact(of(EventKind.TOOLS_FORGOTTEN)),
    "erasure": fact(of(EventKind.ERASED, decision=None)),
    "hold": fact(of(EventKind.HOLD)),
    "reviewed": fact(of(EventKind.REVIEWED)),
    "revoked": fact(of(EventKind.REVOKED)),
    "seal": sealed(),
    "DELETE": fact(request(method="DELETE", name="")),
    "hostile": fact(
        request(
            name='\n"}\x00\u202e\u2028',
            source_address="fe80::1%eth0",
            target="a\nb",
            reason="\x1b[2J",
            principal=replace(ALICE, subject="\n", groups=("", "g\n"), issuer="", token_id=""),
        )
    ),
}


@pytest.mark.parametrize("name", list(FACTS))
def test_every_kind_of_event_is_valid_and_knows_no_other_attributes(name: str) -> None:
    line = ocsf.line(FACTS[name], "1.2.3")
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    told = json.loads(line)
    CHECKED.validate(told)
    assert told["type_uid"] == told["class_uid"] * 100 + told["activity_id"]
    assert told["metadata"]["uid"] == FACTS[name].event.event_id
    assert told["metadata"]["sequence"] == FACTS[name].index


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("class_uid",), 6002),
        (("severity_id",), 7),
        (("disposition_id",), 1000),
        (("time",), "now"),
        (("invented",), 1),
        (("actor",), {}),
        (("actor", "user", "invented"), 1),
        (("metadata", "sequence"), "7"),
        (("src_endpoint",), {}),
        (("src_endpoint", "ip"), "300.1.1.1"),
    ],
    ids=str,
)
def test_the_schema_would_notice(path: tuple[str, ...], value: object) -> None:
    told: dict[str, Any] = json.loads(ocsf.line(FACTS["allowed"], "1"))
    place = told
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert not CHECKED.is_valid(told)


def _control(name: str) -> tuple[object, ...]:
    told = ocsf.event(FACTS[name], "1")
    return told["action"], told["disposition"], told["status"], told["severity"]


def test_the_security_control_says_what_the_gateway_did() -> None:
    assert _control("allowed") == ("Allowed", "Allowed", "Success", "Informational")
    assert _control("with everything") == ("Modified", "Approved", "Success", "Informational")
    assert _control("denied") == ("Denied", "Blocked", "Failure", "Medium")
    assert _control("waits") == ("Denied", "Delayed", "Waiting for approval", "Informational")
    assert _control("refused") == ("Denied", "Unauthorized", "Failure", "Medium")
    assert _control("unreadable") == ("Denied", "Rejected", "Failure", "Medium")
    assert _control("answer") == ("Modified", "Logged", "Success", "Informational")
    assert _control("failed answer") == ("Observed", "Logged", "Failure", "Low")
    assert _control("glass")[3] == "High"
    assert _control("revoked")[3] == "Medium"


def test_who_acts_in_an_approval_is_who_decided_and_the_owner_stands_beside() -> None:
    told: Any = ocsf.event(FACTS["approval"], "1")
    assert told["actor"]["user"]["uid"] == BOB.subject
    assert told["unmapped"]["session_subject"] == ALICE.subject
    nobody: Any = ocsf.event(FACTS["expired"], "1")
    assert "user" not in nobody["actor"]


def test_what_a_token_calls_its_owner_goes_along() -> None:
    told: Any = ocsf.event(fact(request(principal=AGENT)), "1")
    assert (told["actor"]["user"]["uid"], told["unmapped"]["token_subject"]) == (ALICE.subject, "00u1")
    assert told["unmapped"]["signed_in"] == "sid-1"
    plain: Any = ocsf.event(fact(request()), "1")
    assert "token_subject" not in plain["unmapped"]


def test_an_answer_says_whose_session_it_is() -> None:
    told: Any = ocsf.event(FACTS["answer"], "1")
    assert told["actor"]["user"]["uid"] == ALICE.subject


def test_a_body_goes_along_only_as_the_feed_has_it_and_only_its_beginning() -> None:
    assert "data" not in json.loads(ocsf.line(fact(request(body=b"")), "1"))["api"]["request"]
    long = json.loads(ocsf.line(fact(response(new_id(), body=b"\xff" + b"x" * MOST_BODY_BYTES)), "1"))
    CHECKED.validate(long)
    assert len(long["api"]["response"]["data"]) == MOST_BODY_BYTES
    assert long["unmapped"]["body_size_bytes"] == MOST_BODY_BYTES + 1
