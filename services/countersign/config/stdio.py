"""What a file says of targets that the gateway runs itself."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType

from countersign.config import secrets
from countersign.config.credentials import Credentials
from countersign.config.document import Path
from countersign.config.durations import Bounds
from countersign.config.shape_base import SecretSource, Url
from countersign.config.shape_stdio import USER_NAME, VARIABLE_NAME, StdioShape
from countersign.config.types_secret import Secret, SecretUse
from countersign.config.types_stdio import Processes, Stdio, StdioLimits

_MIB = 1024 * 1024
_IDLE = Bounds("1s", "24h")
_FINGERPRINT_CHARACTERS = 16
_GATEWAYS_OWN = "COUNTERSIGN_"


@dataclass(frozen=True, slots=True)
class StdioTargets:
    """Reads them; what is wrong goes to the credentials' ``out``, and then nothing that it returns may be used."""

    credentials: Credentials

    def read(self, path: Path, shape: StdioShape) -> Stdio:
        """Return the server that stands at ``path``."""
        for position, word in enumerate(shape.command):
            if "\0" in word:
                self._add((*path, "command", position), "a NUL cannot be part of a command", "remove it")
        if not shape.command[0].strip():
            self._add((*path, "command", 0), "the command names no program", "write such as mcp-server-git")
        elif "/" in shape.command[0] and not shape.command[0].startswith("/"):
            what = "the program's path depends on the folder that it is started in"
            self._add((*path, "command", 0), what, "write it from / on, or its name alone, which is looked for in PATH")
        if shape.cwd is not None and (not shape.cwd.startswith("/") or "\0" in shape.cwd):
            self._add((*path, "cwd"), "`cwd` is no absolute path", "write it from / on")
        if shape.user is not None and not re.fullmatch(USER_NAME, shape.user):
            self._add((*path, "user"), "this is no name of a user", "write such as mcp-git")
        if shape.processes not in tuple(Processes):
            remedy = "write `session` (each session its own) or `shared` (one for all callers)"
            self._add((*path, "processes"), f"`{shape.processes}` is no way to have processes", remedy)
        if shape.sessions_per_caller > shape.sessions:
            what = "one caller may have more sessions open than all together"
            self._add((*path, "sessions_per_caller"), what, "write at most `sessions`")
        limits = shape.limits
        return Stdio(
            command=tuple(shape.command),
            env=MappingProxyType({name: self._value(path, name, source) for name, source in (shape.env or {}).items()}),
            cwd=shape.cwd or "",
            user=shape.user or "",
            processes=Processes.SHARED if shape.processes == Processes.SHARED else Processes.SESSION,
            idle_s=_IDLE.read(shape.idle, self.credentials.root.find((*path, "idle")), self.credentials.out),
            sessions=shape.sessions,
            sessions_per_caller=min(shape.sessions_per_caller, shape.sessions),
            limits=StdioLimits(limits.memory_mib * _MIB, limits.tasks, limits.open_files, limits.cpu_s),
            fingerprint=_fingerprint(shape),
        )

    def _value(self, path: Path, name: str, source: SecretSource | str) -> str | Secret:
        where: Path = (*path, "env", name)
        place = self.credentials.root.key_place(where)
        if not re.fullmatch(VARIABLE_NAME, name):
            self.credentials.out.add(place, "this is no name of an environment variable", "write such as API_KEY")
        elif name.upper().startswith(_GATEWAYS_OWN):
            what = f"`{_GATEWAYS_OWN}...` are the gateway's own variables, which no target gets"
            self.credentials.out.add(place, what, "use another name")
        if isinstance(source, str):
            if "\0" in source:
                self._add(where, "a NUL cannot be part of a variable", "remove it")
            return source
        return self.credentials.read(where, source, secrets.plain, SecretUse.BRIDGE) or Secret.unread()

    def _add(self, path: Path, what: str, remedy: str) -> None:
        self.credentials.out.add(self.credentials.root.find(path).place, what, remedy)


def variables(endpoints: Iterable[StdioShape | Url]) -> frozenset[str]:
    """Return the environment variables that servers' variables are read from."""
    sources = [source for each in endpoints if isinstance(each, StdioShape) for source in (each.env or {}).values()]
    return frozenset(source.env for source in sources if isinstance(source, SecretSource) and source.env)


def _fingerprint(shape: StdioShape) -> str:
    # Where secrets are read from, never what they are.
    text = json.dumps(shape.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_FINGERPRINT_CHARACTERS]
