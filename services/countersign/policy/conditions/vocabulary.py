"""The words of conditions: from this one table come CEL's declarations, the hints of refusals, and the docs.

Types are written as CEL writes them. What CEL itself brings (operators, ``size``, ``matches``, its macros, and the
functions of its strings extension) is listed by name only, for hints; its own specification says what it does.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a variable or of a function's result."""

    name: str
    type: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Structure:
    """A type with fields; conditions never write its name, only its fields."""

    name: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """What a condition may read; ``type`` is a CEL type or the name of a structure."""

    name: str
    type: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Function:
    """A function of ours; ``parameters`` are (name, type) pairs, ``result`` is a CEL type or a structure's name."""

    name: str
    parameters: tuple[tuple[str, str], ...]
    result: str
    meaning: str

    @property
    def signature(self) -> str:
        """How it is called: ``sql(text: string, dialect: string)``."""
        return f"{self.name}({', '.join(f'{name}: {type_}' for name, type_ in self.parameters)})"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """All that a condition may name. ``builtins`` are functions and macros of CEL."""

    variables: tuple[Variable, ...]
    structures: tuple[Structure, ...]
    functions: tuple[Function, ...]
    builtins: tuple[str, ...]

    def fields_of(self, type_: str) -> tuple[Field, ...]:
        """The fields of a structure, by its name; none for any other type."""
        return next((structure.fields for structure in self.structures if structure.name == type_), ())


_PRINCIPAL = Structure(
    "Principal",
    (
        Field("subject", "string", "who it is, as the issuer of the token names it"),
        Field("issuer", "string", "the URL of the issuer of the token"),
        Field("groups", "list(string)", "the groups that the token names"),
        Field("kind", "string", 'what it is: "person", "agent" or "machine"'),
        Field("actors", "list(string)", "who acts for it, the one that acts now first; empty when it acts by itself"),
        Field("token_subject", "string", "what the token calls it, where gateway.yaml calls it otherwise; else empty"),
    ),
)
_TARGET = Structure("Target", (Field("name", "string", "the name of the target in gateway.yaml"),))
_CALL = Structure(
    "Call",
    (
        Field("method", "string", "the JSON-RPC method, as tools/call; GET or DELETE for a bare HTTP request"),
        Field("name", "string", "the tool, prompt or resource URI; empty if the method names none"),
        Field("kind", "string", 'what the name names: "tool", "prompt", "resource" or "none"'),
    ),
)
_REQUEST = Structure(
    "Request",
    (
        Field("time", "timestamp", "when the request arrived"),
        Field("source_address", "string", "the IP address that the request came from; empty if unknown"),
    ),
)
_USAGE = Structure(
    "Usage",
    tuple(
        Field(f"{what}_{window}", "int", f"{meaning} in the last {period}")
        for what, meaning in (
            ("calls", "calls of this principal at this target that were allowed"),
            ("rows", "rows of data that this target returned to this principal"),
            ("bytes", "bytes that this target returned to this principal, before masking"),
        )
        for window, period in (("1m", "minute"), ("1h", "hour"), ("24h", "24 hours"))
    ),
)
_STATEMENT = Structure(
    "Statement",
    (
        Field("classes", "list(string)", "what the text does: every class that applies, sorted"),
        Field("reads", "list(string)", "the relations, keys or paths that it reads, sorted"),
        Field("writes", "list(string)", "those that it writes, sorted"),
        Field("relations", "list(string)", "those that it reads or writes, sorted"),
        Field("row_bound", "int", "the greatest number of rows that can leave; -1 if there is no bound"),
        Field("bounded", "bool", "whether there is such a bound"),
        Field("only_reads", "bool", "whether it was understood and does nothing but read"),
        Field("unparsable", "bool", "whether it was not understood in full, so that nothing else can be relied on"),
    ),
)

VOCABULARY = Vocabulary(
    variables=(
        Variable("principal", "Principal", "who calls"),
        Variable("target", "Target", "the system that is called"),
        Variable("call", "Call", "what is called"),
        Variable("args", "map(string, dyn)", "the arguments of the tool or prompt; else the params of the method"),
        Variable("request", "Request", "the HTTP request that brought the call"),
        Variable("usage", "Usage", "what the principal had of the target before this call"),
    ),
    structures=(_PRINCIPAL, _TARGET, _CALL, _REQUEST, _USAGE, _STATEMENT),
    functions=(
        Function("sql", (("text", "string"), ("dialect", "string")), "Statement", "what SQL does"),
        Function("shell", (("text", "string"),), "Statement", "what a shell command does"),
        Function("mongo", (("text", "string"),), "Statement", "what a MongoDB command or pipeline does"),
        Function("redis", (("text", "string"),), "Statement", "what a Redis command does"),
        Function(
            "in_network",
            (("address", "string"), ("cidr", "string")),
            "bool",
            "whether an IP address is in a network; throws when either is none",
        ),
    ),
    builtins=(
        *("all", "exists", "exists_one", "filter", "has", "map"),
        *("bool", "bytes", "double", "duration", "dyn", "int", "string", "timestamp", "type", "uint"),
        *("contains", "endsWith", "matches", "size", "startsWith"),
        *("charAt", "format", "indexOf", "join", "lastIndexOf", "lowerAscii", "quote", "replace", "reverse"),
        *("split", "substring", "trim", "upperAscii"),
        *("getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getFullYear", "getHours", "getMilliseconds"),
        *("getMinutes", "getMonth", "getSeconds"),
    ),
)
"""Everything that conditions may name."""
