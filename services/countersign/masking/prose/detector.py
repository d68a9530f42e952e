"""Names of people and places in prose."""

from __future__ import annotations

from itertools import accumulate
from threading import Lock

from countersign.masking.detectors.base import Hit
from countersign.masking.prose.model import Language
from countersign.masking.prose.passages import passages
from countersign.model.rule import ProseModel

_BATCH = 64


class TooMuchProseError(ValueError):
    """A text holds more prose than may be read: it would hold up all calls."""


class NamesInProse:
    """Detects what a language model takes for a name, in what reads like prose.

    A text with more prose than ``ProseModel.max_characters`` is refused (``TooMuchProseError``), never half read.
    """

    label = "NAME"

    def __init__(self, settings: ProseModel, language: Language) -> None:
        self._settings = settings
        self._language = language
        # What spaCy learns of new words while it reads is shared by all texts, and not made for several threads.
        self._lock = Lock()

    def find(self, data: bytes) -> list[Hit]:
        """See :class:`countersign.masking.detectors.base.Detector`."""
        text = data.decode()
        places = list(passages(text))
        if not places:
            return []
        if sum(end - start for start, end in places) > self._settings.max_characters:
            raise TooMuchProseError
        with self._lock:
            docs = list(self._language.pipe([text[start:end] for start, end in places], batch_size=_BATCH))
        at = [0, *accumulate(len(character.encode()) for character in text)] if len(text) != len(data) else None
        found: list[Hit] = []
        for (start, _), doc in zip(places, docs, strict=True):
            for entity in doc.ents:
                if entity.label_ in self._settings.entities and entity.start_char < entity.end_char:
                    first, last = start + entity.start_char, start + entity.end_char
                    first, last = (first, last) if at is None else (at[first], at[last])
                    found.append(Hit(first, last, f"a name ({_word(entity.label_)}) to the language model"))
        return found


def _word(label: str) -> str:
    """The label, if it is one of the plain words that models have."""
    return label if label.isalpha() and len(label) <= 20 else "?"
