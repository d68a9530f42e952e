"""What people read: who wants what, what it does, why they are asked, what is missing, until when; and then the end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from countersign.approver.notify import slack, webhook
from countersign.approver.notify.summary import Quote, Said
from countersign.approver.notify.wording import clipped, enumeration, instant, line, moment, relative
from countersign.model.approval import ApprovalState, BreakGlass
from tests.support.cost import cpu_s
from tests.unit.approver.notify.samples import HIDDEN, HOSTILE, LINK, MINUTE, NOON, agreed, approval, notice


def test_a_question_says_everything_in_the_order_in_which_people_read() -> None:
    told = notice(approval(decisions=(agreed("carol"),), glass=(BreakGlass("on call"),)))
    assert told.title == "ann (agent, through bob) wants to call query on orders-db"
    assert told.body == (
        Quote("sql (postgres)", "delete\n    from orders"),
        Said("It does: delete"),
        Said("It touches: public.orders"),
        Said("Rows that it can touch: 1 row"),
        Quote("arguments", '{\n  "a": ""\n}'),
        Said("Its target says of it: Runs SQL."),
        Said("Why: deleting asks"),
        Said("carol agreed at 2026-03-20 10:01 UTC: fine"),
        Said("Needs 1 more of data-owners or dbas (rule owners agree, Mon-Fri 08:00-18:00 UTC, with a note)"),
        Said("Expires 2026-03-20 10:15 UTC (in 12 minutes)"),
        Said("Its caller may break the glass (rule on call)"),
    )
    assert (told.link, told.command, told.asks) == (LINK, "countersign approvals show a1", True)


def test_where_only_the_caller_may_agree_nobody_is_asked() -> None:
    told = notice(replace(approval(glass=(BreakGlass("on call"),)), requirements=()))
    assert (told.asks, told.standing) == (False, "Waiting: nobody else is asked")
    assert "actions" not in [block["type"] for block in slack.render(told)["blocks"]]


BOTH = (agreed("carol"), agreed("dan"))
STANDINGS = {
    "approved": (
        approval(state=ApprovalState.APPROVED, decisions=BOTH),
        "Approved by carol and dan at 2026-03-20 10:01 UTC; it may run once, until 2026-03-20 10:16 UTC",
    ),
    "approved for a while": (
        approval(state=ApprovalState.APPROVED, decisions=BOTH, reuse_us=MINUTE, uses=3),
        (
            "Approved by carol and dan at 2026-03-20 10:01 UTC; it was let run 3 times; "
            "it may run again and again until 2026-03-20 10:16 UTC"
        ),
    ),
    "consumed": (
        approval(state=ApprovalState.CONSUMED, decisions=BOTH, uses=1),
        "Approved by carol and dan at 2026-03-20 10:01 UTC; it was let run once, at 2026-03-20 10:03 UTC",
    ),
    "denied": (
        approval(state=ApprovalState.DENIED, decisions=(agreed("carol"), agreed("dan", agrees=False))),
        "dan denied it at 2026-03-20 10:01 UTC: fine",
    ),
    "expired": (approval(state=ApprovalState.EXPIRED), "Expired: not enough people decided in time"),
    "expired unused": (
        approval(state=ApprovalState.EXPIRED, decisions=BOTH),
        "Approved by carol and dan at 2026-03-20 10:01 UTC; its time is over, it did not run",
    ),
    "abandoned": (approval(state=ApprovalState.ABANDONED), "Abandoned: its caller went away, nothing ran"),
    "cancelled": (
        replace(approval(state=ApprovalState.CANCELLED), reason="bob left"),
        "Cancelled: bob left",
    ),
    "glass_broken": (
        approval(state=ApprovalState.APPROVED, decisions=(agreed("ann", glass="on call"),)),
        (
            "Approved by its own caller, who broke the glass (rule on call): fine; "
            "it may run once, until 2026-03-20 10:16 UTC"
        ),
    ),
}


@pytest.mark.parametrize("case", STANDINGS)
def test_the_end_is_told_with_who_decided_and_whether_it_ran(case: str) -> None:
    ended, standing = STANDINGS[case]
    told = notice(ended, case.split(" ")[0])
    assert told.standing == standing
    assert told.body[0] == Said(standing)
    assert not told.asks
    assert told.alarm == (case == "glass_broken")
    assert "wants" not in told.title


def test_nothing_that_is_hidden_stays_hidden_and_only_quotes_have_lines() -> None:
    glass = (BreakGlass(HOSTILE),)
    for state in ApprovalState:
        for kind in ("agent", HOSTILE):
            decided = agreed("carol", HOSTILE, agrees=state is not ApprovalState.DENIED, glass=HOSTILE)
            told = notice(approval(HOSTILE, state=state, decisions=(decided,), glass=glass, kind=kind), "glass_broken")
            texts = [told.title, told.standing]
            for part in told.body:
                texts.append(part.label if isinstance(part, Quote) else part.text)
                if isinstance(part, Quote):
                    assert part.text.replace("\n", "").isprintable()
            assert all(text.isprintable() for text in texts)
            assert not any(char in "".join(texts) for char in HIDDEN)
            assert len(told.title) < 500


def test_long_lists_and_texts_end_somewhere_and_say_so() -> None:
    asked = approval(acts_for=tuple(f"p{number}" for number in range(100)))
    asked = replace(asked, requirements=tuple(replace(asked.requirements[0], rule=f"r{n}") for n in range(100)))
    told = notice(asked)
    assert "p0, p1, p2, p3, p4 and 95 more" in told.title
    assert Said("And 95 more demands") in told.body
    assert len(told.body) < 40
    statements = notice(replace(asked, summary=replace(asked.summary, statements=asked.summary.statements * 100)))
    assert Said("95 more statements, open to see") in statements.body
    assert len(statements.body) < 40


def test_texts_of_any_length_are_told_in_an_instant() -> None:
    asked = approval("\u202e" * 500_000, size=2)
    assert sum(len(part.text) for part in notice(asked).body) < 400_000
    assert cpu_s(lambda: webhook.render(notice(asked))) < 1


def test_the_small_words() -> None:
    assert [enumeration(["a", "b", "c"][:count], "or", 5) for count in range(4)] == ["", "a", "a or b", "a, b or c"]
    assert clipped("x" * 1210, 6) == "xxxxxx… (1,204 more characters, open to see)"
    assert line("abc", 3) == "abc"
    assert line("abcd", 3) == "ab…"
    assert len(line("\u202e" * 50, 20)) == 20
    assert (moment(NOON), instant(NOON + 1000), instant(0)) == (
        "2026-03-20 10:00 UTC",
        "2026-03-20T10:00:00.001Z",
        "",
    )
    spans = {0: "in 0 seconds", 1: "in 1 second", 119: "in 119 seconds", 120: "in 2 minutes", -7_200: "2 hours ago"}
    assert {seconds: relative(seconds * 1_000_000) for seconds in spans} == spans
