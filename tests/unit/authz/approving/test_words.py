"""What callers read of an approval says for whom they wait, and hands no model a way around people."""

from __future__ import annotations

from dataclasses import replace

import pytest

from countersign.approver import states
from countersign.authz.approving import words
from countersign.model.approval import BreakGlass
from tests.support.approving import asking

GLASS = BreakGlass("fire exit", ("page",), 0, 60_000_000)


@pytest.mark.parametrize("others", [True, False], ids=["beside-approvers", "only-way"])
def test_a_model_is_told_who_may_break_the_glass_and_not_how(others: bool) -> None:
    # Many that call have a shell, and a person's token in it.
    question = replace(asking(), break_glass=(GLASS,))
    question = question if others else replace(question, requirements=())
    text = words.waiting(states.asked(question, "5b1f6a54-0f4e-4c0c-8b2e-3a6a1f0d7c11", 1).approval)
    assert "break the glass" in text
    assert not [command for command in ("countersign", "break-glass", "--reason") if command in text]
