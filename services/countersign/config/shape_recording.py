"""The shape of recording: how the record is closed, proved, kept and handed on."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from countersign.config.shape_base import Duration, Kept, Name, SecretSource, Shape, Text, Url
from countersign.config.types import Recording

SINK_NAME = "[a-z0-9][a-z0-9-]{0,62}"
WITNESS_NAME = SINK_NAME

_DEFAULT = Recording()
_SINK_KINDS = ("ocsf", "otlp", "cef", "csv")
_File = Annotated[Text, Field(description="a file, relative to the folder of gateway.yaml")]


class Postgres(SecretSource):
    """Where the DSN of the record's database is read from; without it, the gateway runs a database of its own."""


class WitnessShape(Shape):
    """Somebody else who cosigns checkpoints (C2SP tlog-witness)."""

    name: Text = Field(description="a name of its own", json_schema_extra={"pattern": f"^{WITNESS_NAME}$"})
    url: Url = Field(description="where it is asked, such as https://witness.example.com")
    key: Text = Field(description="its verifier key, as it prints it: name+hash+base64")
    ca: _File | None = Field(
        default=None, description="PEM: who may vouch for its certificate; without it, the system's"
    )


class WitnessesShape(Shape):
    """Who cosigns checkpoints, and how many of them must before anybody is shown one."""

    need: int = Field(ge=1, le=32, description="how many must have cosigned")
    of: list[WitnessShape] = Field(min_length=1, max_length=32, description="the witnesses")


class RetentionShape(Shape):
    """How long bodies are kept; what else an event says stays."""

    bodies: Kept = Field(default="forever", description="`forever`, or whole days, such as 400d")
    targets: Annotated[dict[str, Kept], Field(min_length=1, max_length=1_000)] | None = Field(
        default=None, description="the same for single targets, such as {orders: 90d}"
    )


class EncryptionShape(Shape):
    """Bodies at rest, encrypted with a key for each month: who drops the key has erased them."""

    keys: _File = Field(
        description="a folder of files YYYY-MM.key (`countersign keep new-key` makes them), "
        "relative to the folder of gateway.yaml"
    )


class OcsfShape(Shape):
    """OCSF events as JSON lines."""

    file: _File
    bodies: bool = Field(default=False, description="whether masked arguments and answers go along")


class OtlpShape(Shape):
    """OTLP logs over HTTP."""

    endpoint: Url = Field(description="the collector, such as https://otlp.example.com: /v1/logs is added")
    token: SecretSource | None = Field(
        default=None, description="a bearer token for the collector, by {env: NAME} or {file: path}"
    )
    bodies: bool = Field(default=False, description="whether masked arguments and answers go along")


class CefShape(Shape):
    """CEF over syslog (RFC 5424) over TLS (RFC 5425)."""

    address: Name = Field(description="host and port, such as siem.example.com:6514")
    ca: _File | None = Field(default=None, description="PEM: who may vouch for the server; without it, the system's")
    certificate: _File | None = Field(default=None, description="PEM: the certificate to show, where one is asked for")
    key: _File | None = Field(default=None, description="PEM: its private key")


class CsvShape(Shape):
    """CSV (RFC 4180)."""

    file: _File


class SinkShape(Shape):
    """Where the record leaves the gateway: one of `ocsf`, `otlp`, `cef` and `csv`."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [kind]} for kind in _SINK_KINDS]})

    ocsf: OcsfShape | None = Field(default=None, description="JSON lines, such as {file: record.jsonl}")
    otlp: OtlpShape | None = Field(default=None, description="logs, such as {endpoint: URL, token: {env: NAME}}")
    cef: CefShape | None = Field(default=None, description="syslog, such as {address: 'siem.example.com:6514'}")
    csv: CsvShape | None = Field(default=None, description="a table, such as {file: record.csv}")


class RecordingShape(Shape):
    """How calls are recorded, and what becomes of the record."""

    mode: Text = Field(default="required", json_schema_extra={"const": "required"}, description="`required`")
    postgres: Postgres | None = Field(default=None, description="the DSN, by {env: NAME} or {file: path}")
    seal_after: Duration = Field(default="1h", description="a session without events for so long is closed")
    most_unpublished: int = Field(
        default=_DEFAULT.most_unpublished,
        ge=1_000,
        le=10_000_000,
        description="events above the latest checkpoint; calls wait when there are more",
    )
    witnesses: WitnessesShape | None = Field(default=None, description="who cosigns checkpoints; without it, nobody")
    retention: RetentionShape = Field(default_factory=RetentionShape, description="how long bodies are kept")
    encryption: EncryptionShape | None = Field(
        default=None, description="bodies encrypted at rest, such as {keys: /run/body-keys}; without it, they are not"
    )
    exports: dict[str, SinkShape] = Field(
        default_factory=dict,
        max_length=50,
        description="where the record leaves the gateway, such as {siem: {ocsf: {file: record.jsonl}}}",
        json_schema_extra={"propertyNames": {"pattern": f"^{SINK_NAME}$"}},
    )
