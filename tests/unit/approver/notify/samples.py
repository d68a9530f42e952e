"""Approvals whose every text is somebody's attack."""

from __future__ import annotations

from countersign.approver.notify.ports import News
from countersign.approver.notify.summary import Notice, notice_of
from countersign.model.approval import (
    Approval,
    ApprovalState,
    ApprovalSummary,
    BreakGlass,
    Person,
    PersonDecision,
    Requirement,
    StatementSummary,
)

MINUTE = 60_000_000
NOON = 1_774_000_800_000_000
"""Friday 20 March 2026, 10:00 UTC."""
LINK = "https://gw.example/approvals/a1?x=1&y=2"

HOSTILE = "".join(
    (
        "<!channel><!everyone> <http://evil.example|here> @everyone <@U1> *b* `c` :boom: ",
        '</pre><script>alert(1)</script><img src=x onerror="x"> ',
        "**b** [x](http://evil.example) {{DATE(2026-01-01T00:00:00Z,SHORT)}} <at>all</at> ",
        "\x1b[2J\x07\x00\u202egnp\u202c\u2066\u200b\u00ad\ufeff\U000e0041\u2028\ud800 ",
        "\r\nBcc: evil@evil.example\r\n\r\n.\r\nQUIT\r\n",
    )
)
HIDDEN = ("\x1b", "\x07", "\x00", "\u202e", "\u202c", "\u2066", "\u200b", "\u00ad", "\ufeff", "\U000e0041", "\u2028")


def approval(
    text: str = "",
    *,
    state: ApprovalState = ApprovalState.PENDING,
    decisions: tuple[PersonDecision, ...] = (),
    glass: tuple[BreakGlass, ...] = (),
    kind: str = "agent",
    acts_for: tuple[str, ...] = ("bob",),
    uses: int = 0,
    reuse_us: int = 0,
    size: int = 1,
) -> Approval:
    """An approval of ann's, with ``text`` wherever others put words; statements and arguments ``size`` times."""
    issuer = f"https://issuer.example{text}"
    statement = StatementSummary(
        f"sql{text}",
        "postgres",
        f"delete\n\tfrom orders{text}" * size,
        ("delete",),
        (f"public.orders{text}",),
        "1 row",
    )
    return Approval(
        id="a1",
        state=state,
        version=3,
        digest=b"d",
        asked_by=Person(issuer, f"ann{text}"),
        asked_by_kind=kind,
        acts_for=tuple(Person(issuer, f"{name}{text}") for name in acts_for),
        session_id="s1",
        target=f"orders-db{text}",
        method="tools/call",
        name=f"query{text}",
        policy_version="p1",
        summary=ApprovalSummary(
            f'{{\n  "a": "{text}"\n}}' * size, f"deleting asks{text}", (statement,), f"Runs SQL.{text}"
        ),
        requirements=(
            Requirement(f"owners agree{text}", (f"data-owners{text}", "dbas"), 2, True, "Mon-Fri 08:00-18:00 UTC"),
        ),
        break_glass=glass,
        decisions=decisions,
        asked_at_us=NOON,
        expires_at_us=NOON + 15 * MINUTE,
        decided_at_us=NOON + MINUTE if decisions else 0,
        grant_until_us=NOON + 16 * MINUTE if decisions else 0,
        reuse_us=reuse_us,
        uses=uses,
        reason=text,
    )


def agreed(subject: str, text: str = "", *, agrees: bool = True, glass: str = "") -> PersonDecision:
    """What somebody said one minute later."""
    return PersonDecision(
        Person("https://issuer.example", f"{subject}{text}"),
        agrees,
        f"fine{text}",
        NOON + MINUTE,
        (f"owners agree{text}",),
        glass,
    )


def notice(of: Approval, what: str = "asked", *, link: str = LINK) -> Notice:
    """What is told of it three minutes after it was asked."""
    return notice_of(of, News("e1", of.id, of.version, what, NOON + 3 * MINUTE), NOON + 3 * MINUTE, link)
