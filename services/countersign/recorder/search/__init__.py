"""Searching the record: an index of blocks of events, and what auditors find by it."""

from countersign.recorder.search.part import SearchRoom

__all__ = ["SearchRoom"]
