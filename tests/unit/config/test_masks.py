"""Masks, and what a target and a rule say of masking, are read as they are meant or refused in their place."""

from __future__ import annotations

from pathlib import Path

import pytest

from countersign.config.types import Binary, RequestMasks, StatementArgument
from countersign.model.rule import DETECTOR_SETS, Mask, ReplacementKind
from tests.unit.config.files import GOOD, edited, loaded, pointed_at, refused

SECRETS = "secrets: {detect: [secrets]}"
TARGET = 'mcp: "http://127.0.0.1:9000/mcp"'
TOKENIZED = edited(SECRETS, "secrets: {detect: [secrets]}\n  cards: {detect: [credit_card], replace: tokenize}")
RULE = "mask: [secrets, pii]"


@pytest.mark.parametrize("kind", ReplacementKind)
def test_a_mask_names_what_it_puts_there(tmp_path: Path, kind: ReplacementKind) -> None:
    text = edited(SECRETS, f"secrets: {{detect: [secrets], replace: {kind.value}}}")
    assert loaded(tmp_path, text).masks["secrets"] == Mask("secrets", ("secrets",), how=kind)


def test_a_set_stands_for_its_detectors(tmp_path: Path) -> None:
    text = edited(SECRETS, "secrets: {detect: [email, pii, secrets]}")
    found = loaded(tmp_path, text).masks["secrets"].detectors
    assert found[0] == "email"
    assert sorted(found) == sorted({"email", "secrets", *DETECTOR_SETS["pii"]})


def test_a_target_says_what_becomes_of_its_requests_statements_and_binary_data(tmp_path: Path) -> None:
    said = (
        f"{TARGET}\n    binary: pass\n    mask_request: {{mask: [pii], refuse: [secrets]}}\n"
        "    statements: {query: {argument: sql, dialect: postgres}}"
    )
    target = loaded(tmp_path, edited(TARGET, said)).targets["orders"]
    assert target.binary is Binary.LET_THROUGH
    assert target.mask_request == RequestMasks(mask=("pii",), refuse=("secrets",))
    assert target.statements == {"query": StatementArgument("sql", "postgres")}


def test_what_is_not_said_of_a_target_protects(tmp_path: Path) -> None:
    target = loaded(tmp_path, GOOD).targets["orders"]
    assert target.binary is Binary.REFUSE
    assert target.mask_request == RequestMasks()
    assert target.statements == {}


def test_a_rule_says_which_tools_get_real_values(tmp_path: Path) -> None:
    text = edited(RULE, 'mask: [secrets, pii]\n    unmask_for: [query, "list_*"]', TOKENIZED)
    assert loaded(tmp_path, text).rules[0].unmask_for == ("query", "list_*")


@pytest.mark.parametrize(
    ("old", "new", "what", "at"),
    [
        (SECRETS, "secrets: {detect: [secrets], replace: tokenise}", "`tokenise` is no kind", "tokenise"),
        (SECRETS, "secrets: {detect: [secrets], replace: hashed}", "`hashed` is no kind", "hashed"),
        (TARGET, f"{TARGET}\n    binary: maybe", "`maybe` is nothing to do with binary", "maybe"),
        (TARGET, f"{TARGET}\n    mask_request: {{}}", "`mask_request` does nothing", "{}"),
        (TARGET, f"{TARGET}\n    mask_request: {{mask: [pi]}}", "there is no mask `pi`", "pi"),
        (TARGET, f"{TARGET}\n    mask_request: {{mask: [cards]}}", "`cards` tokenizes", "cards"),
        (TARGET, f"{TARGET}\n    mask_request: {{mask: [pii], refuse: [pii]}}", "`pii` stands under `refuse`", "pii"),
        (
            TARGET,
            f"{TARGET}\n    statements: {{query: {{argument: sql, dialect: postgresql}}}}",
            "there is no dialect `postgresql`",
            "postgresql",
        ),
        (RULE, f"{RULE}\n    unmask_for: [pay]", "does not select the tool `pay`", "pay"),
        (
            'tools: ["export_*"]}',
            'tools: ["export_*"]}\n    unmask_for: [export_all]',
            "denies, so there is nothing to unmask",
            "unmask_for",
        ),
    ],
)
def test_what_would_not_mask_is_refused_in_its_place(tmp_path: Path, old: str, new: str, what: str, at: str) -> None:
    text = edited(old, new, TOKENIZED)
    told = [problem for problem in refused(tmp_path, text) if what in problem.what]
    assert len(told) == 1
    assert pointed_at(text, told[0]).startswith(at)
    assert told[0].remedy


def test_real_values_need_a_mask_that_tokenizes(tmp_path: Path) -> None:
    problems = refused(tmp_path, edited(RULE, f"{RULE}\n    unmask_for: [query]"))
    assert any("no mask tokenizes" in problem.what for problem in problems)


def test_a_text_of_ones_own_may_be_nearly_anything(tmp_path: Path) -> None:
    for text in ("[redacted]", "redacted", "***", "TOKEN", "(hidden)"):
        replace = edited(SECRETS, f'secrets: {{detect: [secrets], replace: "{text}"}}')
        assert loaded(tmp_path, replace).masks["secrets"].replace == text
