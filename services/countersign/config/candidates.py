"""A whole gateway.yaml on trial beside the one in force: what it would decide is recorded, and never done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path as FilePath

from countersign.config.assemble import Assembly
from countersign.config.problem import ConfigRefused, Problems
from countersign.config.shaped import Shaped, read_shape
from countersign.config.types import Candidate
from countersign.config.version import version_of

Reader = Callable[[FilePath], bytes]
"""Gives a file's bytes, or raises ``ConfigRefused``."""

_ONE_TRIAL = "one trial at a time: "


@dataclass(frozen=True, slots=True)
class Trial:
    """The candidate's file as it was read, and what it holds if nothing is wrong with it."""

    path: FilePath
    data: bytes
    candidate: Candidate | None


def load(main: Shaped, folder: FilePath, reader: Reader, out: Problems) -> Trial | None:
    """The candidate that the file names by ``shadow:``, if it names one and that can be read.

    It is checked as every gateway.yaml is, but no credential of it is read. What is wrong goes to ``out``.
    """
    if main.file.shadow is None:
        return None
    _refuse_rules_on_trial(main, out, f"{_ONE_TRIAL}`shadow:` names a candidate already")
    path = folder / main.file.shadow
    try:
        data = reader(path)
    except ConfigRefused as refused:
        what = refused.problems[0].what
        remedy = "name a whole gateway.yaml; a relative path starts at the folder of this file"
        out.add(main.root.find(("shadow",)).place, f"the candidate is not read: {what}", remedy)
        return None
    problems = Problems(str(path))
    candidate = _candidate(data, path, main, problems)
    out.add_all(problems)
    return Trial(path, data, None if problems else candidate)


def _candidate(data: bytes, path: FilePath, main: Shaped, problems: Problems) -> Candidate | None:
    shaped = read_shape(data, problems)
    if shaped is None:
        return None
    if shaped.file.shadow is not None:
        what, remedy = "a candidate names no candidate of its own", "remove `shadow`, or name another file"
        problems.add(shaped.root.key_place(("shadow",)), what, remedy)
    _refuse_rules_on_trial(shaped, problems, "the whole file is on trial, so no rule of it is by itself")
    for target in main.declared.targets:
        if target not in shaped.declared.targets:
            what = f"the candidate lacks the target `{target}` of the file in force"
            problems.add(shaped.root.key_place(("targets",)), what, "a candidate judges the same calls: declare it")
    version = version_of(data)
    config = Assembly(shaped.root, path.parent, {}, (), problems).config(shaped, version, None)
    return Candidate(version, config.rules, config.masks, config.detectors, config.prose)


def _refuse_rules_on_trial(shaped: Shaped, out: Problems, what: str) -> None:
    for index, shape in zip(shaped.declared.rules, shaped.file.rules, strict=False):
        if shape.mode == "shadow":
            out.add(shaped.root.key_place(("rules", index, "mode")), what, "remove `mode`")
