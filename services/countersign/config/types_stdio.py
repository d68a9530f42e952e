"""A target that the gateway runs itself, as the services use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from countersign.config.types_secret import Secret

_MIB = 1024 * 1024

ADDRESS = "http://bridge"
"""Stands in place of the host of a target that has none: Envoy reaches it at the bridge."""


class Processes(StrEnum):
    """Who has a server's process."""

    SESSION = "session"
    """Each session its own."""
    SHARED = "shared"
    """All callers one, for each era: what the server remembers of one, it may tell another."""


@dataclass(frozen=True, slots=True)
class StdioLimits:
    """What a server's process may use, together with all that it starts itself.

    ``memory_bytes`` are resident bytes, ``tasks`` processes. ``cpu_s`` is CPU time of each process; ``None`` is no
    bound.
    """

    memory_bytes: int = 1024 * _MIB
    tasks: int = 64
    open_files: int = 1024
    cpu_s: int | None = None


@dataclass(frozen=True, slots=True)
class Stdio:
    """A server that speaks MCP on its standard input and output.

    ``command`` is run without a shell, as ``user``, empty for the bridge's own. ``env`` is added to what little it is
    given; ``cwd`` is an absolute path, empty for a folder of its own. Unused for ``idle_s`` seconds, it is ended.
    ``sessions`` may be open at once, of which ``sessions_per_caller`` one principal's. ``fingerprint`` tells this
    statement from every other.
    """

    command: tuple[str, ...]
    env: Mapping[str, str | Secret] = field(default_factory=dict)
    cwd: str = ""
    user: str = ""
    processes: Processes = Processes.SESSION
    idle_s: float = 900.0
    sessions: int = 64
    sessions_per_caller: int = 8
    limits: StdioLimits = field(default_factory=StdioLimits)
    fingerprint: str = ""

    def path(self, target: str) -> str:
        """Return where the bridge serves the target of this name, as long as this is what is stated of it."""
        return f"/{target}/{self.fingerprint}"
