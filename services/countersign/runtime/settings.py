"""The only place that reads environment variables.

Every service can be run alone with these; ``countersign up`` sets them for its children.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PREFIX = "COUNTERSIGN_"


class SettingsError(ValueError):
    """A variable is missing or wrong; the message names it and says what to set."""


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What the recorder is told of its log: the text of its signing keys, and the file that remembers what was signed.

    ``keys_from`` is where the keys come from, for people.
    """

    keys: str
    keys_from: str
    state: Path

    def __repr__(self) -> str:
        return f"LogSettings(keys_from={self.keys_from}, state={self.state})"


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """What a service is told from outside.

    ``listen``, ``recorder`` and ``approver`` are gRPC addresses: ``HOST:PORT`` or ``unix:/path``; ``listen_http`` is
    where approver, portal, hub and bridge serve HTTP. ``approver`` is empty where nobody can be asked. ``inner`` is
    where Envoy listens to the hub, which alone has one. ``sealing_key`` is the deployment's key, shared by all
    services. ``parent`` is the process to end with, if any. ``log`` is the recorder's.
    """

    config: Path
    listen: str
    listen_http: str
    recorder: str
    approver: str
    sealing_key: bytes
    postgres_dsn: str | None
    cache_dir: Path | None
    log_level: str
    drain_s: float
    parent: int | None
    environment: Mapping[str, str]
    log: LogSettings | None = None
    inner: str = ""

    def __repr__(self) -> str:
        return f"ServiceSettings(config={self.config}, listen={self.listen}, recorder={self.recorder})"


@dataclass(frozen=True, slots=True)
class WitnessSettings:
    """What a witness is told from outside: three paths, and ``listen``, ``HOST:PORT`` or ``unix:/path``.

    ``tls`` are the files of a certificate and of its key; without them it speaks plain HTTP.
    """

    key_file: Path
    logs_file: Path
    state: Path
    listen: str
    log_level: str
    tls: tuple[Path, Path] | None = None


def environment() -> Mapping[str, str]:
    """Return the process's environment, for ``{env: NAME}`` in gateway.yaml."""
    return os.environ


def replace_environment(env: Mapping[str, str]) -> None:
    """Have this process, which was forked, find ``env`` where others find what they were started with."""
    os.environ.clear()
    os.environ.update(env)
    choose_grpc_engine()


def choose_grpc_engine() -> None:
    """Keep gRPC's older I/O engine, unless somebody chose: call it before grpc is imported.

    Its newer one hands each event through threads of its own: 5 to 15 % more CPU time for our small messages.
    """
    os.environ.setdefault(
        "GRPC_EXPERIMENTS", "-event_engine_client,-event_engine_listener,-event_engine_for_all_other_endpoints"
    )


def load_settings(service: str, env: Mapping[str, str] | None = None) -> ServiceSettings:
    """Read the settings of ``service``, one that ``countersign serve`` runs. Raises ``SettingsError``."""
    env = environment() if env is None else env
    asks_recorder, is_hub = service != "recorder", service == "hub"
    parent = env.get(PREFIX + "PARENT", "")
    return ServiceSettings(
        config=Path(_required(env, "CONFIG", "the path of gateway.yaml")),
        listen=env.get(PREFIX + "LISTEN", "127.0.0.1:9000"),
        listen_http=env.get(PREFIX + "LISTEN_HTTP", "127.0.0.1:9001"),
        recorder=_required(env, "RECORDER", "the recorder's gRPC address, HOST:PORT") if asks_recorder else "",
        approver=env.get(PREFIX + "APPROVER", ""),
        sealing_key=load_sealing_key(env),
        postgres_dsn=env.get(PREFIX + "POSTGRES_DSN") or None,
        cache_dir=cache_directory(env),
        log_level=env.get(PREFIX + "LOG_LEVEL", "INFO").upper(),
        drain_s=_seconds(env, "DRAIN_S", 5.0),
        parent=int(parent) if parent.isdigit() else None,
        environment=env,
        log=load_log_settings(env) if service == "recorder" else None,
        inner=_required(env, "INNER", "where Envoy listens to the hub, HOST:PORT or unix:/path") if is_hub else "",
    )


def load_log_settings(env: Mapping[str, str]) -> LogSettings:
    """Read the settings of the recorder's log, or raise ``SettingsError``, which does not show a key."""
    name, file = PREFIX + "LOG_KEYS", env.get(PREFIX + "LOG_KEYS_FILE", "")
    keys = _private_text(Path(file), f"{name}_FILE") if file else env.get(name, "")
    if not keys.strip():
        raise SettingsError(
            f"no key signs the log: make one with `countersign log new-key NAME --out FILE` (NAME such as "
            f"gateway.example.com), and set {name}_FILE to the file, the same for all recorders"
        )
    state = _required(
        env, "LOG_STATE", "a file, outside of the database, in which the recorder remembers what it signed"
    )
    return LogSettings(keys, f"{name}_FILE ({file})" if file else name, Path(state))


