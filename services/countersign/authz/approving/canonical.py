"""The one spelling of a call's params: two texts that say the same have it in common, and no two others do. Pure."""

from __future__ import annotations

from countersign.jsontext import JsonValue, Number, parse, quote

DEEPEST = 1_000
"""Containers in one another, more than gateway.yaml can permit."""
META = "_meta"


def canonical_params(params_json: str) -> bytes:
    """Return the canonical JSON text (UTF-8) of ``params``; empty when there are none.

    Keys are sorted by code point, white space and the spelling of escapes are normalised. A number stays as it was
    written: ``1``, ``1.0`` and ``1e0`` are three, since targets may tell them apart. (So this is not RFC 8785, which
    passes them through floats.) Only ``_meta`` is left out, where clients count and trace their tries: of it
    the target gets nothing that it could act on (``runtime.outgoing.bared``). A
    ``requestState`` is part of what is asked of a target, whatever it looks like: ours is taken out before
    (``runtime.outgoing.restored``). Raises ``JsonRefused``.
    """
    if not params_json:
        return b""
    root = parse(params_json, max_depth=DEEPEST).root
    if isinstance(root, dict):
        root.pop(META, None)
    return _written(root).encode()


def _written(value: JsonValue) -> str:
    if isinstance(value, dict):
        return f"{{{','.join(f'{quote(key)}:{_written(value[key])}' for key in sorted(value))}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_written, value))}]"
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, str):
        return quote(value)
    return {True: "true", False: "false", None: "null"}[value]
