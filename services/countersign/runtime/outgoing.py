"""A request as it goes to its target: with the target's own state in place of ours, and masked. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from countersign.jsontext import (
    Document,
    Edit,
    JsonRefused,
    JsonValue,
    Number,
    apply_edits,
    drop_members,
    member_spans,
    parse,
    quote,
    value_span,
)
from countersign.masking import Masked, Masker, NotMaskable
from countersign.masking.tokens import ByForm
from countersign.mcp import PROTOCOL_META, STATE_MEMBERS
from countersign.model.event import Finding

# What callers say freely. Everything else (names, URIs, ids, cursors, states, keys of the protocol) says what is asked
# for, or is a target's own text handed back: with a part of it masked it would be another request.
_FREE: tuple[tuple[str, ...], ...] = (
    ("params", "arguments"),
    ("params", "argument", "value"),
    ("params", "context", "arguments"),
    ("params", "inputResponses"),
    ("result",),
    ("error", "message"),
    ("error", "data"),
)
_STATE = ("params", "requestState")
# More than gateway.yaml can permit.
_DEEPEST = 1_000


class FixedPart(NotMaskable):
    """A finding stands where a request cannot be changed; ``labels`` say what was found there."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        super().__init__("something that must be masked stands where the request cannot be changed")
        self.labels = labels


def masked_request(masker: Masker, body: bytes) -> Masked:
    """Mask the body of a request (one message or a batch); outside of the findings not a byte changes.

    Tokens stay where their form tells them (of mail addresses, and opaque ones): no value is written like that.
    Raises ``FixedPart`` when something is found outside of what callers say freely, and ``NotMaskable``.
    """
    masker = masker.within(ByForm())
    document = _read(body, masker)
    edits: list[Edit] = []
    findings: list[Finding] = []
    for start, end in _free_spans(document):
        masked = masker.json(document.text[start:end].encode())
        if masked.changed:
            edits.append(Edit(start, end, masked.data.decode()))
            findings += masked.findings
    # As a bare list: a mask's fields are about what callers say, and not about the protocol's own `name`.
    fixed = masker.json(f"[{','.join(_fixed_leaves(document.root))}]".encode())
    if fixed.changed:
        raise FixedPart(labels_of(fixed))
    return Masked(apply_edits(document.text, edits).encode(), tuple(findings)) if edits else Masked(body)


def restored(body: bytes, nested: str) -> bytes:
    """Return a request with the members of ``nested`` in place of those by which its client goes on with it.

    ``nested`` is the JSON text of an object of :data:`countersign.mcp.STATE_MEMBERS` (``runtime.sealing.WaitState``).
    Of the body, one message, nothing else changes by a byte. Raises ``ValueError`` for any other ``nested``, and for a
    body without ``params``.
    """
    document, own = parse(body, max_depth=_DEEPEST), parse(nested, max_depth=_DEEPEST)
    if not isinstance(own.root, dict) or not own.root.keys() <= set(STATE_MEMBERS):
        raise ValueError("not the state of a target")
    span = value_span(document, ("params",))
    if span is None or document.text[span[0]] != "{":
        raise ValueError("a request without params has no state")
    begins = span[0] + 1
    members = member_spans(document, ("params",))
    ours = [key for key in members if key in STATE_MEMBERS]
    put = ",".join(own.text[slice(*of)] for of in member_spans(own, ()).values())
    if not put:
        edits = drop_members(document, ("params",), ours)
    elif ours:
        edits = [Edit(*members[ours[0]], put), *drop_members(document, ("params",), ours[1:])]
    else:
        edits = [Edit(begins, begins, f"{put}," if members else put)]
    return apply_edits(document.text, edits).encode()


def bared(body: bytes) -> bytes:
    """Return a request without what its ``_meta`` holds beside ``PROTOCOL_META``; nothing else changes by a byte.

    Approvers are not shown ``_meta``, and agree to a call whatever it says there: clients number their tries in it. So
    a target gets nothing by it that it could act on. A batch stays as it is. Raises ``JsonRefused``.
    """
    document, path = parse(body, max_depth=_DEEPEST), ("params", "_meta")
    span = value_span(document, path)
    if span is None or document.text[span[0]] != "{":
        return body
    others = [key for key in member_spans(document, path) if key not in PROTOCOL_META]
    return apply_edits(document.text, drop_members(document, path, others)).encode() if others else body


def params_of(body: bytes) -> dict[str, JsonValue]:
    """Return the ``params`` of a request that was read before and is one message; none of a batch."""
    root = parse(body, max_depth=_DEEPEST).root
    params = root.get("params") if isinstance(root, dict) else None
    return params if isinstance(params, dict) else {}


def labels_of(masked: Masked) -> tuple[str, ...]:
    """Return what was found, each label once."""
    return tuple(sorted({finding.label for finding in masked.findings}))


def _read(body: bytes, masker: Masker) -> Document:
    try:
        return parse(body, max_depth=masker.max_depth)
    except JsonRefused as refused:
        refusal = NotMaskable(f"not JSON: {refused.reason}")
    raise refusal


def _free_spans(document: Document) -> Iterator[tuple[int, int]]:
    root = document.root
    prefixes: list[tuple[int, ...]] = [(index,) for index in range(len(root))] if isinstance(root, list) else [()]
    for prefix in prefixes:
        for path in _FREE:
            span = value_span(document, (*prefix, *path))
            if span is not None:
                yield span


def _fixed_leaves(value: JsonValue, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the literals of all texts, keys among them, but of what callers say freely, and of their target's state.

    That is nothing that they say: authz lets none pass that this target did not hand to this caller.
    Numbers there are ids and progress tokens, which clients draw or count: some look like anybody's number.
    """
    if path in _FREE:
        return
    if isinstance(value, dict):
        for key, child in value.items():
            yield quote(key)
            yield from _fixed_leaves(child, (*path, key))
    elif isinstance(value, list):
        for child in value:
            # The elements of a batch are messages; those of any other array are nothing that callers say freely.
            yield from _fixed_leaves(child, path if not path else (*path, ""))
    elif isinstance(value, str) and not isinstance(value, Number) and path != _STATE:
        yield quote(value)
