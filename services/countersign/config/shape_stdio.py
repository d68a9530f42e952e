"""The shape of a target that the gateway runs itself: `mcp: {command: [...]}`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Discriminator, Field, Tag

from countersign.config.shape_base import TEXT_LIMIT, Duration, SecretSource, Shape, Text, Url
from countersign.config.types_stdio import Processes, Stdio, StdioLimits

USER_NAME = "[a-z_][a-z0-9_.-]{0,31}"
VARIABLE_NAME = "[A-Za-z_][A-Za-z0-9_]*"

# No key of a YAML file can hold them; see `wording`.
_TEXT, _MAPPING = "\0text", "\0mapping"
TAGS = frozenset({_TEXT, _MAPPING})
"""What pydantic puts into the path of a value that may be text or a mapping."""

_MIB = 1024 * 1024
_DEFAULT = Stdio(())
_LIMITS = StdioLimits()


def _tag(value: object) -> str:
    return _MAPPING if isinstance(value, dict | Shape) else _TEXT


class StdioLimitsShape(Shape):
    """What a server and all that it starts may use."""

    memory_mib: int = Field(
        default=_LIMITS.memory_bytes // _MIB, ge=16, le=1_048_576, description="resident memory, all processes together"
    )
    tasks: int = Field(default=_LIMITS.tasks, ge=1, le=10_000, description="processes, the first among them")
    open_files: int = Field(default=_LIMITS.open_files, ge=16, le=1_048_576, description="open files of each process")
    cpu_s: int | None = Field(
        default=None, ge=1, le=31_536_000, description="seconds of CPU time of each process; no bound without it"
    )


# What of an environment is no secret is written down; what is, is named.
EnvironmentValue = Annotated[
    Annotated[SecretSource, Tag(_MAPPING)] | Annotated[str, Field(max_length=TEXT_LIMIT), Tag(_TEXT)],
    Discriminator(_tag),
]


class StdioShape(Shape):
    """A server that the gateway runs, and that speaks MCP on its standard input and output."""

    command: Annotated[list[Text], Field(min_length=1, max_length=1_000)] = Field(
        description="the program and its arguments, run without a shell, such as [mcp-server-git, --repository, /repo]"
    )
    env: Annotated[dict[str, EnvironmentValue], Field(min_length=1, max_length=100)] | None = Field(
        default=None,
        description="variables for it: text, or {env: NAME} or {file: path} where it is a secret",
        json_schema_extra={"propertyNames": {"pattern": f"^{VARIABLE_NAME}$"}},
    )
    cwd: Text | None = Field(
        default=None, description="the folder that it starts in; without it, an empty one of its own"
    )
    user: Text | None = Field(
        default=None,
        description="the user that it runs as, if the bridge may change users; without it, the bridge's own",
    )
    processes: Text = Field(
        default=Processes.SESSION.value,
        description="a process for each `session`, or one that is `shared` by all callers",
        json_schema_extra={"enum": list(Processes)},
    )
    idle: Duration = Field(default="15m", description="how long a session may be unused, such as 15m; from 1s to 24h")
    sessions: int = Field(default=_DEFAULT.sessions, ge=1, le=10_000, description="sessions that may be open at once")
    sessions_per_caller: int = Field(
        default=_DEFAULT.sessions_per_caller, ge=1, le=10_000, description="sessions that one caller may have open"
    )
    limits: StdioLimitsShape = Field(
        default_factory=StdioLimitsShape, description="what a server and all that it starts may use"
    )


Endpoint = Annotated[Annotated[StdioShape, Tag(_MAPPING)] | Annotated[Url, Tag(_TEXT)], Discriminator(_tag)]
