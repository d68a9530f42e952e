"""What access reviews are made of: use summed up, and what reviewers say of it."""

from countersign.recorder.review.part import ReviewRoom

__all__ = ["ReviewRoom"]
