"""What `show` says of who called."""

from __future__ import annotations

from dataclasses import replace

from countersign.api.recorder.v1 import event_pb2
from countersign.cli.details import event_details
from countersign.model.principal import PrincipalKind
from tests.support.events import ALICE, request
from tests.support.exporting import fact


def test_a_machine_is_shown_with_what_its_token_calls_it_and_no_terminal_obeys_it() -> None:
    machine = replace(ALICE, subject="ci", kind=PrincipalKind.MACHINE, token_subject="repo:acme\x1b[2J\u202e")
    recorded = event_pb2.RecordedEvent(event=fact(request(principal=machine)).event)
    shown = "\n".join(line.plain for line in event_details(recorded, whole_bodies=False))
    assert "ci (its token says repo:acme\\x1b[2J\\u202e), machine of" in shown
    assert "\x1b" not in shown
