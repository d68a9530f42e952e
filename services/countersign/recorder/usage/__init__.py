"""Counts what principals used of targets, from the record, and tells authz."""

from countersign.recorder.usage.part import UsageRoom

__all__ = ["UsageRoom"]
