"""The masks of gateway.yaml, made ready once and combined as calls need them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from countersign.masking import detectors
from countersign.masking.fields import Field
from countersign.masking.gates import DetectorGates
from countersign.masking.masker import Masker, Rule
from countersign.masking.replacements import Redacted, Replacement
from countersign.model.rule import Mask

_SECRETS = "secrets"
_ALWAYS_RECORDED_MASKED = Mask("", detectors=(_SECRETS,))
_MOST_COMBINATIONS = 1_000


class MaskCatalog:
    """Every mask by name, and the maskers that apply several of them at once."""

    def __init__(self, masks: Iterable[Mask], *, cache_dir: Path | None, max_depth: int = 64) -> None:
        """Make ready every detector that any mask names, and the one for secrets.

        ``cache_dir`` belongs to this process's user alone and keeps what takes seconds to compile; ``None`` compiles
        anew. Raises :class:`KeyError` for a detector that does not exist.
        """
        self._masks = {mask.name: mask for mask in masks}
        self._max_depth = max_depth
        named = {name for mask in self._masks.values() for name in mask.detectors}
        self._detectors = {name: detectors.make(name, cache_dir) for name in sorted(named | {_SECRETS})}
        self._gates = DetectorGates(self._detectors.values(), cache_dir=cache_dir)
        self._selected: dict[tuple[str, ...], Masker] = {}
        self._for_records = self._union([*self._in_order(self._masks), _ALWAYS_RECORDED_MASKED])

    def select(self, names: Iterable[str]) -> Masker:
        """Combine masks; where two mask the same thing, the first by name says what to put there.

        Without names the masker still refuses what is not JSON or not UTF-8. Raises :class:`KeyError` for an unknown
        name.
        """
        key = tuple(sorted(set(names)))
        if len(key) == len(self._masks) and self._finds_secrets(key):
            # The same set: what the caller may see and what the record may hold is masked once.
            return self._for_records
        masker = self._selected.get(key)
        if masker is None:
            masker = self._union(self._in_order(key))
            if len(self._selected) >= _MOST_COMBINATIONS:
                self._selected.clear()
            self._selected[key] = masker
        return masker

    def for_records(self) -> Masker:
        """Every mask there is, and the detector of secrets whatever the masks say: for what the record may hold."""
        return self._for_records

    def _finds_secrets(self, names: Iterable[str]) -> bool:
        return any(_SECRETS in mask.detectors for mask in self._in_order(names))

    def _in_order(self, names: Iterable[str]) -> list[Mask]:
        return [self._masks[name] for name in sorted(names)]

    def _union(self, masks: Iterable[Mask]) -> Masker:
        rules: dict[str, Rule] = {}
        fields: list[Field] = []
        for mask in masks:
            replaced_by = partial(_replaced_by, mask)
            for name in mask.detectors:
                detector = self._detectors[name]
                replacement = replaced_by(detector.label)
                rules.setdefault(name, Rule(detector, replacement, reads_names=name == _SECRETS, name=name))
            fields += (Field.of(path, replaced_by) for path in mask.fields)
        return Masker(tuple(rules.values()), fields, gates=self._gates, max_depth=self._max_depth)


def _replaced_by(mask: Mask, label: str) -> Replacement:
    return Redacted(mask.replace.replace("{label}", label))
