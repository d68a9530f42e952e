"""The language model: what we use of spaCy (spacy.io/api/language), found before it is loaded, and loaded once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_UNUSED = ("tagger", "parser", "lemmatizer", "attribute_ruler", "senter", "morphologizer", "trainable_lemmatizer")
"""Components of common models that take time and find no names."""


class Entity(Protocol):
    """A name in a text, in code points."""

    start_char: int
    end_char: int
    label_: str


class Doc(Protocol):
    """A text that was read."""

    @property
    def ents(self) -> Sequence[Entity]:
        """The names in it."""
        ...


class Language(Protocol):
    """A model that reads texts."""

    def pipe(self, texts: Iterable[str], *, batch_size: int) -> Iterable[Doc]:
        """Read texts, in order."""
        ...


class ModelMissing(ValueError):
    """There is no spaCy here, or no such model: ``what`` is missing, and the ``remedy``."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}: {remedy}")
        self.what = what
        self.remedy = remedy


def find_model(model: str) -> None:
    """Look for a model by the name of its package, or by its folder, without loading it. Raises ``ModelMissing``."""
    if find_spec("spacy") is None:
        raise ModelMissing("spaCy is not installed", "install it: pip install 'countersign[ner]'")
    is_name = _NAME.fullmatch(model) is not None
    if not (find_spec(model) is not None if is_name else Path(model, "meta.json").is_file()):
        remedy = "install one (python -m spacy download en_core_web_sm), or name the folder that holds its meta.json"
        raise ModelMissing(f"there is no model `{model}` of spaCy", remedy)


@lru_cache(maxsize=2)
def load_model(model: str) -> Language:
    """Load a model; a second and 200 MB for a small one. Raises ``ModelMissing``, and ``OSError`` for a broken one."""
    find_model(model)
    language: Language = import_module("spacy").load(model, exclude=list(_UNUSED))
    return language
