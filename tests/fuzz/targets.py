"""What is fuzzed: each target takes any bytes, and fails when a promise is broken."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from countersign.jsontext import (
    JsonAmbiguous,
    JsonRefused,
    Number,
    Place,
    apply_edits,
    check,
    literals,
    outline,
    parse,
    pick_places,
)
from countersign.masking import Blobs, Masker, NotMaskable, SseEvent, SseSplitter, mask_event
from countersign.masking.offsets import raw_offsets
from countersign.masking.own import PatternRefused, compile_own
from countersign.masking.readings import readings
from countersign.masking.tokens import Mint
from countersign.masking.unmask import NotUnmaskable, unmasked
from countersign.model.rule import OwnDetector
from tests.fuzz import exports, saml
from tests.fuzz.oracles import (
    CANARY,
    DEPTH,
    FIELD,
    complete_masker,
    is_kept,
    leaves,
    refused_in_good_order,
    replacing_masker,
    simple_masker,
)

_T = TypeVar("_T")
_MASKER = simple_masker()
_LONGEST_EVENT_BYTES = 256


@dataclass(frozen=True, slots=True)
class Target:
    """Something that takes any bytes, and bytes to begin with."""

    run: Callable[[bytes], None]
    seeds: Callable[[], Sequence[bytes]]


def read_json(data: bytes) -> None:
    """What we read, every parser reads the same way; what every parser reads, we refuse only as ambiguous."""
    document, checked = _outcome(parse, data), _outcome(check, data)
    if isinstance(document, JsonRefused):
        assert type(checked) is type(document)
        assert isinstance(document, JsonAmbiguous) or not _is_json(data)
        return
    assert checked == outline(document)
    text = data.decode()
    assert _comparable(document.root) == _read(text)
    listed = literals(text)
    for literal in listed:
        written = text[literal.start : literal.end]
        assert written == literal.value if literal.is_number else json.loads(written) == literal.value
    places = list(pick_places(text, [(each.start, each.end) for each in listed[::2]]))
    assert places == [Place(each.start, each.end, *each[3:]) for each in listed[::2]]


def _outcome(read: Callable[..., _T], data: bytes) -> _T | JsonRefused:
    try:
        return read(data, max_depth=DEPTH)
    except JsonRefused as refused:
        return refused


def measure_literals(data: bytes) -> None:
    """An offset in a string stands in its literal behind what writes the characters before it."""
    raw = f'"{data.decode("utf-8", "replace")}"'
    try:
        value = json.loads(raw)
        value.encode()
    except ValueError:
        return
    if isinstance(value, str):
        at = raw_offsets(raw, 0, len(raw), value, range(len(value) + 1))
        for offset in range(len(value) + 1):
            assert json.loads(raw[: at[offset]] + '"') == value[:offset]


def mask_json(data: bytes) -> None:
    """What is masked is JSON of the same shape without canaries, or it is refused."""
    try:
        masked = _MASKER.json(data).data
    except NotMaskable as refusal:
        refused_in_good_order(refusal)
        return
    before, after = _read(data.decode()), _read(masked.decode())
    assert _shape(before) == _shape(after)
    assert not any(CANARY in leaf for leaf in leaves(json.loads(masked)))


def replace_json(data: bytes) -> None:
    """Whatever stands in place of values, numbers stay numbers, texts texts; tokens turn back or are refused."""
    mint = Mint(bytes(32))
    try:
        masked = replacing_masker(mint).json(data).data
    except NotMaskable as refusal:
        refused_in_good_order(refusal)
        return
    assert _shape(_read(data.decode())) == _shape(_read(masked.decode()))
    assert not any(CANARY in leaf for leaf in leaves(json.loads(masked)))
    try:
        back = unmasked(parse(masked, max_depth=DEPTH), mint.made)
    except NotUnmaskable as refusal:
        refused_in_good_order(refusal)
    else:
        assert _shape(_read(masked.decode())) == _shape(_read(back.text))


def mask_text(data: bytes) -> None:
    """Outside what was found nothing changes, nothing found is left, and what is explained is what is done."""
    text = data.decode("utf-8", "replace")
    masked = _explained(_MASKER, text)
    if masked is not None:
        assert CANARY not in masked
        assert not any(CANARY in reading.text for reading in readings(masked))
        # What was no JSON is no JSON's leaves, even when what made it none was masked.
        assert not (_is_json(text.encode()) and any(CANARY in leaf for leaf in leaves(masked)))


def find_anything(data: bytes) -> None:
    """No detector fails, whatever it is given."""
    _explained(complete_masker(), data.decode("utf-8", "replace"))


def _explained(masker: Masker, text: str) -> str | None:
    try:
        explained = masker.explain(text)
    except NotMaskable as refusal:
        refused_in_good_order(refusal)
        return None
    assert masker.text(text.encode()).data.decode() == explained.text
    ends = [0, *(found.end for found in explained.found)]
    starts = [*(found.start for found in explained.found), len(text)]
    assert all(end <= start for end, start in zip(ends, starts, strict=True))
    assert is_kept((text[end:start] for end, start in zip(ends, starts, strict=True)), explained.text)
    assert all(found.start < found.end for found in explained.found)
    return explained.text


def mask_files(data: bytes) -> None:
    """Files that are text hold no canary once they are masked; the message around them stays JSON."""
    try:
        document = parse(data, max_depth=DEPTH)
        edits, _ = Blobs(refuse_binary=bool(len(data) % 2)).masked(document, _MASKER.text)
    except JsonRefused:
        return
    except NotMaskable as refusal:
        refused_in_good_order(refusal)
        return
    masked = parse(apply_edits(document.text, edits), max_depth=DEPTH)
    root = masked.root
    if isinstance(root, dict) and isinstance(blob := root.get("blob"), str) and not isinstance(blob, Number):
        assert CANARY not in _file_text(blob)


def _file_text(blob: str) -> str:
    """The text of a file; of one that is none, somebody else decides whether it passes unseen."""
    try:
        return base64.b64decode(blob).decode()
    except UnicodeDecodeError:
        return ""


def split_events(data: bytes) -> None:
    """However a stream is cut into chunks, its events are the same, and masked they are as many."""
    cuts, stream = random.Random(data[:2]), data[2:]
    whole = _events([stream])
    ends = sorted(cuts.randrange(len(stream) + 1) for _ in range(cuts.randrange(8)))
    chunks = [stream[start:end] for start, end in pairwise((0, *ends, len(stream)))]
    assert _events(chunks) == whole
    assert _events([bytes([byte]) for byte in stream]) == whole
    masked = [_masked_event(event) for event in whole or ()]
    # Behind a carriage return the splitter waits for a line feed: something must follow.
    again = _events([b"".join(masked), b": end\n\n"], 2 * _LONGEST_EVENT_BYTES)
    assert again is not None
    # Nothing but the text of the data has changed.
    assert [_frame(event) for event in again[:-1]] == [_frame(event) for event in whole or ()]


def _frame(event: SseEvent) -> tuple[str, str | None, bool]:
    return event.event, event.id, event.data is None


def _masked_event(event: SseEvent) -> bytes:
    """The event once it is masked, or as it is when it is refused."""
    try:
        masked = mask_event(_MASKER, event).data
    except NotMaskable as refusal:
        refused_in_good_order(refusal)
        return event.raw
    assert CANARY.encode() not in masked
    return masked


def run_patterns(data: bytes) -> None:
    """A pattern of an operator's own is refused with a reason, or finds whole characters in any text."""
    pattern, _, text = data.decode("utf-8", "replace").partition("\n")
    try:
        detector = compile_own(OwnDetector("own", pattern, "OWN", "luhn" if len(text) % 2 else "", ("near",)))
    except PatternRefused:
        return
    searched = f"near {text}".encode()
    for start, end, _ in detector.find(searched):
        assert start < end
        searched[start:end].decode()


