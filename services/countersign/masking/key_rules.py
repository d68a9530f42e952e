"""What a key says of the value beside it, remembered for the next time that the key is seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from countersign.jsontext import JsonValue, Number
from countersign.masking import personal_keys, tool_schemas
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
    personal: Cover | None = None
    """What covers values of a person that have no form to know them by."""
    stands_for_named: bool = False
    """Whether its values may be those of the key above, in a tool's schema."""

    @property
    def names_field(self) -> bool:
        """Whether a field selects values by this key where nothing is known of the path."""
        return any(field.by_name for field in self.fields)


class KeyRules(dict[str, KeyRule | None]):
    """Rules by key, worked out when first asked for. A subclass of ``dict`` because a hit must cost next to nothing."""

    def __init__(
        self, fields: Sequence[Field], secrets: Cover | None, personal: Mapping[str, Cover] | None = None
    ) -> None:
        """``personal`` has a cover for each label of :func:`personal_keys.classify` whose values are to be masked."""
        super().__init__()
        self._fields = tuple(fields)
        self._secrets = secrets
        self._personal = personal or {}

    @property
    def reads_names(self) -> bool:
        """Whether names beyond those of the fields may cover a value."""
        return self._secrets is not None or bool(self._personal)

    @property
    def reads_persons(self) -> bool:
        """Whether names that tell of a person may cover a value."""
        return bool(self._personal)

    @property
    def follows_paths(self) -> bool:
        """Whether it matters which keys stand above the one that a value has."""
        return any(len(field.steps) > 1 for field in self._fields)

    def __missing__(self, key: str) -> KeyRule | None:
        fields = tuple(field for field in self._fields if field.ends_with(key))
        telling = None if self._secrets is None else classify(key)
        personal = self._personal.get(personal_keys.classify(key) or "") if self._personal else None
        stands_for_named = bool(self._fields) and key in tool_schemas.SAMPLES
        known = fields or telling is not None or personal is not None or stands_for_named
        rule = KeyRule(fields, telling, personal, stands_for_named) if known else None
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
                if field.selects(keys) and not (isinstance(value, list) and tool_schemas.names_schema(above)):
                    return Cover(field.label, field.replacement)
        if rule.stands_for_named and tool_schemas.holds_samples(above, key):
            # What a tool's schema gives as a sample of what it names is a value of that.
            described = self[above[-1]]
            for field in () if described is None else described.fields:
                return Cover(field.label, field.replacement)
        if rule.personal is not None and personal_keys.holds(rule.personal.label, value):
            return rule.personal
        if rule.telling is None or not isinstance(value, str):
            return None
        if isinstance(value, Number) and rule.telling is not Telling.PASSWORD:
            # Counts of tokens and keys are numbers, too; a number under the name of a password is one.
            return None
        return self._secrets if holds_secret(rule.telling, value) else None

    def whole(self, rule: KeyRule) -> Cover | None:
        """What covers values with such a key where there are no paths, whatever the values are; placeholders, too."""
        for field in rule.fields:
            if field.by_name:
                return Cover(field.label, field.replacement)
        return rule.personal if rule.telling in (None, Telling.BARE_KEY) else self._secrets
