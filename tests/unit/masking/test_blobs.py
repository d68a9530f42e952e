"""Files within messages: text in base64 is masked as text, and what cannot be read is never taken for clean."""

from __future__ import annotations

import base64
import json
import tracemalloc
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countersign.jsontext import apply_edits, parse
from countersign.masking import Blobs, Masked, Masker, NotMaskable
from countersign.masking.blobs import MOST_TEXTS
from countersign.masking.detectors.email import Email
from countersign.masking.fields import Field
from countersign.masking.masker import Rule
from countersign.masking.replacements import Redacted
from tests.support.cost import cpu_s

MAIL = "canary@" + "example.org"
MASKER = Masker([Rule(Email(), Redacted("[EMAIL]"))], [Field.of("ssn", lambda label: Redacted(f"[{label}]"))])
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


def encoded(data: bytes | str) -> str:
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def masked(message: object, *, refuse: bool = True, ascii_only: bool = True) -> object:
    """The message with its files masked."""
    document = parse(json.dumps(message, ensure_ascii=ascii_only))
    edits, _ = Blobs(refuse_binary=refuse).masked(document, MASKER.text)
    return json.loads(apply_edits(document.text, edits))


def contents(blob: str, **more: str) -> dict[str, object]:
    """What ``resources/read`` answers."""
    return {"jsonrpc": "2.0", "id": 1, "result": {"contents": [{"uri": "x://y", "blob": blob, **more}]}}


def embedded(blob: str, **more: str) -> dict[str, object]:
    resource = {"type": "resource", "resource": {"uri": "x://y", "blob": blob, **more}}
    return {"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": "t"}, resource]}}


def image(data: str, kind: str = "image", media: str = "image/png") -> dict[str, object]:
    content = {"type": kind, "data": data, "mimeType": media}
    return {"jsonrpc": "2.0", "id": 1, "result": {"content": [content]}}


def prompt(data: str) -> dict[str, object]:
    content = {"type": "image", "mimeType": "image/png", "data": data}
    return {"jsonrpc": "2.0", "id": 1, "result": {"messages": [{"role": "user", "content": content}]}}


def sampling(data: str) -> dict[str, object]:
    content = {"type": "audio", "mimeType": "audio/wav", "data": data}
    params = {"messages": [{"role": "user", "content": content}]}
    return {"jsonrpc": "2.0", "id": 1, "method": "sampling/createMessage", "params": params}


POSITIONS: dict[str, Callable[[str], dict[str, object]]] = {
    "contents": contents,
    "embedded": embedded,
    "image": image,
    "prompt": prompt,
    "sampling": sampling,
}


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        (f"to {MAIL}", "to [EMAIL]"),
        (f'{{"a":["{MAIL}"], "ssn":"x"}}', '{"a":["[EMAIL]"], "ssn":"[SSN]"}'),
        (f"grüße {MAIL} \u2028", "grüße [EMAIL] \u2028"),
        (f"ssn: 12\nmail {MAIL}", "ssn: [SSN]\nmail [EMAIL]"),
    ],
)
def test_text_in_a_file_is_masked_whatever_it_is_called(position: str, inner: str, expected: str) -> None:
    make = POSITIONS[position]
    assert masked(make(encoded(inner))) == make(encoded(expected))


@pytest.mark.parametrize("media", ["application/octet-stream", "image/png", "text/csv; charset=UTF-8", "", "x"])
def test_the_bytes_say_what_is_text_and_not_the_type(media: str) -> None:
    assert masked(contents(encoded(MAIL), mimeType=media)) == contents(encoded("[EMAIL]"), mimeType=media)


@pytest.mark.parametrize("position", POSITIONS)
def test_a_binary_file_is_refused_with_the_remedy_unless_it_may_pass(position: str) -> None:
    message = POSITIONS[position](encoded(PICTURE))
    with pytest.raises(NotMaskable, match="binary: pass"):
        masked(message)
    assert masked(message, refuse=False) == message


@pytest.mark.parametrize("refuse", [True, False])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32-be", "latin-1"])
def test_text_in_another_encoding_never_passes(encoding: str, refuse: bool) -> None:
    blob = encoded(f"é {MAIL}".encode(encoding))
    with pytest.raises(NotMaskable):
        masked(contents(blob, mimeType="text/plain"), refuse=refuse)


@pytest.mark.parametrize("refuse", [True, False])
@pytest.mark.parametrize("media", ["text/plain; charset=utf-7", 'text/html; charset="ISO-2022-JP"', "a/b;CHARSET=hz"])
def test_text_that_reads_otherwise_in_its_charset_never_passes(media: str, refuse: bool) -> None:
    with pytest.raises(NotMaskable, match="charset"):
        masked(contents(encoded("plain +AEA-"), mimeType=media), refuse=refuse)


def malformed() -> list[str]:
    good = encoded(f"abcd {MAIL}")
    bare = good.rstrip("=")
    return [
        good + "=",
        bare + "!",
        f" {good}",
        good[:8] + "\n" + good[8:],
        good + good[-4:],
        bare[:-1],
        "_-" + good[2:],
    ]


@pytest.mark.parametrize("number", range(7))
@pytest.mark.parametrize("refuse", [True, False])
def test_base64_that_readers_take_in_two_ways_never_passes(number: int, refuse: bool) -> None:
    with pytest.raises(NotMaskable, match="base64"):
        masked(contents(malformed()[number]), refuse=refuse)


def test_base64_whose_last_bits_say_more_never_passes() -> None:
    with pytest.raises(NotMaskable, match="base64"):
        masked(contents("TR=="))