def _events(chunks: Sequence[bytes], longest_bytes: int = _LONGEST_EVENT_BYTES) -> list[SseEvent] | None:
    """The events of a stream; ``None`` when it is refused."""
    splitter, events = SseSplitter(longest_bytes), list[SseEvent]()
    try:
        for chunk in chunks:
            events += splitter.feed(chunk)
        splitter.close()
    except NotMaskable as refusal:
        refused_in_good_order(refusal)
        return None
    assert b"".join(chunks).startswith(b"".join(event.raw for event in events))
    return events


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(word: str) -> None:
    raise ValueError(word)


def _read(text: str) -> object:
    """A JSON text in the standard library's reading, numbers as they are written."""
    return json.loads(
        text, parse_int=lambda written: ("number", written), parse_float=lambda written: ("number", written)
    )


def _comparable(value: object) -> object:
    if isinstance(value, Number):
        return ("number", str.__str__(value))
    if isinstance(value, list):
        return [_comparable(element) for element in value]
    return {key: _comparable(member) for key, member in value.items()} if isinstance(value, dict) else value


def _shape(value: object) -> object:
    if isinstance(value, list):
        return [_shape(element) for element in value]
    if isinstance(value, dict):
        return [_shape(member) for member in value.values()]
    return type(value)


def _json_seeds() -> list[bytes]:
    inner = json.dumps({"a": f"x\n{CANARY}", FIELD: [1, "é", {"b": CANARY}]})
    values: list[object] = [
        {"a": CANARY, CANARY: 1, f"{CANARY}#2": 2, "c": [CANARY, -1.5e3, True, None]},
        {"text": inner, "deep": json.dumps(inner)},
        {FIELD: 123, "customer": [{FIELD: CANARY}, {"Ssn": {"x": "y"}}]},
        json.dumps([json.dumps({FIELD: inner})]),
        {"s": '🦊 \u2028 \\ " /'},
    ]
    written = [json.dumps(value) for value in values] + [json.dumps(value, ensure_ascii=False) for value in values]
    escaped = "".join(f"\\u{ord(character):04x}" for character in CANARY[:7])
    return [text.encode() for text in [*written, f'{{"\\u0073sn":"{escaped}é🦊"}}', "[[1],[2]]", '{"a":1,"a":2}']]


