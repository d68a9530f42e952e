"""What must hold of every text, and a detector so simple that whatever is missed is the leaf code's fault."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cache

from countersign.masking import MaskCatalog, Masker, NotMaskable
from countersign.masking.detectors.base import Hit
from countersign.masking.fields import Field
from countersign.masking.masker import Rule
from countersign.masking.replacements import Hashed, Partial, Redacted, Replacement, Tokenized
from countersign.masking.tokens import Mint
from countersign.masking.unmask import NotUnmaskable
from countersign.model.rule import DETECTORS, Mask
from countersign.runtime.cache import private_cache
from countersign.runtime.settings import cache_directory, environment

CANARY = "CANARY" + "7é🦊"
"""Of one, two and four bytes a character, so that a wrong ruler shows."""

FIELD = "ssn"
DEPTH = 16


class Canaries:
    """Detects the canary, wherever it stands."""

    label = "CANARY"

    def find(self, data: bytes) -> list[Hit]:
        """See :class:`countersign.masking.detectors.Detector`."""
        wanted, hits, at = CANARY.encode(), list[Hit](), -1
        while (at := data.find(wanted, at + 1)) >= 0:
            hits.append(Hit(at, at + len(wanted), "the canary"))
        return hits


def simple_masker() -> Masker:
    """A masker of canaries, and of values named :data:`FIELD`."""
    rule = Rule(Canaries(), Redacted("[X]"), name="canary")
    return Masker([rule], [Field.of(FIELD, lambda _: Redacted("[F]"))], max_depth=DEPTH)


def replacing_masker(mint: Mint) -> Masker:
    """A masker that tokenizes canaries, and has a field for each kind of replacement, named by it."""
    tokenized = Tokenized(Redacted("[X]"))
    # By what fields are called: their names in capitals.
    kinds: dict[str, Replacement] = {"PARTIAL": Partial(), "HASH": Hashed("H", bytes(32)), "TOKENIZE": tokenized}
    fields = [Field.of(name, kinds.__getitem__) for name in kinds]
    return Masker([Rule(Canaries(), tokenized, name="canary")], fields, max_depth=DEPTH).within(mint)


@cache
def complete_masker() -> Masker:
    """A masker with every detector there is, and one field."""
    mask = Mask("all", DETECTORS, (FIELD,))
    directory = private_cache(cache_directory(environment()))
    return MaskCatalog([mask], cache_dir=directory, max_depth=DEPTH).select([mask.name])


def refused_in_good_order(refusal: NotMaskable | NotUnmaskable) -> None:
    """Fail for a refusal that covers up a mistake of ours, and for one that shows the text."""
    assert "failed" not in str(refusal), str(refusal)
    assert "outside the text" not in str(refusal), str(refusal)
    assert CANARY not in str(refusal)


def leaves(value: object) -> Iterator[str]:
    """Yield every string of a JSON value, keys too, through the strings that are JSON themselves."""
    if isinstance(value, str):
        yield value
        try:
            inner: object = json.loads(value.strip(" \t\n\r"))
        except (ValueError, RecursionError):
            return
        if isinstance(inner, (dict, list, str)):
            yield from leaves(inner)
    elif isinstance(value, list):
        for element in value:
            yield from leaves(element)
    elif isinstance(value, dict):
        for key, member in value.items():
            yield key
            yield from leaves(member)


def is_kept(pieces: Iterable[str], text: str) -> bool:
    """Whether these pieces stand in the text, in order, with something or nothing between them."""
    characters = iter(text)
    return all(character in characters for piece in pieces for character in piece)
