"""Names in prose are found where the model says, in prose alone; without a model nothing starts, and nothing passes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.masking import MaskCatalog, NotMaskable
from countersign.masking.prose import ModelMissing, NamesInProse, load_model
from countersign.masking.prose.passages import passages
from countersign.model.rule import NAMES_IN_PROSE, Mask, ProseModel

PROSE = "Yesterday we met Ada Löwe in the office"
# A stand-in for spaCy: a package as an import finds it, whose model knows one person and one place.
SPACY = """
class Entity:
    def __init__(self, start, end, label):
        self.start_char, self.end_char, self.label_ = start, end, label

class Doc:
    def __init__(self, text):
        known = (("Ada Löwe", "PERSON"), ("Zürich", "GPE"), ("office", "ORG"))
        self.ents = tuple(
            Entity(text.index(name), text.index(name) + len(name), label) for name, label in known if name in text
        )

class Language:
    def pipe(self, texts, *, batch_size):
        return map(Doc, texts)

def load(model, *, exclude):
    assert "ner" not in exclude
    return Language()
"""


@dataclass
class Entity:
    start_char: int
    end_char: int
    label_: str


@dataclass
class Doc:
    ents: tuple[Entity, ...]


class Reader:
    """Notes what it is given, and finds what it is told to find."""

    def __init__(self, *ents: Entity) -> None:
        self.read: list[str] = []
        self._ents = ents

    def pipe(self, texts: Iterable[str], *, batch_size: int) -> Iterator[Doc]:
        for text in texts:
            self.read.append(text)
            yield Doc(self._ents)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "spacy.py").write_text(SPACY)
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "meta.json").write_text("{}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "spacy", raising=False)
    load_model.cache_clear()
    yield str(folder)
    load_model.cache_clear()
    sys.modules.pop("spacy", None)


def test_names_are_masked_in_prose_and_nowhere_else(model: str, cache_dir: Path) -> None:
    masks = MaskCatalog([Mask("m", (NAMES_IN_PROSE,))], prose=ProseModel(model), cache_dir=cache_dir)
    body = {"note": f"{PROSE}, and went on to Zürich.", "Ada Löwe": "Ada Löwe", "code": "x = Ada Löwe[3]; y += 7"}
    masked = json.loads(masks.select(["m"]).json(json.dumps(body, ensure_ascii=False).encode()).data)
    assert masked == body | {"note": "Yesterday we met [NAME] in the office, and went on to [NAME]."}
    [found] = masks.select(["m"]).explain(PROSE).found
    assert (found.start, found.end, found.label, found.detector) == (17, 25, "NAME", "names_in_prose")
    assert "PERSON" in found.why


def test_without_a_model_nothing_is_masked_by_it(cache_dir: Path) -> None:
    with pytest.raises(KeyError):
        MaskCatalog([Mask("m", (NAMES_IN_PROSE,))], cache_dir=cache_dir)


def test_a_missing_package_or_model_is_said_with_the_remedy(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for missing in ("no_such_model", str(tmp_path / "none"), "no-such-model"):
        with pytest.raises(ModelMissing) as caught:
            load_model(missing)
        assert "spacy download" in caught.value.remedy
    monkeypatch.setattr("countersign.masking.prose.model.find_spec", lambda _: None)
    with pytest.raises(ModelMissing) as caught:
        load_model(model)
    assert "countersign[ner]" in caught.value.remedy


def test_other_entities_than_those_asked_for_stay(cache_dir: Path) -> None:
    reader = Reader(Entity(0, 3, "ORG"), Entity(4, 9, "PERSON"))
    hits = NamesInProse(ProseModel("m", entities=("PERSON",)), reader).find(b"the thing we have all seen")
    assert [(hit.start, hit.end) for hit in hits] == [(4, 9)]


def test_too_much_prose_is_refused_before_it_is_read(model: str, cache_dir: Path) -> None:
    settings = ProseModel(model, max_characters=100)
    masks = MaskCatalog([Mask("m", (NAMES_IN_PROSE,))], prose=settings, cache_dir=cache_dir).select(["m"])
    assert masks.text(b"these are words " * 6).data
    with pytest.raises(NotMaskable, match="TooMuchProse") as caught:
        masks.text(b"these are words " * 7)
    assert "these" not in str(caught.value)


def test_what_the_model_makes_up_outside_the_text_ends_the_call() -> None:
    reader = Reader(Entity(0, 500, "PERSON"))
    with pytest.raises(IndexError):
        NamesInProse(ProseModel("m"), reader).find("löwe is what we have all seen".encode())


@pytest.mark.parametrize(
    "text",
    [
        '{"id": 10482, "status": "open", "items": []}',
        "GET /api/v2/users/42 HTTP/1.1 200 5123",
        "4111 1111 1111 1111",
        "a1b2c3 d4e5f6 0x77aa 99",
        "two words",
    ],
)
def test_what_is_no_prose_is_not_read(text: str) -> None:
    reader = Reader()
    assert NamesInProse(ProseModel("m"), reader).find(text.encode()) == []
    assert reader.read == []


def test_a_paragraph_is_read_as_one_and_a_long_one_in_pieces() -> None:
    reader = Reader()
    long = "many words follow each other here. " * 400
    NamesInProse(ProseModel("m"), reader).find(f'one two three\nfour five six\n\nseven eight nine"{long}'.encode())
    assert reader.read[:2] == ["one two three\nfour five six\n", "seven eight nine"]
    assert "".join(reader.read[2:]) == long
    assert max(map(len, reader.read)) <= 5_000


@given(st.text(alphabet='ab ."\n\né🦊1', max_size=300))
def test_passages_stand_in_the_text_one_after_the_other(text: str) -> None:
    done = 0
    for start, end in passages(text):
        assert done <= start < end <= len(text)
        assert '"' not in text[start:end]
        assert "\n\n" not in text[start:end]
        done = end
