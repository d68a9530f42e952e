"""What a key says of the value beside it, remembered for the next time that the key is seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from countersign.jsontext import JsonValue, Number
from countersign.masking.detectors.telling import Telling, classify, holds_secret
from countersign.masking.fields import Field
from countersign.masking.replacements import Replacement
from countersign.masking.result import FIELDS, NAMED, Span

_MOST_REMEMBERED = 10_000
_LONGEST_REMEMBERED = 128


@dataclass(frozen=True, slots=True)
class Cover:
    """Why a value is masked whole, and what to put in its place."""

    label: str
    replacement: Replacement
    detector: str = FIELDS
    why: str = NAMED

    def span(self, start: int, end: int) -> Span:
        """Mask this stretch of a text."""
        return Span(start, end, self.label, self.replacement, self.detector, self.why)


@dataclass(frozen=True, slots=True)
class KeyRule:
    """What may apply to values with one key."""

    fields: tuple[Field, ...]
    telling: Telling | None

    @property
    def names_field(self) -> bool:
        """Whether a field selects values by this key where nothing is known of the path."""
        return any(field.by_name for field in self.fields)


class KeyRules(dict[str, KeyRule | None]):
    """Rules by key, worked out when first asked for. A subclass of ``dict`` because a hit must cost next to nothing."""

    def __init__(self, fields: Sequence[Field], secrets: Cover | None) -> None:
        super().__init__()
        self._fields = tuple(fields)
        self._secrets = secrets

    @property
    def reads_names(self) -> bool:
        """Whether names beyond those of the fields may cover a value."""
        return self._secrets is not None

    def __missing__(self, key: str) -> KeyRule | None:
        fields = tuple(field for field in self._fields if field.ends_with(key))
        telling = None if self._secrets is None else classify(key)
        rule = KeyRule(fields, telling) if fields or telling is not None else None
        if len(key) <= _LONGEST_REMEMBERED:
            if len(self) >= _MOST_REMEMBERED:
                self.clear()
            self[key] = rule
        return rule

    def cover(self, rule: KeyRule, above: Sequence[str], key: str, value: JsonValue) -> Cover | None:
        """Say whether the value of ``key``, below the keys ``above``, is masked whole."""
        if rule.fields:
            keys = (*above, key)
            for field in rule.fields:
                if field.selects(keys):
                    return Cover(field.label, field.replacement)
        if rule.telling is None or not isinstance(value, str) or isinstance(value, Number):
            return None
        return self._secrets if holds_secret(rule.telling, value) else None

    def whole(self, rule: KeyRule) -> Cover | None:
        """What covers values with such a key where there are no paths, whatever the values are; placeholders, too."""
        for field in rule.fields:
            if field.by_name:
                return Cover(field.label, field.replacement)
        return None if rule.telling is None else self._secrets