def _value_seeds() -> list[bytes]:
    key, digits = "AKIA" + "QWERTYUIOPASDFGH", "4111" + " 1111" * 3
    texts = [
        f"password = 'x{key}' token: {key.lower()}, Authorization: Basic {base64.b64encode(key.encode()).decode()}",
        f"card {digits} iban GB82 WEST 1234 5698 7654 32 ssn 078-05-1121 phone +49 30 901820, jane.doe@example.com",
        json.dumps({"first_name": "Jane", "dob": "1990-02-30", "street": "Main St. 7", "ip": "10.1.2.3", "k": key}),
        "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10",
        "-----BEGIN " + "RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----",
        f"export API_KEY={key}\ncurl -u user:{key} https://user:{key}@example.com/?token={key}",
        "data:\n  password: aHVudGVyMg==\nkind: Secret\n0x52908400098527886E0F7030069857D2E4169EE7 1BvBMSEYstWetq",
    ]
    return [text.encode() for text in texts]


def _replaced_seeds() -> list[bytes]:
    values: list[object] = [
        {
            "partial": ["4111-1111", 123456789, -1.5, 2e9],
            "hash": [1, "x", 1.5e300, True],
            "tokenize": [123456789012, "a-B-3"],
        },
        {
            "params": {
                "arguments": {"tokenize": "jane.doe@example.org", "sql": f"a = '{CANARY}'", "n": {"tokenize": 20240}}
            }
        },
        {"partial": {"a": {CANARY: 12345678}}, "text": json.dumps({"hash": [0, "é" * 9]})},
    ]
    return [json.dumps(value).encode() for value in values]