@pytest.mark.parametrize("text", ["abcd", "hello", "not base64!", "", encoded(PICTURE)])
def test_what_only_looks_like_a_file_stays_the_text_that_it_is(text: str) -> None:
    rows = [{"mimeType": "text/plain", "data": text}, {"blob": text}]
    for key in ("structuredContent", "_meta"):
        message = {"jsonrpc": "2.0", "id": 1, "result": {"content": [], key: {"rows": rows}}}
        assert masked(message) == message


def test_what_a_server_made_up_is_opened_where_it_is_a_file_of_text() -> None:
    def made(text: str) -> object:
        files = [{"mimeType": "text/plain", "data": encoded(text)}, {"blob": encoded(text)}]
        return {"jsonrpc": "2.0", "id": 1, "result": {"structuredContent": {"files": files}}}

    assert masked(made(MAIL)) == made("[EMAIL]")


def test_data_without_a_type_is_no_file() -> None:
    message = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "!"}}
    assert masked(message) == message


def test_a_key_written_with_escapes_is_the_same_key() -> None:
    text = json.dumps(contents(encoded(MAIL))).replace('"blob"', r'"\u0062lob"')
    edits, findings = Blobs(refuse_binary=True).masked(parse(text), MASKER.text)
    assert json.loads(apply_edits(text, edits)) == contents(encoded("[EMAIL]"))
    assert [(finding.label, finding.place) for finding in findings] == [("EMAIL", "$.result.contents[0].blob")]


def test_a_value_written_with_escapes_is_the_same_file() -> None:
    text = json.dumps(contents(encoded(MAIL))).replace(encoded(MAIL), encoded(MAIL).replace("=", r"\u003d"))
    edits, _ = Blobs(refuse_binary=True).masked(parse(text), MASKER.text)
    assert json.loads(apply_edits(text, edits)) == contents(encoded("[EMAIL]"))


@pytest.mark.parametrize("position", POSITIONS)
def test_the_record_keeps_no_binary_file(position: str) -> None:
    make = POSITIONS[position]
    data, findings = Blobs(refuse_binary=False).for_record(json.dumps(make(encoded(PICTURE))).encode())
    assert json.loads(data) == make(encoded("[BINARY]"))
    assert [finding.label for finding in findings] == ["BINARY"]


@pytest.mark.parametrize("message", [contents(encoded("text")), {"result": {"structuredContent": {"blob": "abcd"}}}])
def test_the_record_keeps_text(message: object) -> None:
    data = json.dumps(message).encode()
    assert Blobs(refuse_binary=False).for_record(data) == (data, ())


def test_a_clean_message_is_not_changed() -> None:
    document = parse(json.dumps(contents(encoded("nothing"), mimeType="text/plain")))
    assert Blobs(refuse_binary=True).masked(document, MASKER.text) == ([], ())


def test_what_masking_refuses_in_a_file_is_refused() -> None:
    with pytest.raises(NotMaskable):
        masked(contents(encoded('{"a":1,"a":2}')))


def test_no_key_of_the_targets_own_is_shown_as_a_place() -> None:
    message = {"result": {"structuredContent": {MAIL: {"blob": encoded(f'{{"a":"{MAIL}"}}')}}}}
    _, findings = Blobs(refuse_binary=True).masked(parse(json.dumps(message)), MASKER.text)
    assert findings
    assert MAIL not in str(findings)


def test_findings_in_many_files_stay_a_short_list() -> None:
    files = [{"uri": "x://y", "blob": encoded(f"{number} {MAIL}")} for number in range(200)]
    text = json.dumps({"result": {"contents": files}})
    _, findings = Blobs(refuse_binary=True).masked(parse(text), lambda data: MASKER.text(data))
    assert [finding.count for finding in findings] == [200]


@pytest.mark.parametrize("piece", ['{"blob":""},', '{"data":"","mimeType":"x"},', '"\\u0041",', "[[]],"])
def test_many_small_things_take_no_more_time_than_their_size(piece: str) -> None:
    def cost_s(count: int) -> float:
        document = parse(f'{{"blob":"","result":[{piece * count}1]}}')
        return cpu_s(lambda: Blobs(refuse_binary=True).masked(document, lambda data: Masked(data)))

    assert cost_s(16_000) < 20 * max(cost_s(1_600), 0.005)


_NESTED = st.recursive(
    st.text(max_size=8) | st.integers() | st.none() | st.builds(encoded, st.binary(max_size=8)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["blob", "data", "mimeType", "a", "structuredContent"]), inner, max_size=4)
    ),
    max_leaves=10,
)


@settings(max_examples=50)
@given(_NESTED, st.booleans())
def test_any_message_is_masked_or_refused_and_else_unchanged(message: object, ascii_only: bool) -> None:
    with suppress(NotMaskable):
        assert masked(message, refuse=False, ascii_only=ascii_only) == message


def test_a_long_text_of_escapes_takes_little_room() -> None:
    document = parse('{"blob":"","a":"' + r"\n" * 1_000_000 + '"}')
    tracemalloc.start()
    try:
        Blobs(refuse_binary=True).masked(document, MASKER.text)
        assert tracemalloc.get_traced_memory()[1] < 8 * len(document.text)
    finally:
        tracemalloc.stop()


def test_many_small_files_are_refused_before_they_cost_much() -> None:
    def of(count: int) -> dict[str, object]:
        return {"result": {"contents": [{"uri": "x://y", "blob": encoded(f"to {MAIL}")}] * count}}

    assert MAIL not in json.dumps(masked(of(MOST_TEXTS)))
    with pytest.raises(NotMaskable, match="more than"):
        masked(of(MOST_TEXTS + 1))
