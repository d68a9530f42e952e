"""The recorder: makes events durable before anything happens that they record, and shows them to auditors."""

from countersign.recorder.part import RecorderPart

__all__ = ["RecorderPart"]
