"""The shape of a file of test cases: keys, types, bounds. What is said of a key here is what its authors read."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from countersign.config.shape_base import Shape, Text

Count = Annotated[int, Field(ge=0, le=2**53 - 1)]
Name = Annotated[str, Field(min_length=1, max_length=4_096)]


class PrincipalShape(Shape):
    """Who calls."""

    subject: Text = Field(description="the principal's subject, such as alice")
    groups: Annotated[list[Text], Field(max_length=1_000)] = Field(default_factory=list, description="its groups")
    kind: Text = Field(default="person", description="person, agent or machine")
    issuer: Text | None = Field(default=None, description="one under `identity:`; the first, unless given")
    actors: Annotated[list[Text], Field(max_length=4)] = Field(
        default_factory=list, description="who acts for it, the one that acts now first; for an agent only"
    )
    token_subject: Text | None = Field(default=None, description="what the token calls it, where that is another name")


class CallShape(Shape):
    """What is called: at most one of `tool`, `prompt` and `resource`, or a `method` that names nothing."""

    target: Text = Field(description="a name under `targets:`")
    tool: Name | None = Field(default=None, description="the name of a tool")
    prompt: Name | None = Field(default=None, description="the name of a prompt")
    resource: Name | None = Field(default=None, description="the URI of a resource")
    method: Text | None = Field(default=None, description="the MCP method; that of what is named, unless given")
    args: dict[str, object] | None = Field(default=None, description="the arguments, such as {limit: 100}")
    args_json: Annotated[str, Field(min_length=1, max_length=65_536)] | None = Field(
        default=None, description="the arguments as the text of a JSON object, for what YAML cannot say"
    )


class UsageShape(Shape):
    """What the principal had of the target before; all 0 unless given."""

    calls_1m: Count = 0
    calls_1h: Count = 0
    calls_24h: Count = 0
    rows_1m: Count = 0
    rows_1h: Count = 0
    rows_24h: Count = 0
    bytes_1m: Count = 0
    bytes_1h: Count = 0
    bytes_24h: Count = 0


class ExpectShape(Shape):
    """What should become of the call; what is left out is not compared."""

    outcome: Text = Field(description="allow, deny or approve")
    rule: Text | None = Field(default=None, description="the one rule that decides")
    rules: Annotated[list[Text], Field(max_length=100)] | None = Field(
        default=None, description="all rules that decide; [] when no rule matches"
    )
    break_glass: Annotated[list[Text], Field(max_length=100)] | None = Field(
        default=None, description="all rules by which the caller may agree alone; [] when there are none"
    )
    masks: Annotated[list[Text], Field(max_length=100)] | None = Field(
        default=None, description="all masks that apply to the answer; [] for none"
    )


class CaseShape(Shape):
    """One call, and what should become of it."""

    name: Annotated[str, Field(min_length=1, max_length=200)] = Field(description="a name of its own, for the report")
    principal: PrincipalShape = Field(description="who calls, such as {subject: alice, groups: [analysts]}")
    call: CallShape = Field(description="what is called, such as {target: orders, tool: query}")
    at: Text | None = Field(default=None, description="when, such as 2026-11-21T10:00:00Z")
    address: Text | None = Field(default=None, alias="from", description="the caller's IP address")
    usage: UsageShape = Field(default_factory=UsageShape, description="what was used before, such as {rows_1h: 5000}")
    expect: ExpectShape = Field(description="what should become of it, such as {outcome: allow}")


class CasesShape(Shape):
    """A file of test cases; a bare list of cases is one, too."""

    config: Text | None = Field(default=None, description="the gateway.yaml to test, relative to this file")
    cases: Annotated[list[CaseShape], Field(min_length=1, max_length=10_000)] = Field(
        description="the cases, such as [{name: ..., principal: ..., call: ..., expect: ...}]"
    )
