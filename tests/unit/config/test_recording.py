"""Recording in gateway.yaml: what it says is what the services use; what could not hold is refused in its place."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

from countersign.config import SecretUse, load
from countersign.config.types import CefSink, CsvSink, GatewayConfig, OcsfSink, OtlpSink, Recording, Sink, Witness
from tests.unit.config.files import GOOD, edited, loaded, pointed_at, refused

ENV = {"ORDERS_TOKEN": "orders-" + "token", "OTLP_TOKEN": "otlp-" + "token"}


def key(name: str = "w.test", kind: int = 4, size: int = 32, fill: int = 7) -> str:
    """A verifier key (C2SP signed-note)."""
    typed = bytes([kind]) + bytes([fill]) * size
    key_id = hashlib.sha256(name.encode() + b"\n" + typed).digest()[:4].hex()
    return f"{name}+{key_id}+{base64.b64encode(typed).decode()}"


ONE = f"{{name: w1, url: 'https://w.test', key: {key()}}}"
OTHER = f"{{name: w2, url: 'https://x.test', key: {key(fill=8)}}}"


def with_recording(text: str) -> str:
    return edited("recording: {mode: required}", f"recording: {{{text}}}")


def take(folder: Path, text: str) -> GatewayConfig:
    return loaded(folder, with_recording(text), ENV)


def test_what_is_not_said_is_as_documented(tmp_path: Path) -> None:
    config = loaded(tmp_path, GOOD, ENV)
    assert config.recording == Recording()
    assert loaded(tmp_path, edited("recording: {mode: required}\n", ""), ENV).recording == Recording()


def test_all_of_it_is_read(tmp_path: Path) -> None:
    config = take(
        tmp_path,
        f"seal_after: 90s, most_unpublished: 5000, witnesses: {{need: 2, of: [{ONE}, {OTHER[:-1]}, ca: ca.pem}}]}}, "
        "retention: {bodies: 400d, targets: {orders: forever}}, encryption: {keys: keys}, exports: {"
        "siem: {ocsf: {file: out/record.jsonl, bodies: true}}, "
        "logs: {otlp: {endpoint: 'https://otlp.test/base', token: {env: OTLP_TOKEN}}}, "
        "syslog: {cef: {address: 'siem.test:6514', ca: ca.pem, certificate: /etc/c.pem, key: /etc/k.pem}}, "
        "six: {cef: {address: '[2001:db8::1]:6514'}}, table: {csv: {file: record.csv}}}",
    )
    recording = config.recording
    assert (recording.seal_after_s, recording.most_unpublished) == (90, 5_000)
    assert recording.witnesses == (
        Witness("w1", "https://w.test", key()),
        Witness("w2", "https://x.test", key(fill=8), str(tmp_path / "ca.pem")),
    )
    assert recording.witnesses_needed == 2
    assert (recording.default_kept_days, dict(recording.kept_days)) == (400, {"orders": None})
    assert recording.body_keys == str(tmp_path / "keys")
    (logs,) = (sink.how for sink in recording.exports if isinstance(sink.how, OtlpSink))
    assert logs.token is not None
    assert logs.token.reveal() == ENV["OTLP_TOKEN"]
    assert [sink for sink in recording.exports if sink.name != "logs"] == [
        Sink("siem", OcsfSink(str(tmp_path / "out/record.jsonl"), bodies=True)),
        Sink("syslog", CefSink("siem.test", 6514, str(tmp_path / "ca.pem"), "/etc/c.pem", "/etc/k.pem")),
        Sink("six", CefSink("2001:db8::1", 6514)),
        Sink("table", CsvSink(str(tmp_path / "record.csv"))),
    ]


def test_credentials_of_exports_are_read_by_those_who_run_them_alone(tmp_path: Path) -> None:
    text = with_recording("exports: {logs: {otlp: {endpoint: 'https://otlp.test', token: {env: OTLP_TOKEN}}}}")
    (tmp_path / "gateway.yaml").write_text(text)
    config = load(tmp_path / "gateway.yaml", {}, reads={SecretUse.POSTGRES})
    (sink,) = config.recording.exports
    assert isinstance(sink.how, OtlpSink)
    assert sink.how.token is not None
    with pytest.raises(PermissionError):
        sink.how.token.reveal()
    assert config.variables[SecretUse.EXPORTS] == {"OTLP_TOKEN"}
    (problem,) = refused(tmp_path, text, {"ORDERS_TOKEN": ENV["ORDERS_TOKEN"]})
    assert "OTLP_TOKEN is not set" in problem.what


BAD = {
    "another mode": ("mode: off", "no other mode", "off"),
    "no duration": ("seal_after: soon", "no duration", "soon"),
    "sealed at once": ("seal_after: 0s", "too short", "0s"),
    "sealed never": ("seal_after: 31d", "too long", "31d"),
    "hardly any": ("most_unpublished: 10", "too small", "10"),
    "no witness": ("witnesses: {need: 1, of: []}", "is empty", "[]"),
    "none needed": (f"witnesses: {{need: 0, of: [{ONE}]}}", "too small", "0"),
    "more needed than there are": (f"witnesses: {{need: 2, of: [{ONE}]}}", "2 witnesses are needed", "2"),
    "a witness twice": (
        f"witnesses: {{need: 1, of: [{ONE}, {OTHER.replace('w2', 'w1')}]}}",
        "the witness `w1` stands twice",
        "w1, url: 'https://x.test'",
    ),
    "a key twice": (
        f"witnesses: {{need: 1, of: [{ONE}, {{name: w2, url: 'https://x.test', key: {key('other.test')}}}]}}",
        "this key stands twice",
        "other.test+",
    ),
    "the name that says nobody": (
        f"witnesses: {{need: 1, of: [{ONE.replace('w1', 'none')}]}}",
        "no usable name of a witness",
        "none",
    ),
    "a witness in clear": (
        f"witnesses: {{need: 1, of: [{ONE.replace('https:', 'http:')}]}}",
        "http:// is for hosts on this machine only",
        "'http:",
    ),
    "a certificate believed of whom has none": (
        f"witnesses: {{need: 1, of: [{ONE.replace('https://w.test', 'http://127.0.0.1')[:-1]}, ca: ca.pem}}]}}",
        "this witness has none",
        "ca.pem",
    ),
    "an hour kept": ("retention: {bodies: 36h}", "neither `forever` nor whole days", "36h"),
    "kept for no day": ("retention: {bodies: 0d}", "out of bounds", "0d"),
    "kept beyond all bounds": ("retention: {bodies: 99999d}", "out of bounds", "99999d"),
    "kept for a target that is not there": (
        "retention: {targets: {order: 90d}}",
        "there is no target `order`",
        "order: ",
    ),
    "keys nowhere": ("encryption: {}", "missing key `recording.encryption.keys`", "encryption"),
    "keys behind spaces": ("encryption: {keys: ' keys'}", "spaces around", "' keys'"),
    "two ways to leave": ("exports: {a: {csv: {file: x}, ocsf: {file: y}}}", "not exactly one way", "a: "),
    "no way to leave": ("exports: {a: {}}", "not exactly one way", "a: "),
    "an export of no name": ("exports: {A_B: {csv: {file: x}}}", "no usable name of an export", "A_B"),
    "two in one file": (
        "exports: {a: {csv: {file: x}}, b: {ocsf: {file: ./x}}}",
        "writes into the file of `a`",
        "{ocsf",
    ),
    "logs in clear": (
        "exports: {a: {otlp: {endpoint: 'http://otlp.test'}}}",
        "http:// is for hosts on this machine only",
        "'http:",
    ),
    "a literal token": ("exports: {a: {otlp: {endpoint: 'https://o.test', token: x}}}", "holds text", "x"),
    "no port": ("exports: {a: {cef: {address: siem.test}}}", "no host and port", "siem.test"),
    "no such port": ("exports: {a: {cef: {address: 'siem.test:65536'}}}", "no host and port", "'siem.test"),
    "no host": ("exports: {a: {cef: {address: 'si em:6514'}}}", "no host and port", "'si em"),
    "half an identity": (
        "exports: {a: {cef: {address: 'siem.test:6514', key: k.pem}}}",
        "one of `certificate` and `key` stands alone",
        "cef",
    ),
}


@pytest.mark.parametrize(("text", "what", "where"), BAD.values(), ids=list(BAD))
def test_what_could_not_hold_is_refused_in_its_place(tmp_path: Path, text: str, what: str, where: str) -> None:
    written = with_recording(text)
    (problem,) = refused(tmp_path, written, ENV)
    assert what in problem.what
    assert problem.remedy
    assert pointed_at(written, problem).startswith(where)


def test_the_target_that_was_meant_is_named(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, with_recording("retention: {targets: {order: 90d}}"), ENV)
    assert problem.remedy == "did you mean `orders`?"


BAD_KEYS = {
    "a log's own key": key(kind=1),
    "a key of other size": key(size=31),
    "another's id": key()[:7] + "00000000" + key()[15:],
    "no base64": key()[:-4] + "!!!!",
    "no name": "+" + key().partition("+")[2],
    "a name with a space": key("a b"),
    "no key": "made-up",
}


@pytest.mark.parametrize("bad", BAD_KEYS.values(), ids=list(BAD_KEYS))
def test_only_the_key_of_a_witness_is_one(tmp_path: Path, bad: str) -> None:
    text = with_recording(f"witnesses: {{need: 1, of: [{{name: w1, url: 'https://w.test', key: '{bad}'}}]}}")
    (problem,) = refused(tmp_path, text, ENV)
    assert "no verifier key" in problem.what
    assert bad not in problem.what + problem.remedy
