"""What the words beside a value say of it: that it is what a detector looks for, or that it is something else."""

from __future__ import annotations

from collections.abc import Iterator

import re2

_BEFORE_BYTES = 72
_AFTER_BYTES = 32
_NAMING_BYTES = 48
# From a word to the far end of a value that it announces, and what stands beside that.
_ROOM_BYTES = 320
_SHORT_WORD = 4
_BLANKS = b" \t\r\n"

_OTHERS = (
    *("order", "invoice", "receipt", "tracking", "track", "shipment", "parcel", "waybill", "delivery", "booking"),
    *("isbn", "issn", "doi", "sku", "ean", "upc", "gtin", "asin", "barcode", "part", "product", "item", "article"),
    *("model", "serial", "batch", "lot", "stock", "catalogue", "catalog", "version", "ver", "release", "build"),
    *("revision", "commit", "ticket", "case", "issue", "bug", "ref", "reference", "transaction", "txn", "payment"),
    *(
        "created",
        "updated",
        "modified",
        "deleted",
        "expires",
        "expiry",
        "expiration",
        "started",
        "finished",
        "date",
        "ts",
    ),
    *("timestamp", "epoch", "unix", "time", "port", "offset", "size", "bytes", "length", "count", "total", "amount"),
    *("price", "sum", "balance", "quantity", "qty", "latitude", "longitude", "hash", "checksum", "digest", "sha1"),
    *("sha256", "md5", "uuid", "guid", "request", "trace", "span", "correlation", "process", "pid", "thread", "row"),
    *("line", "page", "flight", "error", "code", "exit", "duration", "elapsed", "latency", "score", "ratio", "rev"),
    *("document", "file", "image", "photo", "video", "post", "tweet", "message", "event", "job", "run", "task"),
    *("chapter", "section", "figure", "table", "chip", "firmware", "kernel", "driver version", "sample", "iteration"),
)
_OWNERS_OF_IDS = (
    *("user", "customer", "client", "account", "session", "device", "object", "entity", "group", "team", "org"),
    *("project", "parent", "tenant", "node", "channel", "chat", "campaign", "record", "resource", "instance", "asset"),
    *("category", "store", "company", "vendor", "supplier", "merchant", "seller", "sensor", "location", "organization"),
)
# Only what names the value itself: no more than a word such as "number" or "is" may stand between.
_NAMES_SOMETHING_ELSE = re2.compile(
    (
        rf"(?i)(?:(?:^|[^a-z])(?:{'|'.join(_OTHERS)})s?"
        r"(?:[ _.#-]?(?:id|ids|no|nr|num|number|value|is|was|of|at|on|in|ms|ns))*|"
        rf"""(?:{"|".join(_OWNERS_OF_IDS)})s?[ _-]?(?:ids?|no|number)|(?:^|["'`{{(\[,;|])_?ids?)"""
        rf"""[\s"'`.:=(\[\\>#/|-]{{0,8}}$"""
    ).encode()
)


class Words:
    """Words that announce a value: whole ones when short, in names (``taxId``, ``tax_id``) and prose alike."""

    def __init__(self, words: tuple[str, ...]) -> None:
        """Take words in lower case (only ASCII's letters are folded); a blank stands for any separator, or none."""
        patterns = tuple(_pattern(word) for word in words)
        self.gate = patterns
        """What one of the words needs (see :class:`countersign.masking.detectors.base.Detector`)."""
        self._pattern = re2.compile("|".join(patterns).encode())

    def near(self, data: bytes, start: int, end: int) -> bool:
        """Whether one of the words stands on the same line, shortly before the value or right after it."""
        before = data[max(start - _BEFORE_BYTES, 0) : start].rstrip(_BLANKS)
        line = before[before.rfind(b"\n") + 1 :]
        if line and self._pattern.search(line) is not None:
            return True
        after = data[end : end + _AFTER_BYTES]
        after = after[: after.find(b"\n")] if b"\n" in after else after
        return bool(after) and self._pattern.search(after) is not None

    def stretches(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Yield, in order and apart, where all values stand that one of the words is near, with room around them."""
        first = last = 0
        for match in self._pattern.finditer(data):
            start, end = match.span()
            if start - _ROOM_BYTES > last:
                if last:
                    yield first, last
                first = start - _ROOM_BYTES
            last = end + _ROOM_BYTES
        if last:
            yield first, min(last, len(data))


def names_something_else(data: bytes, start: int) -> bool:
    """Whether the words right before a value name it, as something that is nobody's (an order, a version, a size)."""
    before = data[max(start - _NAMING_BYTES, 0) : start]
    line = before[before.rstrip(_BLANKS).rfind(b"\n") + 1 :]
    return _NAMES_SOMETHING_ELSE.search(line) is not None


def _pattern(word: str) -> str:
    if not word.isascii():
        return word
    if len(word) > _SHORT_WORD:
        return "(?i:" + word.replace(" ", "[ _.-]{0,2}") + ")"
    edge = r"(?:\b|_)"
    inner = rf"[a-z](?:{word.capitalize()}|{word.upper()})(?:\b|[_0-9A-Z])"
    return rf"(?:{edge}(?i:{word}){edge}|{inner}|{edge}{word}[A-Z])"
