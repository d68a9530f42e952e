"""What a target says that its tools are: read, compared, and looked at with suspicion. Pure."""

from countersign.pins.definition import Definition, Unpinnable, canonical, read_definition, read_masked
from countersign.pins.difference import Difference, differences
from countersign.pins.flags import Flag, suspicions

__all__ = [
    "Definition",
    "Difference",
    "Flag",
    "Unpinnable",
    "canonical",
    "differences",
    "read_definition",
    "read_masked",
    "suspicions",
]