def _private_text(path: Path, variable: str) -> str:
    try:
        if path.stat().st_mode & 0o007:
            raise SettingsError(f"{variable}: {path} is open to all users of this machine: chmod o-rwx {path}")
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{variable}: {path} cannot be read: {type(error).__name__}") from None


def load_witness_settings(
    env: Mapping[str, str] | None = None, *, tls_certificate: str | None = None, tls_key: str | None = None
) -> WitnessSettings:
    """Read the settings of a witness, which needs none of a gateway's. Raises ``SettingsError``.

    What is given besides goes before its variable.
    """
    env = environment() if env is None else env
    certificate = env.get(PREFIX + "TLS_CERTIFICATE", "") if tls_certificate is None else tls_certificate
    key = env.get(PREFIX + "TLS_KEY", "") if tls_key is None else tls_key
    if bool(certificate) != bool(key):
        there, missing = ("certificate", "key") if certificate else ("key", "certificate")
        raise SettingsError(
            f"a TLS {there} without its {missing}: give --tls-{missing} or {PREFIX}TLS_{missing.upper()}, too, "
            "or neither for plain HTTP"
        )
    return WitnessSettings(
        key_file=Path(_required(env, "WITNESS_KEY_FILE", "the path of its key (`countersign log new-key --witness`)")),
        logs_file=Path(
            _required(env, "WITNESS_LOGS_FILE", "the path of a file with a log's verifier key on each line")
        ),
        state=Path(_required(env, "WITNESS_STATE", "a folder of its own, which must outlive it")),
        listen=env.get(PREFIX + "LISTEN_HTTP", "127.0.0.1:9001"),
        log_level=env.get(PREFIX + "LOG_LEVEL", "INFO").upper(),
        tls=(Path(certificate), Path(key)) if certificate else None,
    )


def _required(env: Mapping[str, str], name: str, what: str) -> str:
    value = env.get(PREFIX + name, "")
    if not value:
        raise SettingsError(f"{PREFIX}{name} is not set: set it to {what}")
    return value


def load_sealing_key(env: Mapping[str, str]) -> bytes:
    """Read the deployment's sealing key, or raise ``SettingsError``, which does not show it."""
    file = env.get(PREFIX + "KEY_FILE", "")
    try:
        text = Path(file).read_text("ascii") if file else env.get(PREFIX + "KEY", "")
        key = base64.b64decode(text.strip(), validate=True)
    except (OSError, UnicodeDecodeError, binascii.Error) as error:
        raise SettingsError(f"the sealing key cannot be read: {type(error).__name__}") from None
    if len(key) < 32:
        raise SettingsError(
            f"the sealing key is missing or short: set {PREFIX}KEY_FILE to a file with 32 random bytes in base64, "
            "the same for all services (openssl rand -base64 32)"
        )
    return key


def _seconds(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(PREFIX + name, "")
    try:
        return float(text) if text else default
    except ValueError:
        raise SettingsError(f"{PREFIX}{name} is {text!r}: set it to a number of seconds") from None


def cache_directory(env: Mapping[str, str]) -> Path | None:
    """Where what is slow to compile is kept; see :func:`countersign.runtime.cache.private_cache`."""
    if env.get(PREFIX + "CACHE"):
        return Path(env[PREFIX + "CACHE"])
    if env.get("XDG_CACHE_HOME"):
        return Path(env["XDG_CACHE_HOME"]) / "countersign"
    return Path(env["HOME"]) / ".cache" / "countersign" if env.get("HOME") else None


def state_directory(env: Mapping[str, str] | None = None) -> Path | None:
    """Where the commands keep what a person must have again: sign-ins (XDG Base Directory, `XDG_STATE_HOME`)."""
    env = environment() if env is None else env
    if env.get("XDG_STATE_HOME", "").startswith("/"):
        return Path(env["XDG_STATE_HOME"]) / "countersign"
    return Path(env["HOME"]) / ".local" / "state" / "countersign" if env.get("HOME") else None


def can_browse(platform: str, env: Mapping[str, str] | None = None) -> bool:
    """Whether a browser may open here; ``platform`` is ``sys.platform``."""
    env = environment() if env is None else env
    if platform != "linux":
        return not env.get("SSH_CONNECTION")
    return any(env.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
