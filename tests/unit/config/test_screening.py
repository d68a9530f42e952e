"""What `screening:` says of all targets holds for each but for the keys that a target states itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from countersign.screening import Act, Oversized, Screening
from tests.unit.config.files import GOOD, edited, loaded, pointed_at, refused

RECORDING = "recording: {mode: required}\n"
MCP = "    mcp:"


def file(gateway: str = "", target: str = "") -> str:
    """A gateway.yaml with a section of the gateway's and one of its target's."""
    text = edited(RECORDING, RECORDING + gateway)
    return edited(MCP, f"    {target}\n{MCP}", text) if target else text


def test_by_itself_nothing_is_refused_and_no_size_is_bounded(tmp_path: Path) -> None:
    assert loaded(tmp_path, GOOD).targets["orders"].screening == Screening(Act.FLAG, Act.STRIP, Act.STRIP, None)


def test_a_targets_keys_replace_the_gateways_one_by_one(tmp_path: Path) -> None:
    gateway = "screening: {hidden: strip, ansi: flag, text_bytes: 4096, oversized: refuse}\n"
    assert loaded(tmp_path, file(gateway)).targets["orders"].screening == Screening(
        Act.STRIP, Act.STRIP, Act.FLAG, 4096, Oversized.REFUSE
    )
    target = "screening: {ansi: refuse, tags: ignore, oversized: cut}"
    assert loaded(tmp_path, file(gateway, target)).targets["orders"].screening == Screening(
        Act.STRIP, Act.IGNORE, Act.REFUSE, 4096, Oversized.CUT
    )


@pytest.mark.parametrize(
    ("section", "what", "at"),
    [
        ("screening: {hidden: drop}", "`drop` is nothing to do with hidden text", "drop"),
        ("screening: {tags: Strip}", "`Strip` is nothing to do with hidden text", "Strip"),
        ("screening: {ansi: pass}", "`pass` is nothing to do with hidden text", "pass"),
        ("screening: {oversized: strip}", "`strip` is nothing to do with a result that is too large", "strip"),
        ("screening: {text_bytes: 10}", "is too small", "10"),
        ("screening: {hiden: strip}", "unknown key `hiden`", "hiden"),
        ("screening: {}", "`screening` says nothing", "{}"),
    ],
)
def test_what_would_not_protect_is_refused_in_its_place(tmp_path: Path, section: str, what: str, at: str) -> None:
    for text in (file(f"{section}\n"), file(target=section)):
        (problem,) = refused(tmp_path, text)
        assert what in str(problem)
        assert problem.remedy
        assert pointed_at(text, problem).startswith(at)
