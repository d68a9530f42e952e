"""The walk must notice whatever is not as told: its checks, its reading of the record and of the target's journal."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from countersign.api.approvals.v1 import approvals_pb2
from countersign.demo import agreeing, orders, orders_data, steps
from countersign.demo.parts import PartFailed, Parts, choose_port
from countersign.demo.places import Places, write_private
from countersign.demo.serving import listen
from countersign.demo.steps import Outcome, all_of, ends, hides, shows
from countersign.demo.walk import newest_session, target_problem
from countersign.runtime.settings import environment

SESSION = "29147c33-ba6b-5e03-bf1e-d6c63d0c1be1"


@pytest.fixture
def places(tmp_path: Path) -> Places:
    orders_data.create(orders_data.database_path(tmp_path))
    return Places(tmp_path, 8080, 8090, 9000)


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    with Parts(tmp_path) as parts:
        yield parts


def test_checks_say_what_is_wrong_and_never_repeat_a_value() -> None:
    check = all_of(ends(0), shows("[EMAIL]"), hides(("raw-value",)))
    assert check(Outcome("[EMAIL]", 0)) is None
    assert check(Outcome("[EMAIL]", 1)) == "it ended with 1, not 0"
    assert check(Outcome("", 0)) == "it does not show [EMAIL]"
    leak = check(Outcome("[EMAIL] raw-value", 0))
    assert leak is not None
    assert "raw-value" not in leak


def test_an_unmasked_answer_of_the_target_is_noticed(places: Places) -> None:
    rows = orders.Database(orders_data.database_path(places.state)).query(steps.SQL).rows
    masked_but_one = json.dumps(rows[0]) + "[EMAIL] [SSN] [CARD]"
    step = steps.told(places, "countersign")[1]
    for check in (step.check, step.check_curl):
        assert check(Outcome(masked_but_one, 0)) is not None
        assert check(Outcome("[EMAIL] [SSN] [CARD]", 0)) is None


def test_every_column_that_must_be_masked_is_watched(places: Places) -> None:
    step = steps.told(places, "countersign")[1]
    for row in orders.Database(orders_data.database_path(places.state)).query(steps.SQL).rows:
        for column in ("email", "ssn", "card"):
            assert step.check(Outcome(f"[EMAIL] [SSN] [CARD] {row[column]}", 0)) is not None


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        (json.dumps({"sessions": [{"session_id": SESSION}, {"session_id": "older"}]}), SESSION),
        (json.dumps({"sessions": []}), None),
        ("no sessions", None),
        ("[]", None),
        ('{"sessions": [7]}', None),
        ('{"sessions": [{"session_id": 7}]}', None),
    ],
)
def test_the_newest_session_is_found_or_there_is_none(listed: str, found: str | None) -> None:
    assert newest_session(listed) == found


def entry(
    kind: str, name: str = "", credential: str = "own", *, elsewhere: bool = False, **arguments: int
) -> dict[str, object]:
    asked = {"kind": kind, "name": name, "arguments": arguments}
    return {**asked, "credential": credential, "foreign_elsewhere": elsewhere}


SEVEN, EIGHT = (entry("call", "get_customer", customer_id=number) for number in (7, 8))


@pytest.mark.parametrize(
    ("entries", "as_told"),
    [
        ([entry("request"), entry("call", "query")], True),
        ([], False),
        ([entry("call", "query"), entry("call", "export_table")], False),
        ([entry("call", "query"), entry("request", credential="foreign")], False),
        ([entry("call", "query"), entry("request", credential="none")], False),
        ([entry("call", "query"), entry("request", elsewhere=True)], False),
        ([entry("call", "query"), SEVEN, EIGHT], True),
        ([entry("call", "query"), SEVEN, EIGHT, SEVEN], False),
    ],
)
def test_whatever_should_not_have_reached_the_target_is_noticed(
    entries: list[dict[str, object]], as_told: bool
) -> None:
    assert (target_problem(entries) is None) == as_told


def test_a_grpc_request_survives_the_shell(places: Places) -> None:
    asked = bytes([0x0A, len(SESSION)]) + SESSION.encode()
    printf = steps.grpc_curl(places, "ReplaySession", asked).split(" | ")[0]
    written = subprocess.run(["/bin/sh", "-c", printf], capture_output=True, check=True).stdout
    assert written == b"\0" + len(asked).to_bytes(4, "big") + asked


def test_the_id_that_a_caller_is_told_is_the_one_that_is_agreed_to(places: Places) -> None:
    told = Outcome(f"waiting for approval by support, id {SESSION}, call again", 1)
    assert agreeing.approval_id(told) == SESSION
    assert agreeing.approval_id(Outcome("waiting for approval", 1)) is None
    step = agreeing.agreeing(places, "countersign", "of-command", SESSION)
    written = subprocess.run(["/bin/sh", "-c", step.curl.split(" | ")[0]], capture_output=True, check=True).stdout
    asked = approvals_pb2.DecideApprovalRequest.FromString(written[5:])
    assert (asked.approval_id, asked.agrees, asked.note) == (SESSION, True, agreeing.NOTE)
    assert "of-command" in step.command


def test_an_unmasked_customer_is_noticed(places: Places) -> None:
    step = agreeing.running(places, "countersign")
    for row in steps.customer_values(orders_data.database_path(places.state), (7, 8)):
        for check in (step.check, step.check_curl):
            assert check(Outcome("[EMAIL] [SSN] [CARD]", 0)) is None
            assert check(Outcome(f"[EMAIL] [SSN] [CARD] {row}", 0)) is not None


def test_a_token_file_is_private_also_when_it_was_there_before(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("older and longer")
    file.chmod(0o644)
    write_private(file, "new")
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("new", 0o600)


def test_a_port_that_is_taken_is_not_chosen() -> None:
    with listen(0) as taken:
        port = taken.getsockname()[1]
        assert choose_port(port) != port
    assert choose_port(port) == port


def test_a_part_that_ends_before_it_is_ready_is_named_with_its_last_words(parts: Parts) -> None:
    part = parts.start("broken", [sys.executable, "-c", "print('no such thing'); raise SystemExit(3)"], environment())
    with pytest.raises(PartFailed, match="broken ended with 3: no such thing"):
        parts.wait_ready(part, 20, lambda _: None)


def test_a_part_that_says_nothing_is_not_waited_for_forever(parts: Parts) -> None:
    part = parts.start("silent", [sys.executable, "-c", "import signal; signal.pause()"], environment())
    with pytest.raises(PartFailed, match="silent was not ready"):
        parts.wait_ready(part, 0.2, lambda _: None)
    assert parts.ended() is None
    assert parts.stop() == []
    assert part.process.returncode is not None
