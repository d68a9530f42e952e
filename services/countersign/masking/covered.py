"""Which values of a JSON text are masked whole because of the keys above them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from countersign.jsontext import JsonValue, Number, decoded, tokens
from countersign.masking.key_rules import Cover, KeyRule, KeyRules

_CONTAINER: JsonValue = []


def covered(text: str, rules: KeyRules, above: Sequence[str]) -> Iterator[tuple[int, str, Cover]]:
    """Yield where each such string or number begins, what it says, and its cover; ``text`` must be JSON.

    ``above`` are the keys that lead to the text itself.
    """
    known: dict[str, tuple[str, KeyRule | None]] = {}
    keys = list(above)
    # What covers all that stands in each open container, and whether it is an object.
    around: list[tuple[Cover | None, bool]] = [(None, False)]
    rule: KeyRule | None = None
    key_next = False
    for match in tokens(text):
        token = match[0]
        kind = token[0]
        if key_next and kind == '"':
            key_next = False
            if token not in known:
                key = decoded(token)
                known[token] = key, rules[key]
            keys[-1], rule = known[token]
        elif kind == ",":
            key_next = around[-1][1]
            rule = None
        elif kind in "}]":
            if around.pop()[1]:
                keys.pop()
            key_next, rule = False, None
        else:
            outer = around[-1][0]
            if kind in "{[":
                cover = (
                    outer if rule is None or outer is not None else rules.cover(rule, keys[:-1], keys[-1], _CONTAINER)
                )
                key_next, rule = kind == "{", None
                around.append((cover, key_next))
                if key_next:
                    keys.append("")
            elif outer is not None or rule is not None:
                value = decoded(token)
                said = value if kind == '"' else Number(value)
                cover = outer if rule is None or outer is not None else rules.cover(rule, keys[:-1], keys[-1], said)
                if cover is not None and value:
                    yield match.start(), value, cover
