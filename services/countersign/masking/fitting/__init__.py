"""Keeps what a tool answers in structure as its output schema declares it, with other values in it. Pure."""

from countersign.masking.fitting.answers import fitted
from countersign.masking.fitting.schema import OutputSchema, Steps

__all__ = ["OutputSchema", "Steps", "fitted"]
