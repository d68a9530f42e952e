"""An answer is released only in a form that is surely understood, with headers whose values are known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from countersign.masker.envoy import Head
from countersign.masker.form import Form, change, treatment
from countersign.model.handoff import HandedCall, Handoff
from countersign.model.principal import Principal, PrincipalKind

HANDOFF = Handoff(
    session_id="s",
    call_id="c",
    arrived_us=0,
    target="orders",
    era="modern",
    principal=Principal("i", "alice", (), PrincipalKind.PERSON, "t"),
    calls=(HandedCall("1", "tools/call", "query"),),
    masks=(),
    policy_version="v",
)


def head(
    status: int = 200, *, details: str = "via_upstream", handed: bool = True, ends: bool = False, **headers: str
) -> Head:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Head(status, {":status": str(status), **named}, ends, details, HANDOFF if handed else None)


@pytest.mark.parametrize(
    ("content_type", "form"),
    [
        ("application/json", Form.JSON),
        ("Application/JSON; charset=UTF-8", Form.JSON),
        ("application/json;charset=utf-16", Form.REFUSED),
        ("application/jsonp", Form.REFUSED),
        ("text/event-stream", Form.EVENTS),
        ("text/event-stream; charset=utf-8", Form.EVENTS),
        ("text/plain", Form.REFUSED),
        ("text/html; charset=latin-1", Form.REFUSED),
        ("application/octet-stream", Form.REFUSED),
        ("image/png", Form.REFUSED),
        ("", Form.REFUSED),
    ],
)
def test_the_form_follows_the_content_type(content_type: str, form: Form) -> None:
    assert treatment(head(content_type=content_type)).form is form


@pytest.mark.parametrize("status", [400, 404, 500])
def test_errors_may_be_text(status: int) -> None:
    assert treatment(head(status, content_type="text/plain")).form is Form.TEXT
    assert treatment(head(status, content_type="text/html; charset=utf-16")).form is Form.REFUSED


def test_an_accepted_notification_needs_no_content_type() -> None:
    assert treatment(head(202)).form is Form.EMPTY


def test_the_end_of_a_session_needs_no_content_type_when_it_went_well() -> None:
    ending = replace(HANDOFF, calls=(HandedCall("", "DELETE", ""),))
    untyped = replace(head(200), handoff=ending)
    assert treatment(untyped).form is Form.EMPTY
    assert treatment(replace(untyped, status=500)).form is Form.REFUSED
    listening = replace(HANDOFF, calls=(HandedCall("", "GET", ""),))
    assert treatment(replace(untyped, handoff=listening)).form is Form.REFUSED


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "identity, gzip", "zstd"])
def test_no_content_encoding_is_let_through(encoding: str) -> None:
    assert treatment(head(content_type="application/json", content_encoding=encoding)).form is Form.REFUSED


@pytest.mark.parametrize("status", [101, 301, 302, 304, 307, 401, 407, 600])
def test_statuses_that_would_mislead_the_caller_are_refused(status: int) -> None:
    assert treatment(head(status, content_type="application/json")).form is Form.REFUSED


def test_an_answer_of_a_target_without_a_judged_call_is_refused() -> None:
    assert treatment(head(handed=False, content_type="application/json")).form is Form.REFUSED


def test_envoys_own_replies_pass_and_lost_answers_are_told_apart() -> None:
    assert treatment(head(403, details="ext_authz_denied", handed=False)).form is Form.OURS
    lost = treatment(head(503, details="upstream_reset_before_response_started{10.1.2.3:9000}"))
    assert lost.form is Form.LOST
    assert "10.1.2.3" not in lost.reason


def test_only_known_headers_with_known_values_reach_the_caller() -> None:
    planted = "planted-" + "value"
    released = change(
        head(
            content_type=f"application/json; x={planted}",
            set_cookie=planted,
            www_authenticate=planted,
            location=planted,
            x_debug=planted,
            retry_after=planted,
            mcp_protocol_version=planted,
            mcp_session_id=planted,
            content_length="9",
        ),
        Form.JSON,
        None,
    )
    assert planted not in str(released.set)
    assert set(released.remove) == {
        "set-cookie",
        "www-authenticate",
        "location",
        "x-debug",
        "retry-after",
        "mcp-protocol-version",
        "mcp-session-id",
        "content-length",
    }


def test_what_a_client_needs_is_kept() -> None:
    released = change(
        head(content_type="text/event-stream", mcp_protocol_version="2025-06-18", retry_after="3"),
        Form.EVENTS,
        "sealed",
    )
    assert released.remove == ()
    assert dict(released.set)["mcp-session-id"] == "sealed"
    assert dict(released.set)["content-type"] == "text/event-stream"
