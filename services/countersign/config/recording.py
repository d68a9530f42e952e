"""The section ``recording:``: how the record is closed, proved, kept and handed on."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from types import MappingProxyType

from countersign.config import secrets, urls
from countersign.config.credentials import Credentials
from countersign.config.document import Path
from countersign.config.durations import Bounds, read_days
from countersign.config.shape_recording import (
    SINK_NAME,
    WITNESS_NAME,
    CefShape,
    OcsfShape,
    OtlpShape,
    RecordingShape,
    RetentionShape,
    SinkShape,
    WitnessesShape,
    WitnessShape,
)
from countersign.config.types import CefSink, CsvSink, OcsfSink, OtlpSink, Recording, SecretUse, Sink, Witness
from countersign.config.wording import nearest
from countersign.tlog import BadKey, KeyKind, parse_verifier

SEAL_AFTER = Bounds("1s", "30d")

_ROOT: Path = ("recording",)
_RESERVED_WITNESS = "none"
"""Says in a trust policy that no witness is needed (C2SP tlog-policy, "Defining the quorum")."""
_NAMES = "use up to 63 small letters, digits and hyphens, the first no hyphen"
_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+)):([0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Section:
    """Reads the section. ``folder`` is that of gateway.yaml, ``targets`` are those that it declares."""

    credentials: Credentials
    folder: FilePath
    targets: Collection[str]

    def read(self, shape: RecordingShape) -> Recording:
        """The section as the services use it; to be used only if nothing was added to the problems."""
        if shape.mode != "required":
            remedy = "write `mode: required`: what is not on record does not happen, and nothing switches that off"
            self._add((*_ROOT, "mode"), "recording has no other mode", remedy)
        root, out = self.credentials.root, self.credentials.out
        return Recording(
            seal_after_s=SEAL_AFTER.read(shape.seal_after, root.find((*_ROOT, "seal_after")), out),
            most_unpublished=shape.most_unpublished,
            witnesses=self._witnesses(shape.witnesses) if shape.witnesses else (),
            witnesses_needed=shape.witnesses.need if shape.witnesses else 0,
            default_kept_days=self._days((*_ROOT, "retention", "bodies"), shape.retention.bodies),
            kept_days=self._kept_days(shape.retention),
            body_keys=self._file((*_ROOT, "encryption", "keys"), shape.encryption.keys) if shape.encryption else "",
            exports=self._exports(shape.exports),
        )

    def _add(self, path: Path, what: str, remedy: str) -> None:
        self.credentials.out.add(self.credentials.root.find(path).place, what, remedy)

    def _add_at_key(self, path: Path, what: str, remedy: str) -> None:
        self.credentials.out.add(self.credentials.root.key_place(path), what, remedy)

    def _url(self, path: Path, url: str) -> str:
        try:
            return urls.endpoint(url)
        except urls.BadUrl as error:
            self._add(path, error.what, error.remedy)
            return url

    def _file(self, path: Path, name: str) -> str:
        if not name.isprintable() or name != name.strip():
            self._add(path, f"unprintable characters, or spaces around, in `{path[-1]}`", "remove them")
        return os.path.normpath(self.folder / name)

    def _days(self, path: Path, text: str) -> int | None:
        return read_days(text, self.credentials.root.find(path), self.credentials.out)

    def _kept_days(self, shape: RetentionShape) -> Mapping[str, int | None]:
        path: Path = (*_ROOT, "retention", "targets")
        for name in shape.targets or ():
            if name not in self.targets:
                meant = nearest(name, self.targets)
                remedy = (
                    f"did you mean `{meant}`?" if meant else "name one under `targets:`; others are kept as `bodies` is"
                )
                self._add_at_key((*path, name), f"there is no target `{name}`", remedy)
        return MappingProxyType({name: self._days((*path, name), text) for name, text in (shape.targets or {}).items()})

    def _witnesses(self, shape: WitnessesShape) -> tuple[Witness, ...]:
        path: Path = (*_ROOT, "witnesses")
        if shape.need > len(shape.of):
            what = f"{shape.need} witnesses are needed where there are {len(shape.of)}"
            self._add((*path, "need"), what, "no checkpoint would ever be shown: need fewer, or name more under `of`")
        names, keys = set[str](), set[bytes]()
        for index, each in enumerate(shape.of):
            place: Path = (*path, "of", index)
            if not re.fullmatch(WITNESS_NAME, each.name) or each.name == _RESERVED_WITNESS:
                self._add(
                    (*place, "name"), f"`{each.name}` is no usable name of a witness", f"{_NAMES}, and not `none`"
                )
            if each.name in names:
                self._add((*place, "name"), f"the witness `{each.name}` stands twice", "give each a name of its own")
            names.add(each.name)
            self._url((*place, "url"), each.url)
            key = _public_key(each.key)
            if key is None:
                remedy = "copy what the witness prints as its key, such as witness.example.com+0123abcd+BASE64"
                self._add((*place, "key"), "this is no verifier key of a witness (Ed25519, cosignature)", remedy)
            elif key in keys:
                what = "this key stands twice: who holds it would count for two"
                self._add((*place, "key"), what, "name each witness once")
            keys.add(key or b"")
        return tuple(
            Witness(each.name, each.url, each.key, self._ca(each, (*path, "of", index)))
            for index, each in enumerate(shape.of)
        )

    def _ca(self, shape: WitnessShape, path: Path) -> str:
        if shape.ca is None:
            return ""
        if not shape.url.lower().startswith("https://"):
            what = "`ca` says whose certificate is believed, and this witness has none"
            self._add((*path, "ca"), what, "have the witness serve https://, or leave `ca` out")
        return self._file((*path, "ca"), shape.ca)

    def _exports(self, shapes: Mapping[str, SinkShape]) -> tuple[Sink, ...]:
        sinks, files = [], dict[str, str]()
        for name, shape in shapes.items():
            path: Path = (*_ROOT, "exports", name)
            if not re.fullmatch(SINK_NAME, name):
                self._add_at_key(path, f"`{name}` is no usable name of an export", _NAMES)
            sink = self._sink(name, shape, path)
            if sink is None:
                continue
            if isinstance(sink.how, OcsfSink | CsvSink):
                twin = files.setdefault(sink.how.file, name)
                if twin != name:
                    self._add(path, f"`{name}` writes into the file of `{twin}`", "give each a file of its own")
            sinks.append(sink)
        return tuple(sinks)

    def _sink(self, name: str, shape: SinkShape, path: Path) -> Sink | None:
        match (shape.ocsf, shape.otlp, shape.cef, shape.csv):
            case (ocsf, None, None, None) if ocsf is not None:
                return Sink(name, self._ocsf(ocsf, (*path, "ocsf")))
            case (None, otlp, None, None) if otlp is not None:
                return Sink(name, self._otlp(otlp, (*path, "otlp")))
            case (None, None, cef, None) if cef is not None:
                return Sink(name, self._cef(cef, (*path, "cef")))
            case (None, None, None, csv) if csv is not None:
                return Sink(name, CsvSink(self._file((*path, "csv", "file"), csv.file)))
            case _:
                what = f"the export `{name}` has not exactly one way to leave"
                self._add_at_key(path, what, "give it one of `ocsf`, `otlp`, `cef` and `csv`")
                return None

    def _ocsf(self, shape: OcsfShape, path: Path) -> OcsfSink:
        return OcsfSink(self._file((*path, "file"), shape.file), shape.bodies)

    def _otlp(self, shape: OtlpShape, path: Path) -> OtlpSink:
        token = None
        if shape.token is not None:
            token = self.credentials.read((*path, "token"), shape.token, secrets.header_safe, SecretUse.EXPORTS)
        file = str(self.folder / shape.token.file) if shape.token is not None and shape.token.file else ""
        return OtlpSink(self._url((*path, "endpoint"), shape.endpoint), token, shape.bodies, file)

    def _cef(self, shape: CefShape, path: Path) -> CefSink:
        if (shape.certificate is None) != (shape.key is None):
            self._add_at_key(path, "one of `certificate` and `key` stands alone", "give both, or neither")
        found = _ADDRESS.fullmatch(shape.address)
        host, port = (found[1] or found[2], int(found[3])) if found else ("", 0)
        if not urls.is_host(host) or not 0 < port < 65_536:
            self._add((*path, "address"), "this is no host and port", "write such as siem.example.com:6514")
        files = {
            key: self._file((*path, key), name) if name is not None else ""
            for key, name in (("ca", shape.ca), ("certificate", shape.certificate), ("key", shape.key))
        }
        return CefSink(host=host, port=port, **files)


def variables(shape: RecordingShape) -> frozenset[str]:
    """The environment variables that the section names for credentials of exports."""
    tokens = (sink.otlp.token for sink in shape.exports.values() if sink.otlp is not None)
    return frozenset(token.env for token in tokens if token is not None and token.env)


def _public_key(written: str) -> bytes | None:
    """The public key in the verifier key of a witness; ``None`` if it is none."""
    try:
        key = parse_verifier(written)
    except BadKey:
        return None
    return key.public if key.kind is KeyKind.COSIGNATURE else None
