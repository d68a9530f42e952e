"""The masks of gateway.yaml, made ready once and combined as calls need them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from countersign.masking import detectors
from countersign.masking.detectors import Detector
from countersign.masking.encoded import DataUris
from countersign.masking.fields import Field
from countersign.masking.gates import DetectorGates
from countersign.masking.masker import Masker, Rule
from countersign.masking.own import compile_own
from countersign.masking.prose import NamesInProse, load_model
from countersign.masking.replacements import Redacted, replacements_of
from countersign.model.rule import NAMES_IN_PROSE, Mask, OwnDetector, ProseModel, ReplacementKind

_SECRETS = "secrets"
_ALWAYS_RECORDED_MASKED = Mask("", detectors=(_SECRETS,))
_MOST_COMBINATIONS = 1_000


class MaskCatalog:
    """Every mask by name, and the maskers that apply several of them at once."""

    def __init__(
        self,
        masks: Iterable[Mask],
        *,
        own: Iterable[OwnDetector] = (),
        prose: ProseModel | None = None,
        cache_dir: Path | None,
        max_depth: int = 64,
        hash_key: bytes | None = None,
    ) -> None:
        """Make ready every detector that any mask names, and the one for secrets.

        ``own`` are the detectors that gateway.yaml states itself, ``prose`` the model for names in prose. ``cache_dir``
        belongs to this process's user alone and keeps what takes seconds to compile; ``None`` compiles anew.
        ``hash_key`` is the deployment's secret behind hashes; without it values are redacted instead. Raises
        :class:`KeyError` for a detector that does not exist, and ``ModelMissing`` for a model that does not.
        """
        self._masks = {mask.name: mask for mask in masks}
        self._max_depth = max_depth
        self._hash_key = hash_key
        named = {name for mask in self._masks.values() for name in mask.detectors}
        special: dict[str, Detector] = {each.name: compile_own(each) for each in own}
        if prose is not None and NAMES_IN_PROSE in named:
            special[NAMES_IN_PROSE] = NamesInProse(prose, load_model(prose.model))
        self._detectors = {
            name: special.get(name) or detectors.make(name, cache_dir) for name in sorted(named | {_SECRETS})
        }
        self._gates = DetectorGates(self._detectors.values(), cache_dir=cache_dir)
        # By the names of their masks, and the empty one of what is always masked for records.
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
        return self._combined(key, also=())

    def for_records(self) -> Masker:
        """Every mask there is, and the detector of secrets whatever the masks say: for what the record may hold."""
        return self._for_records

    def for_records_after(self, names: Iterable[str]) -> Masker | None:
        """What is left of :meth:`for_records` for a text that these masks were applied to; ``None`` for nothing."""
        applied = set(names)
        left = tuple(sorted(self._masks.keys() - applied))
        also = () if self._finds_secrets(applied) else (_ALWAYS_RECORDED_MASKED,)
        return self._combined(left, also) if left or also else None

    def tokenizes(self, names: Iterable[str]) -> bool:
        """Whether any of these masks puts tokens in place of values. Raises :class:`KeyError` for an unknown name."""
        return any(mask.how is ReplacementKind.TOKENIZE for mask in self._in_order(names))

    def _combined(self, names: tuple[str, ...], also: tuple[Mask, ...]) -> Masker:
        key = names + tuple(mask.name for mask in also)
        masker = self._selected.get(key)
        if masker is None:
            masker = self._union([*self._in_order(names), *also])
            if len(self._selected) >= _MOST_COMBINATIONS:
                self._selected.clear()
            self._selected[key] = masker
        return masker

    def _finds_secrets(self, names: Iterable[str]) -> bool:
        return any(_SECRETS in mask.detectors for mask in self._in_order(names))

    def _in_order(self, names: Iterable[str]) -> list[Mask]:
        return [self._masks[name] for name in sorted(names)]

    def _union(self, masks: Iterable[Mask]) -> Masker:
        rules: dict[str, Rule] = {}
        fields: list[Field] = []
        for mask in masks:
            replaced_by = replacements_of(mask, self._hash_key)
            for name in mask.detectors:
                detector = self._detectors[name]
                secret = name == _SECRETS
                replacement = replacements_of(mask, self._hash_key, secret=secret)(detector.label)
                rules.setdefault(name, Rule(detector, replacement, reads_names=secret, name=name))
            fields += (Field.of(path, replaced_by) for path in mask.fields)
        masker = Masker(tuple(rules.values()), fields, gates=self._gates, max_depth=self._max_depth)
        if not rules and not fields:
            return masker
        uris = Rule(DataUris(masker.text), Redacted(f"[{DataUris.label}]"), name="data_uri")
        return Masker((*rules.values(), uris), fields, gates=self._gates, max_depth=self._max_depth)
