"""Rules as YAML that people paste: values that are text are quoted, so that no name can say anything else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from countersign.config.document import Plain
from countersign.model.visible import visible
from countersign.review.narrowing import Advice

_WIDE = 110
_PLAIN_KEY = re.compile(r"[a-z_]+")


def rules_yaml(advice: list[Advice], heading: tuple[str, ...]) -> str:
    """The whole section ``rules:``, each rule with a comment that says what became of it."""
    lines = [*(f"# {visible(line)}" for line in heading), "rules:"]
    for one in advice:
        lines.append(f"  # {visible(one.rule)}: {one.what}, {visible(one.why)}")
        if one.now is not None:
            lines += _rule(one.now)
    return "\n".join(lines) + "\n"


def _rule(rule: Plain) -> Iterator[str]:
    assert isinstance(rule, dict)
    before = "  - "
    for key, value in rule.items():
        yield from _entry(before, key, value)
        before = "    "


def _entry(before: str, key: str, value: Plain) -> Iterator[str]:
    line = f"{before}{_key(key)}: {flow(value)}"
    if len(line) <= _WIDE or not isinstance(value, (dict, list)) or not value:
        yield line
        return
    yield f"{before}{_key(key)}:"
    inner = " " * len(before) + "  "
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _entry(inner, name, one)
    else:
        for one in value:
            yield f"{inner}- {flow(one)}"


def flow(value: Plain) -> str:
    """A value in one line, which YAML 1.2 reads as the same value."""
    match value:
        case dict():
            return "{" + ", ".join(f"{_key(key)}: {flow(one)}" for key, one in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(flow, value)) + "]"
        case str():
            return _quoted(value)
        case float() if value != value or value in (float("inf"), float("-inf")):
            return {"inf": ".inf", "-inf": "-.inf"}.get(str(value), ".nan")
        case _:
            return json.dumps(value)


def _key(key: str) -> str:
    # `n`, `y` and the like mean something to other readers of YAML.
    return key if len(key) > 1 and _PLAIN_KEY.fullmatch(key) and key not in ("no", "on", "off", "yes") else _quoted(key)


def _quoted(text: str) -> str:
    r"""A double-quoted scalar (YAML 1.2, section 7.3.1): what is not drawn is written out, ``\U0001f600`` at most."""
    return '"' + "".join(map(_char, text)) + '"'


def _char(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    if visible(char) == char:
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
