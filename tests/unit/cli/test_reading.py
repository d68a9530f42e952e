"""`countersign show`, `search`, `tail` and followed replays, against scripted services."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
import typer
from google.protobuf.timestamp_pb2 import Timestamp
from typer.testing import CliRunner, Result

from countersign.api.recorder.v1 import event_pb2, search_pb2, session_pb2
from countersign.cli import following, reading, search, sessions, show, tail
from countersign.model.decision import Outcome
from countersign.model.event import Event, EventKind, Finding
from tests.support.events import ALICE, decision, new_id, request, response
from tests.unit.cli.records import TOKEN, Script, page, recorded, seal, serving

app = typer.Typer()
for room in (sessions, show, search, tail):
    room.register(app)

HOSTILE = "\x1b]0;title\x07\x1b[2J\r\nfaked\u202e\x9b1m"


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def options(script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    monkeypatch.setattr(following, "FIRST_WAIT_S", 0.01)
    file = tmp_path / "token"
    file.write_text(TOKEN)
    with serving(script) as url:
        yield ["--gateway", url, "--token-file", str(file)]


def run(*arguments: str, colours: bool = False) -> Result:
    return CliRunner(env={"FORCE_COLOR": "1", "TERM": "xterm-256color"} if colours else {}).invoke(app, list(arguments))


def exchange(session_id: str, **changes: object) -> list[Event]:
    """A call and its answer."""
    call_id = new_id()
    asked = request(session_id, call_id=call_id, relations=("customers",))
    found = (Finding("EMAIL", "$.rows[0].mail"), Finding("TOKEN", "$.key", 3))
    body = b'{"rows": [{"mail": "[EMAIL]", "n": 1e400}], "key": "zqx", "plain": "[EMAIL] zqx"}'
    given: dict[str, object] = {
        "call_id": call_id,
        "row_count": 2,
        "findings": found,
        "duration_us": 1_500,
        "body": body,
    }
    return [asked, response(session_id, **(given | changes))]


def session(session_id: str) -> session_pb2.Session:
    principal = event_pb2.Principal(
        issuer="https://issuer.example", subject="alice", groups=["analysts"], kind="person"
    )
    sealed = event_pb2.Seal(event_count=3, root=bytes(range(32)))
    return session_pb2.Session(
        session_id=session_id,
        principal=principal,
        target="orders",
        allowed_count=1,
        denied_count=7,
        seal=sealed,
        seal_reason="idle",
        continues="12345678-0000-4000-8000-000000000000",
    )


def test_a_session_is_shown_with_one_line_a_call(script: Script, options: list[str]) -> None:
    one = new_id()
    denied = request(one, name="export_table", decision=decision(Outcome.DENY, "no exports"), status=200)
    script.session = session(one)
    script.events = recorded(*exchange(one), denied, request(one, name="hung"), seal(one))
    result = run("show", one, *options)
    assert result.exit_code == 0, result.output
    head, _, calls = result.stdout.partition("\n\n")
    assert all(word in head for word in (one, "alice", "orders", "sealed (idle)", "12345678", "7 denied", "000102"))
    [first, second, third, last] = calls.splitlines()
    assert all(word in first for word in ("alice", "tools/call query", "allow", "analysts read"))
    assert all(word in first for word in ("2 rows", "4 masked", "1.5 ms", script.events[0].event.call_id))
    assert "no end" not in first
    assert all(word in second for word in ("export_table", "deny", "no exports"))
    assert "no end on the record" in third
    assert all(word in last for word in ("sealed", "3 events", "1 allowed and never answered"))


def test_calls_that_overlap_keep_the_order_in_which_they_were_asked(script: Script, options: list[str]) -> None:
    one = new_id()
    slow, fast = exchange(one), exchange(one)
    script.session = session(one)
    script.events = recorded(slow[0], fast[0], fast[1], slow[1])
    result = run("show", one, "--json", *options)
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert found[0]["session"]["session_id"] == one
    assert [each["call"]["call_id"] for each in found[1:]] == [slow[0].call_id, fast[0].call_id]
    assert found[1]["call"]["row_count"] == 2
    assert found[1]["call"]["relations"] == ["customers"]


def test_a_streamed_answer_is_summed_up(script: Script, options: list[str]) -> None:
    one, call_id = new_id(), new_id()
    part = response(one, call_id=call_id, kind=EventKind.STREAM_EVENT, row_count=5, findings=(Finding("EMAIL"),))
    script.session = session(one)
    end = replace(part, event_id=new_id(), kind=EventKind.STREAM_END, reason="cut off", row_count=0)
    script.events = recorded(request(one, call_id=call_id), part, replace(part, event_id=new_id()), end)
    [line] = run("show", one, *options).stdout.split("\n\n")[1].splitlines()
    assert all(word in line for word in ("2 streamed", "10 rows", "3 masked", "cut off"))


@pytest.mark.parametrize("by", ["call_id", "event_id"])
def test_a_call_is_shown_in_full(script: Script, options: list[str], by: str) -> None:
    one = new_id()
    asked, answer = exchange(one)
    script.events = recorded(*exchange(one), asked, answer, *exchange(one))
    result = run("show", getattr(asked, by), *options)
    assert result.exit_code == 0, result.output
    assert [copy.from_sequence for copy in script.replayed] == [2]
    for word in ("customers", "192.0.2.7", "$.rows[0].mail", "TOKEN at $.key, 3 times", one, answer.event_id, "v1"):
        assert word in result.stdout
    assert '      "mail": "[EMAIL]",' in result.stdout
    assert '"n": 1e400' in result.stdout
    as_json = [json.loads(line) for line in run("show", getattr(asked, by), "--json", *options).stdout.splitlines()]
    assert [each["event"]["event_id"] for each in as_json] == [asked.event_id, answer.event_id]


def test_what_is_masked_is_visibly_so_and_nothing_else_is(script: Script, options: list[str]) -> None:
    asked, answer = exchange(new_id())
    script.events = recorded(asked, answer)
    shown = run("show", asked.call_id, *options, colours=True).stdout
    masked = "\x1b[1;35m"
    assert f'{masked}"[EMAIL]"' in shown
    # A token shows by its place alone; the same text elsewhere is none.
    assert f'{masked}"zqx"' in shown
    assert f'"{masked}[EMAIL]\x1b[0m zqx"' in shown
    assert f"{masked}customers" not in shown


def test_outcomes_have_their_own_colours(script: Script, options: list[str]) -> None:
    one = new_id()
    denied = request(one, decision=decision(Outcome.DENY), status=200)
    script.session, script.events = session(one), recorded(*exchange(one), denied)
    script.pages = [page(script.events)]
    for command in (["show", one], ["replay", one], ["search"]):
        shown = run(*command, *options, colours=True).stdout
        assert "\x1b[32m  allow\x1b[0m (analysts read)" in shown
        assert "\x1b[1;31m  deny\x1b[0m (analysts read)" in shown


def test_json_in_a_text_is_laid_out_too(script: Script, options: list[str]) -> None:
    body = json.dumps({"text": json.dumps({"mail": "zqx", "n": 7}), "other": "[no JSON", "empty": "[]"}).encode()
    asked, answer = exchange(new_id(), body=body, findings=(Finding("EMAIL", "$.text$.mail"),))
    script.events = recorded(asked, answer)
    shown = run("show", asked.call_id, *options, colours=True).stdout
    assert '\x1b[1;35m"zqx"' in shown
    plain = run("show", asked.call_id, *options).stdout
    assert '"text": (a text that holds) {\n      "mail": "zqx",\n      "n": 7\n    },' in plain
    assert all(line in plain for line in ('"other": "[no JSON"', '"empty": "[]"'))


def test_an_answer_that_comes_twice_says_whose_it_is(script: Script, options: list[str]) -> None:
    one = new_id()
    asked, answer = exchange(one)
    script.session = session(one)
    script.events = recorded(asked, answer, replace(answer, event_id=new_id(), reason="cut off"))
    [_, second] = run("show", one, *options).stdout.split("\n\n")[1].splitlines()
    assert all(word in second for word in ("answer to tools/call query", "cut off"))


@pytest.mark.parametrize("body", [b"[" * 5_000, b'{"a":1,"a":2}', b"\xff\x00", b"[NaN]", b"[]"])
def test_any_body_is_shown(script: Script, options: list[str], body: bytes) -> None:
    asked, answer = exchange(new_id(), body=body)
    script.events = recorded(asked, answer)
    result = run("show", asked.call_id, *options)
    assert result.exit_code == 0, result.output
    assert body != b'{"a":1,"a":2}' or '{"a":1,"a":2}' in result.stdout


def test_a_long_body_says_how_much_is_left_out(script: Script, options: list[str]) -> None:
    asked, answer = exchange(new_id(), body=json.dumps(list(range(500))).encode())
    script.events = recorded(asked, answer)
    cut, whole = run("show", asked.call_id, *options).stdout, run("show", asked.call_id, "--bodies", *options).stdout
    assert "302 more lines" in cut
    assert "  499\n" in whole


def test_an_event_that_is_no_call_is_found_once_it_is_published(script: Script, options: list[str]) -> None:
    one = new_id()
    asked, answer = exchange(one)
    script.events = recorded(asked, answer)
    result = run("show", answer.event_id, *options)
    assert "$.rows[0].mail" in result.stdout
    assert "arguments" not in result.stdout


@pytest.mark.parametrize(
    ("wanted", "code"), [(new_id(), 1), ("x", 2), ("\x1b[2J", 2)], ids=["none", "no id", "hostile"]
)
def test_what_is_not_there_is_said_in_a_line(script: Script, options: list[str], wanted: str, code: int) -> None:
    result = run("show", wanted, *options)
    assert (result.exit_code, result.stderr.count("\n")) == (code, 1)
    assert "\x1b" not in result.stderr


def test_a_search_turns_pages_also_empty_ones_up_to_its_limit(script: Script, options: list[str]) -> None:
    events = recorded(*[request(name=f"tool{number}") for number in range(5)])
    script.pages = [page(events[:2], "1"), page([], "2"), page(events[2:4], "3"), page(events[4:])]
    result = run("search", "--limit", "4", *options)
    assert [f"tool{number}" in result.stdout for number in range(5)] == [True] * 4 + [False]
    assert [copy.page_token for copy in script.searched] == ["", "1", "2"]
    assert [copy.page_size for copy in script.searched] == [4, 2, 2]
    assert result.stderr == ""


@pytest.mark.parametrize("events", [recorded(request()), []], ids=["some", "none"])
def test_a_search_that_is_not_complete_says_so(
    script: Script, options: list[str], events: list[event_pb2.RecordedEvent]
) -> None:
    script.pages = [page(events, complete=False)]
    result = run("search", "words", *options)
    assert result.exit_code == 0
    assert "not complete" in result.stderr
    assert ("no events" in result.stderr) is not bool(events)


ALL = (
    "--subject alice --target orders --name query --outcome deny --issuer https://i.example --group analysts"
    " --kind agent --method tools/call --rule r1 --approval a1 --label EMAIL --relation customers"
)


def test_all_filters_are_passed_on(script: Script, options: list[str]) -> None:
    script.pages = [page([])]
    more = ["--session", "s1", "--call", "c1", "--event", "answer", "--event", "seal"]
    times = ["--since", "2026-11-21T10:00:00Z", "--until", "2026-11-22"]
    run("search", '"a b" -c', *ALL.split(), *more, *times, *options)
    run("tail", "--text", '"a b" -c', *ALL.split(), *more, *options)
    wanted = search_pb2.EventFilter(
        subject="alice",
        target="orders",
        name="query",
        outcome=event_pb2.OUTCOME_DENY,
        issuer="https://i.example",
        group="analysts",
        principal_kind="agent",
        method="tools/call",
        rule="r1",
        approval_id="a1",
        label="EMAIL",
        relation="customers",
        text='"a b" -c',
        session_id="s1",
        call_id="c1",
        kinds=[
            event_pb2.EVENT_KIND_RESPONSE,
            event_pb2.EVENT_KIND_STREAM_EVENT,
            event_pb2.EVENT_KIND_STREAM_END,
            event_pb2.EVENT_KIND_SEAL,
        ],
    )
    assert script.followed[0].filter == wanted
    wanted.since.CopyFrom(Timestamp(seconds=1_795_255_200))
    wanted.until.CopyFrom(Timestamp(seconds=1_795_305_600))
    assert script.searched[0].filter == wanted


def test_a_search_for_words_does_not_find_itself(script: Script, options: list[str]) -> None:
    script.pages = [page([])]
    for arguments in (["words"], ["words", "--event", "read"], ["--subject", "carol"]):
        run("search", *arguments, *options)
    read = event_pb2.EVENT_KIND_AUDIT_READ
    words, reads, others = (copy.filter.kinds for copy in script.searched)
    assert set(words) == set(event_pb2.EventKind.values()) - {event_pb2.EVENT_KIND_UNSPECIFIED, read}
    assert (list(reads), list(others)) == ([read], [])


def test_a_tail_goes_on_after_breaks_and_misses_and_repeats_nothing(script: Script, options: list[str]) -> None:
    script.events = recorded(*[request(name=f"tool{number}") for number in range(6)])
    script.breaks = [2, 0, 3]
    result = run("tail", "--json", *options)
    assert [json.loads(line)["index"] for line in result.stdout.splitlines()] == [
        str(100 + number) for number in range(6)
    ]
    assert [copy.from_index for copy in script.followed] == [0, 102, 102, 105]
    assert [copy.HasField("from_index") for copy in script.followed] == [False, True, True, True]
    assert result.stderr.count("the connection is lost") == 3
    # The script's last word: who is refused is not asked for again.
    assert result.exit_code == 1


def test_a_tail_says_of_each_event_whose_it_is(script: Script, options: list[str]) -> None:
    one = new_id()
    script.events = recorded(*exchange(one))
    [asked, answer] = run("tail", "--from", "7", *options).stdout.splitlines()
    assert script.followed[0].from_index == 7
    assert all(word in asked for word in (one[:8], "orders", "alice", "tools/call query", "allow"))
    assert all(word in answer for word in (one[:8], "answer to tools/call query", "EMAIL (1)", "2 rows"))


def test_a_tail_says_who_revoked_whom_and_why(script: Script, options: list[str]) -> None:
    told = request(kind=EventKind.REVOKED, method="Revoke", name="mallory\x1b[2J", target="countersign")
    by_olga = replace(told, event_id=new_id(), reason="case 17", principal=replace(ALICE, subject="olga"))
    by_issuer = replace(told, event_id=new_id(), reason="logged out", principal=None, decision=None)
    script.events = recorded(by_olga, by_issuer)
    [operator, issuer] = run("tail", "--event", "revocation", *options).stdout.splitlines()
    assert all(word in operator for word in ("countersign", "olga", "Revoke mallory\\x1b[2J", "allow", "case 17"))
    assert all(word in issuer for word in ("an issuer told", "Revoke mallory\\x1b[2J", "logged out"))


def test_a_tail_that_never_reaches_anybody_ends(script: Script, options: list[str]) -> None:
    script.breaks = [0]
    result = run("tail", "--token", TOKEN, "--gateway", "http://127.0.0.1:1")
    assert (result.exit_code, result.stderr.count("\n")) == (3, 1)


def test_a_followed_replay_goes_on_after_breaks_and_ends_with_the_seal(script: Script, options: list[str]) -> None:
    one = new_id()
    script.events = recorded(*[request(one, name=f"tool{number}") for number in range(4)], seal(one))
    script.breaks = [1, 2]
    result = run("replay", one, "--follow", "--speed", "4", "--json", *options)
    assert result.exit_code == 0, result.output
    assert [int(json.loads(line).get("sequence", 0)) for line in result.stdout.splitlines()] == list(range(5))
    assert [copy.from_sequence for copy in script.replayed] == [0, 1, 3]
    assert {(copy.follow, copy.original_pace, copy.speed) for copy in script.replayed} == {(True, True, 4.0)}


def test_a_followed_replay_reads_the_token_anew(script: Script, options: list[str], tmp_path: Path) -> None:
    one = new_id()
    script.events = recorded(request(one), seal(one))
    script.breaks = [1]
    fresh = iter(["old", "old", "new"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "bearer", lambda *_: next(fresh))
        assert run("replay", one, "--follow", *options).exit_code == 0
    assert script.credentials == ["Bearer old", "Bearer new"]


@pytest.mark.parametrize("command", [["show", "ID"], ["show", "CALL"], ["search"], ["tail"], ["search", "--bodies"]])
@pytest.mark.parametrize("form", [[], ["--json"]], ids=["people", "json"])
def test_recorded_text_cannot_steer_the_terminal(
    script: Script, options: list[str], command: list[str], form: list[str]
) -> None:
    one, call_id = new_id(), new_id()
    body = json.dumps({HOSTILE: HOSTILE}, ensure_ascii=False).encode() + HOSTILE.encode()
    found = (Finding(HOSTILE, HOSTILE),)
    hostile = request(
        one, call_id=call_id, name=HOSTILE, reason=HOSTILE, body=body, findings=found, relations=(HOSTILE,)
    )
    hostile = replace(hostile, target=HOSTILE, method=HOSTILE, source_address=HOSTILE, traceparent=HOSTILE)
    answer = response(one, call_id=call_id, reason=HOSTILE, body=json.dumps([HOSTILE]).encode(), findings=found)
    script.session = session(one)
    script.session.seal_reason = script.session.target = HOSTILE
    script.events = recorded(hostile, answer)
    script.pages = [page(script.events)]
    arguments = [{"ID": one, "CALL": hostile.event_id}.get(word, word) for word in command]
    result = run(*arguments, *form, *options)
    assert result.stdout
    assert all(char.isprintable() or char == "\n" for char in result.output)
    assert "\nfaked" not in result.output


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90d", 90 * 86_400), ("2h", 7_200), ("15m", 900), ("30s", 30)],
)
def test_a_time_may_be_said_as_how_long_ago(text: str, seconds: int) -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    assert reading.moment("since", text, now).seconds == int(now.timestamp()) - seconds


@pytest.mark.parametrize(
    "text", ["yesterday", "", "-2h", "2w", "9999999d", "999999d", "²h", "0001-01-01T00:00:00+14:00"]
)
def test_what_is_no_time_is_a_mistake(text: str) -> None:
    with pytest.raises(typer.Exit) as caught:
        reading.moment("since", text, datetime(2026, 11, 22, tzinfo=UTC))
    assert caught.value.exit_code == 2


def test_the_help_has_examples() -> None:
    for command in ("sessions", "show", "replay", "tail", "search"):
        assert "Example" in run(command, "--help").stdout


def test_refusals_are_those_of_the_gateway(script: Script, options: list[str]) -> None:
    script.status = grpc.StatusCode.PERMISSION_DENIED
    script.events = recorded(request())
    script.breaks = [0]
    result = run("tail", *options)
    assert (result.exit_code, "not an auditor" in result.stderr) == (1, True)
