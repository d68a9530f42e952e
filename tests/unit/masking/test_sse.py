"""The promise: events come out whole and at once however the stream was cut, and none passes unmasked."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.masking import Masker, NotMaskable, SseEvent, SseSplitter, mask_event
from tests.unit.masking import canaries

STREAMS = [
    b': hello\n\nid: 1\nevent: message\ndata: {"a": 1}\n\nretry: 10\ndata:\n\n',
    b': hello\r\n\r\nid: 1\r\nevent: message\r\ndata: {"a": 1}\r\n\r\nretry: 10\r\ndata:\r\n\r\n',
    b': hello\r\rid: 1\revent: message\rdata: {"a": 1}\r\rretry: 10\rdata:\r\r',
    b"\xef\xbb\xbfdata: 1\n\ndata: 2\n\n",
    b"data: [1,\ndata: 2]\nid\n\n\n\ndata\n\ndata: \xc3\xa9\xf0\x9f\x98\x80\n\n",
    b"data: 1\r\r\ndata: 2\r\n\rdata: 3\n\r\ndata: 4\r\n\n",
    b"data: 1\n\ndata: unfinished\nid: 5",
]


def cut(stream: bytes, points: list[int]) -> list[SseEvent]:
    splitter = SseSplitter(1_000)
    edges = [0, *points, len(stream)]
    return [event for at, to in itertools.pairwise(edges) for event in splitter.feed(stream[at:to])]


@pytest.mark.parametrize("stream", STREAMS)
def test_every_cut_yields_the_same_events(stream: bytes) -> None:
    whole = cut(stream, [])
    assert stream.startswith(b"".join(event.raw for event in whole))
    for point in range(len(stream) + 1):
        assert cut(stream, [point]) == whole
    assert cut(stream, list(range(1, len(stream)))) == whole


@given(st.lists(st.sampled_from([b"data: 1", b"\n", b"\r", b"\r\n", b"id: 2", b":", b"data"])), st.data())
def test_any_mixture_of_line_ends_can_be_cut_anywhere(pieces: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(pieces)
    points = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    assert cut(stream, points) == cut(stream, [])


@pytest.mark.parametrize("stream", STREAMS[:3])
def test_fields_are_read_as_the_standard_says(stream: bytes) -> None:
    comment, message, priming = cut(stream, [])
    assert (comment.data, comment.event, comment.id) == (None, "", None)
    assert (message.data, message.event, message.id) == ('{"a": 1}', "message", "1")
    assert (priming.data, priming.id) == ("", None)


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_an_event_is_given_out_with_its_last_byte(ending: bytes) -> None:
    splitter = SseSplitter(100)
    for number in range(3):
        stream = b"data: %d" % number + ending + ending
        last = len(stream) - (1 if ending != b"\r\n" else 0)
        assert splitter.feed(stream[: last - 1]) == []
        events = splitter.feed(stream[last - 1 :])
        assert [event.data for event in events] == [str(number)]
    splitter.close()


def test_several_data_lines_are_one_text_and_can_be_replaced() -> None:
    (event,) = cut(b": c\nid: 7\ndata: [1,\nevent: e\ndata:2]\nretry: 5\n\n", [])
    assert event.data == "[1,\n2]"
    assert event.with_data("[0]") == b": c\nid: 7\ndata: [0]\nevent: e\nretry: 5\n\n"
    assert cut(event.with_data("[0,\n3]"), [])[0].data == "[0,\n3]"
    with pytest.raises(ValueError, match="cannot be put"):
        event.with_data("a\rb")
    with pytest.raises(ValueError, match="cannot be put"):
        SseEvent(b": c\n\n", None).with_data("x")


def test_a_byte_order_mark_is_only_for_the_start() -> None:
    (event,) = cut(b"\xef\xbb\xbfdata: 1\n\n", [])
    assert event.data == "1"
    assert event.with_data("2") == b"\xef\xbb\xbfdata: 2\n\n"
    with pytest.raises(NotMaskable):
        cut(b"data: 1\n\n\xef\xbb\xbfdata: 2\n\n", [])


@pytest.mark.parametrize("chunk", [1, 7, 500])
def test_an_endless_event_is_refused_at_the_bound(chunk: int) -> None:
    splitter = SseSplitter(64)
    assert splitter.feed(b"data: " + b"x" * 56 + b"\n\n")
    endless = b"data: " + b"x" * 200
    fed = 0

    def feed() -> None:
        nonlocal fed
        for at in range(0, len(endless), chunk):
            splitter.feed(endless[at : at + chunk])
            fed = at + chunk

    with pytest.raises(NotMaskable, match="longer"):
        feed()
    assert fed <= 64
    with pytest.raises(NotMaskable, match="longer"):
        SseSplitter(64).feed(b"data: " + b"x" * 60 + b"\n\n")


@pytest.mark.parametrize(
    ("rest", "refused"),
    [
        (b"", False),
        (b": comm", False),
        (b"id: 4\n", False),
        (b"data", True),
        (b"data: 1\n", True),
        (b"id: 1\ndata:", True),
    ],
)
def test_a_stream_that_ends_inside_an_event_is_refused(rest: bytes, refused: bool) -> None:
    splitter = SseSplitter(100)
    splitter.feed(b"data: 1\n\n" + rest)
    if refused:
        with pytest.raises(NotMaskable, match="ended inside"):
            splitter.close()
    else:
        splitter.close()


def test_bytes_that_are_not_utf8_are_refused_without_being_shown() -> None:
    with pytest.raises(NotMaskable) as caught:
        cut(b"data: canary\xff\n\n", [])
    assert "canary" not in str(caught.value)
    assert caught.value.__context__ is None


def test_masking_an_event_keeps_its_other_lines(masker: Masker) -> None:
    data = json.dumps({"mail": canaries.EMAIL})
    (event,) = cut(f": keep\r\nid: 3\r\nevent: message\r\ndata: {data}\r\n\r\n".encode(), [])
    masked = mask_event(masker, event)
    assert masked.data == b': keep\r\nid: 3\r\nevent: message\r\ndata: {"mail": "[EMAIL]"}\r\n\r\n'
    assert masked.changed


@pytest.mark.parametrize(
    "block", [b": ping - 12\n\n", b"id: 9\ndata:\n\n", b"\n", b'data: {"a" : 1}\n\n', b"retry: 5\n\n"]
)
def test_an_event_without_findings_is_unchanged(masker: Masker, block: bytes) -> None:
    (event,) = cut(block, [])
    assert mask_event(masker, event).data == block
    assert not mask_event(masker, event).changed


@pytest.mark.parametrize(
    "line", ["data: {0}", "data: hello", "data: {{", ": {0}", "id: {0}", "event: {0}", "x-{0}: 1", "foo: {0}"]
)
@pytest.mark.parametrize("canary", canaries.ALL)
def test_an_event_whose_lines_cannot_be_masked_is_refused(masker: Masker, line: str, canary: str) -> None:
    if line == "data: {0}" and canary == canaries.CARD:
        return  # a bare number is JSON, and masked
    (event,) = cut((line.format(canary) + "\n\n").encode(), [])
    with pytest.raises(NotMaskable) as caught:
        mask_event(masker, event)
    assert canary not in str(caught.value)


def test_a_mark_at_the_start_of_a_stream_stays_the_only_one() -> None:
    (event,) = cut(b'\xef\xbb\xbfdata: {\ndata: "a": "x"\ndata: }\n\n', [])
    assert event.with_data('{\n"a": "y"\n}') == b'\xef\xbb\xbfdata: {\ndata: "a": "y"\ndata: }\n\n'
