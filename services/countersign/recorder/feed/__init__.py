"""Hands published events on to sinks, and remembers how far each has taken them."""

from countersign.recorder.feed.part import FeedRoom

__all__ = ["FeedRoom"]
