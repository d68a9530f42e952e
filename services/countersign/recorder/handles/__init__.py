"""Keeps what targets handed to callers to come back with, as hashes, until it is taken or expires."""

from countersign.recorder.handles.part import HandleRoom

__all__ = ["HandleRoom"]
