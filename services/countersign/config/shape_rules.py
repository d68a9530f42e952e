"""The shape of `rules:` and `rate_limits:`."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema

from countersign.config.shape_approvals import AlertNames, ApproversShape
from countersign.config.shape_base import Duration, Globs, MaskNames, Name, Reuse, Shape, Text
from countersign.model.principal import PrincipalKind
from countersign.model.rule import Effect, Window

CONDITION_LIMIT = 4_096
VALUES_LIMIT = 1_000

Kind = Annotated[Text, Field(json_schema_extra={"enum": list(PrincipalKind)})]
Kinds = Annotated[
    list[Kind],
    BeforeValidator(
        lambda kinds: [kinds] if isinstance(kinds, str) else kinds, json_schema_input_type=Kind | list[Kind]
    ),
    Field(min_length=1, max_length=len(PrincipalKind)),
]


_SCALAR: dict[str, object] = {"type": ["string", "number", "boolean"]}
_SCALARS: dict[str, object] = {"type": "array", "items": _SCALAR, "minItems": 1, "maxItems": VALUES_LIMIT}
_BOUND: dict[str, object] = {"type": "number"}
_CONSTRAINT: dict[str, object] = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": False,
    "properties": {
        "min": _BOUND | {"description": "the least number that it may be"},
        "max": _BOUND | {"description": "the greatest number that it may be"},
        "in": _SCALARS | {"description": "the values that it may be"},
        "not_in": _SCALARS | {"description": "the values that it may not be"},
        "glob": {"type": "string", "minLength": 1, "description": "what the whole of its text must fit (* and ?)"},
        "max_length": {"type": "integer", "minimum": 0, "description": "how many characters or elements it may have"},
        "present": {"type": "boolean", "description": "whether it must be there, or must not"},
    },
}
# Read by ``arguments``, which can say more of a wrong one than a choice between shapes could.
Arguments = Annotated[
    dict[str, object],
    Field(min_length=1, max_length=100),
    WithJsonSchema(
        {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 100,
            "additionalProperties": {"anyOf": [_SCALAR, _SCALARS, _CONSTRAINT]},
        }
    ),
]


class PeopleShape(Shape):
    """Whom and where: every key given must match. Entries are globs (* and ?)."""

    groups: Globs | None = Field(default=None, description='groups of the principal; ["*"] is everyone verified')
    principals: Globs | None = Field(default=None, description="subjects of principals, as their tokens name them")
    kind: Kinds | None = Field(default=None, description=f"one or several of {', '.join(PrincipalKind)}")
    actors: Globs | None = Field(
        default=None, description='who acts for the principal, as the token names them; ["*"] is anybody who does'
    )
    targets: Globs | None = Field(default=None, description="names under `targets:`")


class SelectorShape(PeopleShape):
    """Which calls a rule is about: every key given must match. Entries are globs (* and ?)."""

    methods: Globs | None = Field(default=None, description="MCP methods, such as tools/call")
    tools: Globs | None = Field(default=None, description="names of tools")
    prompts: Globs | None = Field(default=None, description="names of prompts")
    resources: Globs | None = Field(default=None, description="URIs of resources")


class RuleShape(Shape):
    """One rule. Deny beats approve beats allow beats break_glass; what nothing matches is denied."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [effect]} for effect in Effect]})

    name: Name = Field(description="a name of its own, for the record")
    allow: SelectorShape | None = Field(default=None, description="the calls that are allowed")
    approve: SelectorShape | None = Field(default=None, description="the calls that need somebody's approval")
    break_glass: SelectorShape | None = Field(
        default=None, description="the calls to which a caller may agree alone, with a reason, and loudly"
    )
    deny: SelectorShape | None = Field(default=None, description="the calls that are denied")
    args: Arguments | None = Field(
        default=None,
        description="what arguments must be, by their paths, such as {limit: {max: 100}, region: [eu, us]}",
    )
    when: Annotated[str, Field(min_length=1, max_length=CONDITION_LIMIT)] | None = Field(
        default=None, description="a condition in CEL that must hold, such as usage.rows_1h < 10000"
    )
    by: ApproversShape | None = Field(
        default=None, description="who must agree to what `approve` selects, such as {groups: [data-owners], count: 2}"
    )
    alert: AlertNames | None = Field(
        default=None, description="channels under `approvals:` that are told when somebody breaks the glass"
    )
    within: Duration | None = Field(
        default=None, description="for `break_glass`: how long it may take until the call runs, such as 15m"
    )
    reuse: Reuse | None = Field(
        default=None, description="for `break_glass`: how long the same call may be repeated, such as 30m, or `once`"
    )
    reason_required: bool = Field(
        default=True,
        description="for `break_glass`: nobody breaks the glass without a reason",
        json_schema_extra={"const": True},
    )
    mask: MaskNames | None = Field(
        default=None, description="names under `masks:`, applied to what the allowed calls answer"
    )
    unmask_for: Globs | None = Field(
        default=None, description="tools (globs) that get the real values behind the tokens of a mask that tokenizes"
    )
    message: Text | None = Field(default=None, description="what a caller reads whom the rule denies")
    mode: Text = Field(
        default="enforce",
        description="`enforce`, or `shadow`: what it would change is recorded, and never done",
        json_schema_extra={"enum": ["enforce", "shadow"]},
    )


class RateLimitShape(PeopleShape):
    """How many calls each principal that is selected may make, at each target that is selected."""

    name: Name = Field(description="a name of its own, which no rule has, for the record")
    calls: int = Field(ge=1, le=10_000_000, description="how many calls, such as 60")
    per: Text = Field(
        description=f"in any stretch of time of this length: {', '.join(Window)}",
        json_schema_extra={"enum": list(Window)},
    )
