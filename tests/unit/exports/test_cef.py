"""CEF in syslog: one line, nothing in it that callers could have added."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from countersign.exports import cef
from countersign.exports.facts import Fact
from countersign.model.decision import Outcome
from countersign.model.event import Finding
from tests.support.events import ALICE, decision, new_id, request, response
from tests.support.exporting import fact

HOSTILE = "a|b\\c=d\n<13>1 - - - - - CEF:0|x\r\x1b[2J\u202e\x00 suser=mallory"


def fields(text: str) -> dict[str, str]:
    """Read an extension as ArcSight's guide says: keys without blanks, `=` and `\\` of values escaped."""
    found: dict[str, str] = {}
    key = ""
    for word in _words(text):
        name, equals, value = _split(word)
        if equals and name.isalnum():
            key = name
            found[key] = value
        else:
            found[key] += " " + _unescaped(word)
    return found


def _words(text: str) -> Iterator[str]:
    yield from text.split(" ")


def _split(word: str) -> tuple[str, bool, str]:
    place = word.find("=")
    if place < 1 or word[place - 1] == "\\":
        return "", False, ""
    return word[:place], True, _unescaped(word[place + 1 :])


def _unescaped(text: str) -> str:
    return text.replace("\\=", "=").replace("\\\\", "\\")


def parts(line: bytes) -> tuple[list[str], dict[str, str]]:
    """Header fields and the extension of a CEF text."""
    header: list[str] = [""]
    text = line.decode()
    place = 0
    while len(header) < 8:
        char = text[place]
        if char == "\\":
            header[-1] += text[place + 1]
            place += 2
            continue
        header.append("") if char == "|" else header.__setitem__(-1, header[-1] + char)
        place += 1
    return header[:7], fields(text[place:])


def test_an_event_has_its_fields() -> None:
    event = request(decision=decision(Outcome.DENY), findings=(Finding("email", "", 2),))
    header, told = parts(cef.cef(fact(event, 12), "1.2.3"))
    assert header == ["CEF:0", "Countersign", "countersign", "1.2.3", "request:deny", "request tools/call deny", "6"]
    assert (told["externalId"], told["cn1"], told["cn1Label"]) == (event.event_id, "12", "logIndex")
    assert (told["suser"], told["src"], told["act"], told["outcome"]) == ("alice", "192.0.2.7", "deny", "failure")
    assert told["cs4"] == "email (2)"


def _hostile() -> Fact:
    return fact(
        request(
            method=HOSTILE,
            name=HOSTILE,
            target=HOSTILE,
            reason=HOSTILE,
            source_address=HOSTILE,
            principal=replace(ALICE, subject=HOSTILE),
        )
    )


def test_no_text_of_a_caller_ends_the_line_or_adds_a_field() -> None:
    line = cef.syslog(_hostile(), "gateway", "1")
    assert all(char >= 0x20 for char in line)
    header, told = parts(line[line.index(b"CEF:0") :])
    assert len(header) == 7
    assert told["suser"].endswith("suser=mallory")
    assert set(told) <= set(parts(cef.cef(fact(request(reason="x")), "1"))[1])


def test_a_message_is_what_rfc_5424_says() -> None:
    head, _, text = cef.syslog(fact(request()), "gate way\u00e9\n", "1").partition(b" CEF:0|")
    priority, stamp, host, app, process, kind, data = head.decode().split(" ")
    # Facility 13 (log audit), severity 6.
    assert priority == "<110>1"
    assert stamp.endswith("Z")
    assert (host, app, process, kind, data) == ("gateway", "countersign", "-", "request", "-")
    assert text


def test_a_frame_counts_octets_and_not_characters() -> None:
    framed = cef.frame(fact(request(name="\u00e9\U0001f600")), "gateway", "1")
    length, _, message = framed.partition(b" ")
    assert int(length) == len(message)


@pytest.mark.parametrize("size", [10, 200_000])
def test_what_is_too_long_is_left_away_from_the_end_and_never_in_the_middle_of_a_field(size: int) -> None:
    long = "\u00e9\\=" * size
    event = response(new_id(), name=long, reason=long, method=long, target=long)
    line = cef.syslog(fact(event), "gateway", "1")
    assert len(line) <= cef.MOST_BYTES
    _, told = parts(line[line.index(b"CEF:0") :])
    assert told["externalId"] == event.event_id
    assert set(told["dhost"].replace("...", "")) <= set("\u00e9\\=")
