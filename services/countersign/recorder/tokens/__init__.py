"""Keeps the sealed values behind the tokens that callers were shown, until they expire."""

from countersign.recorder.tokens.part import TokenRoom

__all__ = ["TokenRoom"]
