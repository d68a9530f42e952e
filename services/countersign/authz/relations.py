"""The tables and views that the statements of a call name, as its record holds them: masked, and not too many. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from countersign.authz.stated import Stated, side_by_side, texts_at
from countersign.config import Target
from countersign.jsontext import JsonRefused, JsonValue, parse
from countersign.masking import Masker, NotMaskable
from countersign.model.call import Call, NameKind
from countersign.model.principal import Principal
from countersign.policy import relations_named
from countersign.runtime.rulebook import InForce

MOST: Final = 100
"""Of the names of one call; the last of more is :data:`MORE`."""

LONGEST: Final = 200
"""Characters of a name; of a longer one the beginning is kept."""

MOST_BYTES: Final = 16 * 1024
"""Of all names of one call, as JSON."""

MOST_STATEMENTS: Final = 100
MOST_CHARACTERS: Final = 64 * 1024
"""Of one call that are looked into; no single statement is understood that is longer than 32 KiB."""

HIDDEN: Final = "[masked]"
"""What stands for a name that a mask found."""

MORE: Final = "…"
"""What stands for all names that are not kept."""

_DEEPEST: Final = 256  # what is deeper was refused before


def statements_in(in_force: InForce, target: Target, principal: Principal, call: Call) -> Stated:
    """Return the paths of the arguments of a call that are statements, each with its language.

    They are what ``statements`` of the target says, and what conditions of rules about this call, those on trial among
    them, take for statements.
    """
    policy = in_force.policy if in_force.trial is None else in_force.trial
    found = policy.statements(principal, call)
    stated = target.statements.get(call.name) if call.name_kind is NameKind.TOOL else None
    return found if stated is None else found | {((stated.argument,), stated.dialect)}


def relations_of(statements: Stated, params_json: str, masked: bytes, masker: Masker) -> tuple[str, ...]:
    """Return the names of relations in ``statements``, in order, as they may be recorded.

    ``params_json`` are the params as they were sent, ``masked`` the same as they are recorded. A name of a statement in
    which something is masked is kept only if all of its parts are left there, and each is masked by itself, too: it
    may be spelled otherwise than in the statement. Where that fails, none is kept.
    """
    if not statements or not params_json:
        return ()
    try:
        sent = parse(params_json, max_depth=_DEEPEST).root
        shown = sent if masked == params_json.encode() else parse(masked, max_depth=_DEEPEST).root
        return tuple(_bounded(_masked(sorted(_named(statements, sent, shown)), masker)))
    except (JsonRefused, NotMaskable):
        return (HIDDEN,)


def _named(statements: Stated, sent: JsonValue, shown: JsonValue) -> set[str]:
    found: set[str] = set()
    statements_left, characters_left = MOST_STATEMENTS, MOST_CHARACTERS
    for path, language in sorted(statements):
        for text, left in side_by_side(texts_at(sent, path), texts_at(shown, path)):
            if text is None:
                return {HIDDEN}
            statements_left -= 1
            characters_left -= len(text)
            if min(statements_left, characters_left) < 0:
                return found | {MORE}
            found |= _of_statement(relations_named(text, language), text, left)
    return found


def _of_statement(names: Collection[str], text: str, left: str) -> set[str]:
    """The names of one statement, as far as they are left in what is shown of it."""
    kept = sorted(names)[:MOST]
    found = set(kept if text == left else _left(kept, left))
    return found | {MORE} if len(names) > len(kept) else found


def _left(names: Iterable[str], text: str) -> Iterator[str]:
    words = text.casefold()
    for name in names:
        yield name if all(_stands_in(part, words) for part in name.casefold().split(".")) else HIDDEN


def _stands_in(part: str, text: str) -> bool:
    """Whether ``part`` stands in ``text`` as a word of its own; linear, since it may overlook one that overlaps."""
    at = text.find(part) if part else -1
    while at >= 0:
        end = at + len(part)
        if not (_is_of_word(text[at - 1 : at]) or _is_of_word(text[end : end + 1])):
            return True
        at = text.find(part, end)
    return False


def _is_of_word(char: str) -> bool:
    return char.isalnum() or char == "_"


def _masked(names: list[str], masker: Masker) -> list[str]:
    """Mask each name as a value of its own; more than are kept need not be."""
    if not names:
        return []
    # What no protocol can carry, a name does not need, either.
    written = json.dumps(names[:MOST], ensure_ascii=False).encode("utf-8", "replace")
    found = parse(masker.json(written).data, max_depth=2).root
    masked = [str(name) for name in found] if isinstance(found, list) else [HIDDEN]
    return [*masked, MORE] if len(names) > MOST else masked


def _bounded(names: list[str]) -> Iterator[str]:
    room = MOST_BYTES
    for name in dict.fromkeys(name[:LONGEST] for name in names if name != MORE):
        room -= len(json.dumps(name, ensure_ascii=False).encode())
        if room < 0:
            break
        yield name
    if room < 0 or MORE in names:
        yield MORE
