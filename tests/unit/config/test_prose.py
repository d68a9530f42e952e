"""A file that wants names in prose has a language model, and that is here; else it is refused with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from countersign.model.rule import ProseModel
from tests.unit.config.files import GOOD, edited, loaded, pointed_at, refused

RECORDING = "recording: {mode: required}"
USED = edited("detect: [secrets]", "detect: [secrets, names_in_prose]")


def stated(ner: str, text: str = USED) -> str:
    return edited(RECORDING, f"ner: {ner}\n{RECORDING}", text)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Something that is found where spaCy and a model would be; nothing here loads either."""
    (tmp_path / "spacy.py").touch()
    (tmp_path / "some_model.py").touch()
    folder = tmp_path / "models" / "names"
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text("{}")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_a_model_is_named_by_its_package_or_its_folder(tmp_path: Path, model: Path) -> None:
    assert loaded(tmp_path, stated("{model: some_model}")).prose == ProseModel("some_model")
    said = "{model: ./models/names, entities: [PERSON], max_characters: 500}"
    assert loaded(tmp_path, stated(said)).prose == ProseModel(str(model), ("PERSON",), 500)
    assert loaded(tmp_path, GOOD).prose is None


@pytest.mark.parametrize("named", ["no_such_model", "./models/none", "no-such-model"])
def test_a_model_that_is_not_there_is_refused(tmp_path: Path, model: Path, named: str) -> None:
    text = stated(f"{{model: {named}}}")
    [problem] = refused(tmp_path, text)
    assert "there is no model" in problem.what
    assert "spacy download" in problem.remedy
    assert pointed_at(text, problem).startswith(named)


def test_without_the_package_the_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("countersign.masking.prose.model.find_spec", lambda _: None)
    [problem] = refused(tmp_path, stated("{model: some_model}"))
    assert problem.what == "spaCy is not installed"
    assert "countersign[ner]" in problem.remedy


def test_a_mask_without_a_model_and_a_model_without_a_mask_are_refused(tmp_path: Path, model: Path) -> None:
    [problem] = refused(tmp_path, USED)
    assert "needs a language model" in problem.what
    assert pointed_at(USED, problem).startswith("[secrets, names")
    [problem] = refused(tmp_path, stated("{model: some_model}", GOOD))
    assert problem.what == "no mask uses the language model"


def test_one_mistake_in_the_model_is_one_problem(tmp_path: Path, model: Path) -> None:
    [problem] = refused(tmp_path, stated("{modell: some_model, model: some_model}"))
    assert "did you mean `model`?" in problem.remedy
