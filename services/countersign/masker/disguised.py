"""Texts that somebody could take for an answer to a call, whatever they are called. Pure."""

from __future__ import annotations

from countersign.jsontext import JsonAmbiguous, JsonRefused, check, parse

_BOM = "\ufeff"


def may_answer(text: str, *, max_depth: int) -> bool:
    """Whether somebody could take this for the result of a call, and so for a listing."""
    try:
        body = check(text.removeprefix(_BOM), max_depth=max_depth)
    except JsonAmbiguous:
        return True
    except JsonRefused:
        return False
    if not any(key.casefold() == "result" for key in body.keys):
        return False
    root = parse(body.text, max_depth=max_depth).root
    return any(
        isinstance(message, dict) and any(key.casefold() == "result" for key in message)
        for message in (root if isinstance(root, list) else [root])
    )