def _text_seeds() -> list[bytes]:
    rows = f'name,{FIELD},note\nann,{CANARY},"a\nb"\nbob,2,x\n'
    texts = [
        f"{FIELD}=1; {FIELD}: {CANARY}, '{FIELD}': 'x y' end",
        rows,
        rows.replace(",", "\t"),
        f"| name | {FIELD} |\n|---|:-:|\n| ann | {CANARY} |\n| b \\| c | 2 |\n",
        f" name | {FIELD} \n------+-----\n ann  | 1\n(1 row)\n",
        f"+------+-----+\n| name | {FIELD} |\n+------+-----+\n| ann  | 12  |\n+------+-----+\n",
        f"-[ RECORD 1 ]\nname | ann\n{FIELD}  | 1\n",
        f"- name: ann\n  {FIELD}: >-\n    {CANARY}\n    more\n- {{name: bob, {FIELD}: [1, 'x']}}\n",
        f"[{{'name': 'ann', '{FIELD}': '{CANARY}'}}, Row({FIELD}=1)]",
        f'{{"{FIELD}": 1}}\n{{"{FIELD}": "{CANARY}", "x": "\\u0041"}}\n',
        f"<td>{FIELD}</td><td>{CANARY}</td>",
        f'{{"a": "\\u0043{CANARY[1:]} \\\\u0043{CANARY[1:]}\\n\\x73sn": "x", &#67;{CANARY[1:]} &amp;#67;{CANARY[1:]}',
    ]
    return [text.encode() for text in texts] + _json_seeds()


def _file_seeds() -> list[bytes]:
    blob = base64.b64encode(f"a {CANARY} {FIELD}=1".encode()).decode()
    values = [
        {"blob": blob, "mimeType": "text/plain"},
        {"result": {"contents": [{"uri": "x", "blob": blob}], "content": [{"type": "image", "data": blob}]}},
        {"data": blob, "mimeType": "image/png", "structuredContent": {"blob": blob}},
    ]
    return [json.dumps(value).encode() for value in values]


def _event_seeds() -> list[bytes]:
    message = json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"content": [{"text": CANARY}], FIELD: 1}})
    streams = [
        f"event: message\nid: 7\ndata: {message}\n\n",
        "".join(f"data: {line}\r\n" for line in json.dumps({"a": CANARY}, indent=1).split("\n")) + "\r\n",
        f"\ufeff: ping\r\rid\rdata:{message}\r\r\ndata\r\n\r\n: {CANARY}\n\n",
        f"retry: 5\n\ndata: {'x' * 300}\n\n",
    ]
    return [bytes((number, number)) + stream.encode() for number, stream in enumerate(streams)]


def _pattern_seeds() -> list[bytes]:
    return [
        b"EMP-(?P<value>[0-9]{6})\nEMP-123456 \xc3\xa9",
        b"(?i)\\bb[a\xc3\xa9]+\\pL{2,5}|x*\nbadge",
        b"(?=a)b\nab",
        b".{1,3}\\C\nab",
    ]


TARGETS = {
    "json": Target(read_json, _json_seeds),
    "literals": Target(
        measure_literals, lambda: [json.dumps(CANARY)[1:-1].encode(), b"\\u00e9\\\\\\/a\\ud83d\\ude00\xc3\xa9"]
    ),
    "mask-json": Target(mask_json, _json_seeds),
    "replace-json": Target(replace_json, _replaced_seeds),
    "mask-text": Target(mask_text, _text_seeds),
    "detectors": Target(find_anything, _value_seeds),
    "mask-files": Target(mask_files, _file_seeds),
    "events": Target(split_events, _event_seeds),
    "patterns": Target(run_patterns, _pattern_seeds),
    "exports": Target(exports.verify_changed, exports.seeds),
    "saml": Target(saml.sign_in, saml.seeds),
}

WORDS = (
    *(
        CANARY,
        FIELD,
        '"',
        "\\",
        "\\n",
        "\\u00",
        "\\ud83d",
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "null",
        "-1e5",
        "NaN",
        "\ufeff",
    ),
    *("data:", "id:", "event:", "\r\n", "\n\n", "\r", "|", "---", "+--", "\t", '"blob":', '"mimeType":', "=", ": >-\n"),
)
"""What inputs are made of, for whoever makes them up."""
