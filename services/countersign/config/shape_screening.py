"""The shape of `screening:`, of the gateway and of a target."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from countersign.config.shape_base import Shape, Text
from countersign.config.types import KIB, MIB
from countersign.screening import Act, Oversized, Screening

_DEFAULT = Screening()


class ScreeningShape(Shape):
    """What is done with what a person does not see in answers, and with answers that are too long to read."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    hidden: Text | None = Field(
        default=None,
        description="characters that are not drawn, or reorder text: `ignore`, `flag`, `strip` or `refuse`; "
        f"by itself {_DEFAULT.hidden}",
        json_schema_extra={"enum": list(Act)},
    )
    tags: Text | None = Field(
        default=None,
        description=f"texts spelled in tag characters or variation selectors: likewise; by itself {_DEFAULT.tags}",
        json_schema_extra={"enum": list(Act)},
    )
    ansi: Text | None = Field(
        default=None,
        description=f"escapes that terminals obey: likewise; by itself {_DEFAULT.ansi}",
        json_schema_extra={"enum": list(Act)},
    )
    text_bytes: int | None = Field(
        default=None, ge=KIB, le=64 * MIB, description="how large a result may be, without its pictures and sound"
    )
    oversized: Text | None = Field(
        default=None,
        description=f"a result that is larger: `cut` its texts, or `refuse` it; by itself {_DEFAULT.oversized}",
        json_schema_extra={"enum": list(Oversized)},
    )
