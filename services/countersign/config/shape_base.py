"""What the shapes of gateway.yaml are made of: texts and lists with bounds, and where credentials are read from."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

TEXT_LIMIT = 1_000
GLOB_LIMIT = 256

Text = Annotated[str, Field(min_length=1, max_length=TEXT_LIMIT)]
Url = Annotated[str, Field(min_length=1, max_length=2_048)]
Glob = Annotated[str, Field(min_length=1, max_length=GLOB_LIMIT)]
Name = Annotated[str, Field(min_length=1, max_length=100)]
_DURATION = r"[0-9]{1,6}(\.[0-9]{1,3})?[smhd]"
Duration = Annotated[str, Field(min_length=1, max_length=20, json_schema_extra={"pattern": f"^{_DURATION}$"})]
Reuse = Annotated[str, Field(min_length=1, max_length=20, json_schema_extra={"pattern": f"^(once|{_DURATION})$"})]
Kept = Annotated[str, Field(min_length=1, max_length=20, json_schema_extra={"pattern": "^(forever|[0-9]{1,6}d)$"})]
Globs = Annotated[list[Glob], Field(min_length=1, max_length=1_000)]
MaskNames = Annotated[list[Text], Field(min_length=1, max_length=100)]
Groups = Annotated[list[Text], Field(min_length=1, max_length=1_000)]


class Shape(BaseModel):
    """Nothing is converted, and no key is let through that has no meaning."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, hide_input_in_errors=True)


class SecretSource(Shape):
    """Where a credential is read from: exactly one of the two."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    env: Text | None = Field(default=None, description="the name of an environment variable")
    file: Text | None = Field(default=None, description="a file, relative to the folder of gateway.yaml")
