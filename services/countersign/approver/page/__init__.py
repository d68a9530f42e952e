"""The web page on which people see one approval and decide about it, signed in with their issuer."""

from countersign.approver.page.links import LinkRefused, Links
from countersign.approver.page.serving import PageRoom

__all__ = ["LinkRefused", "Links", "PageRoom"]
