"""What the page shows is what there is, nothing in it acts, and only its own form, by who may, decides."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from countersign.approver.page.cookies import SESSION_S
from countersign.model.approval import ApprovalSummary, Person, StatementSummary
from countersign.runtime.guarded import HEADERS
from tests.support.approvals import GLASS, OWNERS, TWO_OWNERS, question
from tests.support.forms import Forms
from tests.unit.approver.page.world import World

STRANGE_ID = "0d0f6f0b-6c55-4b0d-8f0a-2f6b1f1c9a57"
TAGS = frozenset(
    (
        *("html", "head", "meta", "title", "link", "body", "header", "main", "footer", "section", "a", "p", "h1", "h2"),
        *("h3", "form", "input", "label", "textarea", "button", "span", "strong", "blockquote", "time", "pre", "dl"),
        *("dt", "dd", "ul", "li", "table", "thead", "tbody", "tr", "th", "td"),
    )
)


@pytest.fixture
def world() -> World:
    return World()


async def test_a_person_agrees_and_it_is_recorded(world: World) -> None:
    approval = await world.ask()
    owen = await world.signed_in("owen")
    assert approval.id in (await owen.get("/approvals/")).text
    answer = await owen.decide(approval, note="all right")
    assert (answer.status_code, answer.headers["location"]) == (303, f"https://gateway.test/approvals/{approval.id}")
    assert await world.state(approval) == "approved"
    page = (await owen.get(f"/approvals/{approval.id}")).text
    assert "all right" in page
    assert "/decide" not in page
    assert world.recorded() == ["asked", "approved"]


async def test_what_is_agreed_to_on_the_page_is_known_by_its_sign_in_and_by_what_the_record_shows(world: World) -> None:
    """So that an operator who sees it in the record can take it back."""
    approval = await world.ask()
    await (await world.signed_in("owen")).decide(approval)
    (decision,) = (await world.store.get(approval.id)).decisions
    (by,) = [event.principal for event in world.sink.durable if event.method == "approved"]
    assert decision.token is not None
    assert by is not None
    assert (decision.token.token_id, decision.token.signed_in) == (by.token_id, by.signed_in)
    assert decision.token.token_id
    assert decision.token.issued_s > 0


async def test_a_person_denies_and_the_caller_reads_why(world: World) -> None:
    approval = await world.ask()
    await (await world.signed_in("owen")).decide(approval, "deny", note="not on a Friday")
    assert await world.state(approval) == "denied"
    alice = await world.signed_in("alice")
    assert "not on a Friday" in (await alice.get(f"/approvals/{approval.id}")).text


async def test_what_a_statement_does_is_said(world: World) -> None:
    statements = (
        StatementSummary("sql", "postgres", "DELETE FROM t\nWHERE a", ("write",), ("public.t",), "no bound"),
        StatementSummary("cmd", "shell", "rm x", ("write",)),
    )
    approval = await world.ask(replace(question(), summary=ApprovalSummary("{}", "why", statements, "Deletes rows.")))
    page = (await (await world.signed_in("owen")).get(f"/approvals/{approval.id}")).text
    assert "<pre>DELETE FROM t\nWHERE a</pre>" in page
    for text in ("sql: postgres", "public.t", 'class="danger">no bound', "Deletes rows.", "cmd: shell"):
        assert text in page
    assert page.count("<dt>Rows</dt>") == 1


async def test_one_of_two_is_said(world: World) -> None:
    approval = await world.ask(question(TWO_OWNERS))
    owen = await world.signed_in("owen")
    assert "0 of 2 from data-owners" in (await owen.get(f"/approvals/{approval.id}")).text
    await owen.decide(approval)
    page = (await owen.get(f"/approvals/{approval.id}")).text
    assert "1 of 2 from data-owners" in page
    assert "you have decided already" in page
    await (await world.signed_in("olga")).decide(approval)
    assert await world.state(approval) == "approved"


async def test_who_asked_sees_it_and_may_take_it_back_and_nothing_else(world: World) -> None:
    approval = await world.ask()
    alice = await world.signed_in("alice")
    page = await alice.get(f"/approvals/{approval.id}")
    assert 'http-equiv="refresh"' in page.text
    forms = Forms.of(page.text)
    assert set(forms) == {"/approvals/sign-out", f"/approvals/{approval.id}/cancel"}
    cancel = forms[f"/approvals/{approval.id}/cancel"]
    decided = {**cancel, "version": "1", "decision": "approve", "note": ""}
    refused = await alice.http.post(f"/approvals/{approval.id}/decide", data=decided)
    assert refused.status_code == 403
    assert "you asked for it" in refused.text
    assert await world.state(approval) == "pending"
    assert (await alice.http.post(f"/approvals/{approval.id}/cancel", data=cancel)).status_code == 303
    assert await world.state(approval) == "cancelled"
    assert world.recorded() == ["asked", "decision_refused", "cancelled"]


async def test_who_may_not_agree_at_this_hour_may_still_deny(world: World) -> None:
    approval = await world.ask(question(replace(OWNERS, window="never heard of")))
    owen = await world.signed_in("owen")
    page = (await owen.get(f"/approvals/{approval.id}")).text
    assert ('value="approve"' in page, 'value="deny"' in page) == (False, True)
    assert (await owen.decide(approval)).status_code == 403
    assert (await owen.decide(approval, "deny")).status_code == 303


async def test_a_form_that_may_hold_words_is_not_loaded_anew(world: World) -> None:
    approval = await world.ask()
    page = await (await world.signed_in("owen")).get(f"/approvals/{approval.id}")
    assert 'http-equiv="refresh"' not in page.text


async def test_a_stranger_learns_nothing(world: World) -> None:
    approval = await world.ask()
    mallory = await world.signed_in("mallory")
    there = await mallory.get(f"/approvals/{approval.id}")
    nowhere = await mallory.get(f"/approvals/{STRANGE_ID}")
    assert (there.status_code, there.text) == (nowhere.status_code, nowhere.text)
    assert there.status_code == 404
    csrf = (await mallory.form("/approvals/", "/approvals/sign-out"))["csrf"]
    form = {"csrf": csrf, "version": "1", "decision": "approve", "note": ""}
    answer = await mallory.http.post(f"/approvals/{approval.id}/decide", data=form)
    assert (answer.status_code, answer.text) == (404, there.text)
    assert await world.state(approval) == "pending"
    assert world.recorded()[-1] == "decision_refused"


async def test_the_caller_breaks_the_glass_with_a_reason(world: World) -> None:
    approval = await world.ask(question(OWNERS, glass=(GLASS,)))
    alice = await world.signed_in("alice")
    action = f"/approvals/{approval.id}/break-glass"
    form = await alice.form(f"/approvals/{approval.id}", action)
    short = await alice.http.post(action, data={**form, "reason": "because"})
    assert (short.status_code, "because" in short.text) == (400, True)
    assert (await alice.http.post(action, data={**form, "reason": "the shop is down"})).status_code == 303
    assert await world.state(approval) == "approved"
    assert world.recorded()[-1] == "glass_broken"
    owen = await world.signed_in("owen")
    assert action not in (await owen.get(f"/approvals/{approval.id}")).text


async def test_a_note_that_a_rule_demands_is_asked_for_again(world: World) -> None:
    approval = await world.ask(question(replace(OWNERS, note_required=True)))
    owen = await world.signed_in("owen")
    assert (await owen.decide(approval, note="  \r\n ")).status_code == 400
    assert (await owen.decide(approval, note="ticket 7")).status_code == 303


async def test_a_stale_version_is_said_and_keeps_the_words(world: World) -> None:
    approval = await world.ask(question(TWO_OWNERS))
    owen, olga = await world.signed_in("owen"), await world.signed_in("olga")
    form = await owen.form(f"/approvals/{approval.id}", f"/approvals/{approval.id}/decide")
    await olga.decide(approval)
    answer = await owen.http.post(
        f"/approvals/{approval.id}/decide", data={**form, "decision": "approve", "note": "I looked"}
    )
    assert answer.status_code == 409
    assert "it changed since you saw it" in answer.text.lower()
    assert "I looked" in answer.text
    assert await world.state(approval) == "pending"
    assert (await owen.decide(approval)).status_code == 303


async def test_what_is_over_is_said(world: World) -> None:
    approval = await world.ask()
    owen, olga = await world.signed_in("owen"), await world.signed_in("olga")
    form = await owen.form(f"/approvals/{approval.id}", f"/approvals/{approval.id}/decide")
    await olga.decide(approval, "deny")
    answer = await owen.http.post(f"/approvals/{approval.id}/decide", data={**form, "decision": "approve"})
    assert answer.status_code == 409
    assert await world.state(approval) == "denied"


async def test_a_decision_sent_twice_counts_once(world: World) -> None:
    approval = await world.ask()
    owen = await world.signed_in("owen")
    form = await owen.form(f"/approvals/{approval.id}", f"/approvals/{approval.id}/decide")
    answers = [
        await owen.http.post(f"/approvals/{approval.id}/decide", data={**form, "decision": "approve"}) for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [303, 303]
    assert world.recorded() == ["asked", "approved"]


@pytest.mark.parametrize(
    "fields",
    [
        {"csrf": ""},
        {"csrf": "guess"},
        {"csrf": "\u00e9"},
        {"version": ""},
        {"version": "-1"},
        {"version": "\u0661"},
        {"version": "9" * 30},
        {"decision": "yes"},
        {"decision": ""},
        {"note": "x" * 1001},
    ],
    ids=lambda fields: " ".join(
        f"{name}={value[:5].encode('unicode_escape').decode()}" for name, value in fields.items()
    ),
)
async def test_a_form_that_is_not_the_pages_decides_nothing(world: World, fields: dict[str, str]) -> None:
    approval = await world.ask()
    answer = await (await world.signed_in("owen")).decide(approval, **fields)
    assert answer.status_code in (400, 403)
    assert await world.state(approval) == "pending"


@pytest.mark.parametrize("path", ["decide", "break-glass", "cancel"])
async def test_the_form_of_another_session_decides_nothing(world: World, path: str) -> None:
    approval = await world.ask(question(OWNERS, glass=(GLASS,)))
    mine = await world.signed_in("mallory")
    csrf = (await mine.form("/approvals/", "/approvals/sign-out"))["csrf"]
    victim = await world.signed_in("owen" if path == "decide" else "alice")
    form = {"csrf": csrf, "version": "1", "decision": "approve", "reason": "the shop is down"}
    assert (await victim.http.post(f"/approvals/{approval.id}/{path}", data=form)).status_code == 403
    assert await world.state(approval) == "pending"


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
async def test_a_form_that_another_site_sent_decides_nothing(world: World, site: str) -> None:
    approval = await world.ask()
    owen = await world.signed_in("owen")
    owen.http.headers["sec-fetch-site"] = site
    assert (await owen.decide(approval)).status_code == 403
    owen.http.headers["sec-fetch-site"] = "same-origin"
    assert (await owen.decide(approval)).status_code == 303


async def test_who_is_not_signed_in_decides_nothing(world: World) -> None:
    approval = await world.ask()
    owen = await world.signed_in("owen")
    form = await owen.form(f"/approvals/{approval.id}", f"/approvals/{approval.id}/decide")
    sent = {**form, "decision": "approve"}
    stranger = await world.browser().http.post(f"/approvals/{approval.id}/decide", data=sent)
    assert (stranger.status_code, f"?approval={approval.id}" in stranger.text) == (403, True)
    world.later_s = SESSION_S
    assert (await owen.http.post(f"/approvals/{approval.id}/decide", data=sent)).status_code == 403
    assert await world.state(approval) == "pending"


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({}, b"x" * (64 * 1024), 413),
        ({}, b"a=1&" * 8_000, 400),
        ({}, b"csrf=1&csrf=1", 400),
        ({}, b"csrf=%ff", 400),
        ({}, b"csrf=\xff", 400),
        ({}, b"csrf", 400),
        ({}, b"", 403),
        ({"content-type": "multipart/form-data; boundary=x"}, b"--x--", 415),
        ({"content-type": "application/json"}, b"{}", 415),
        ({"content-type": ""}, b"csrf=1", 415),
    ],
    ids=["large", "many fields", "twice", "no UTF-8", "no ASCII", "no field", "empty", "multipart", "JSON", "untyped"],
)
async def test_a_body_that_is_no_form_is_refused(
    world: World, headers: dict[str, str], body: bytes, status: int
) -> None:
    approval = await world.ask()
    owen = await world.signed_in("owen")
    sent = {"content-type": "application/x-www-form-urlencoded", **headers}
    answer = await owen.http.post(f"/approvals/{approval.id}/decide", content=body, headers=sent)
    assert answer.status_code == status
    assert await world.state(approval) == "pending"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
async def test_only_a_post_decides(world: World, method: str) -> None:
    approval = await world.ask()
    owen = await world.signed_in("owen")
    form = await owen.form(f"/approvals/{approval.id}", f"/approvals/{approval.id}/decide")
    for action in ("decide", "break-glass", "cancel"):
        path = f"/approvals/{approval.id}/{action}"
        answer = await owen.http.request(method, path, params={**form, "decision": "approve"})
        assert answer.status_code == 405
    assert (await owen.http.head(f"/approvals/{approval.id}")).status_code == 200
    assert await world.state(approval) == "pending"


async def test_nothing_of_the_caller_or_the_target_acts_in_the_page(world: World) -> None:
    hostile = (
        """</textarea></pre></title>"'><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7*7 }}\u202e\x1b[2J"""
    )
    rule = replace(OWNERS, rule=hostile, groups=("data-owners", hostile), window=hostile)
    asked = replace(
        question(rule, glass=(replace(GLASS, rule=hostile),), acts_for=(Person(hostile, hostile),)),
        target=hostile,
        method=hostile,
        name=hostile,
        policy_version=hostile,
        summary=ApprovalSummary(
            hostile,
            hostile,
            (StatementSummary(hostile, hostile, hostile, (hostile,), (hostile,), hostile),),
            hostile,
        ),
    )
    approval = await world.ask(asked)
    alice, owen = await world.signed_in("alice"), await world.signed_in("owen")
    await owen.decide(approval, "deny", note=hostile)
    again = await world.ask(replace(asked, digest=b"x" * 32))
    state = parse_qs(urlsplit(await owen.begin()).query)["state"][0]
    pages = [
        await owen.get(f"/approvals/{approval.id}"),
        await alice.get(f"/approvals/{again.id}"),
        await owen.get(f"/approvals/{again.id}"),
        await alice.get("/approvals/"),
        await owen.get(f"/approvals/signed-in?{urlencode({'error': hostile, 'state': state})}"),
    ]
    for page in pages:
        read = Forms.read(page.text)
        assert read.tags <= TAGS, read.tags - TAGS
        assert not [name for name in read.attributes if name.startswith("on") or name in ("style", "src")]
        assert "\u202e" not in page.text
        assert "\x1b" not in page.text
    assert r"\u202e" in pages[0].text
    assert "<script>alert(1)</script>" in Forms.read(pages[0].text).text


async def test_every_answer_forbids_what_the_page_does_not_need(world: World) -> None:
    approval = await world.ask()
    owen = await world.signed_in("owen")
    answers = [
        await owen.get(f"/approvals/{approval.id}"),
        await owen.get("/approvals/"),
        await owen.get("/approvals"),
        await owen.get("/approvals/style.css"),
        await owen.get("/approvals/nothing/here"),
        await owen.get("/elsewhere"),
        await owen.get("/approvals/sign-in"),
        await owen.http.put("/approvals/"),
        await owen.http.post("/approvals/slack/interactions"),
        await world.browser().get("/approvals/"),
    ]
    assert {answer.status_code for answer in answers} == {200, 303, 401, 403, 404, 405}
    for answer in answers:
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS


async def test_without_sign_in_there_is_only_a_hint(world: World) -> None:
    owen = await world.signed_in("owen")
    world.config = replace(world.config, approvals=replace(world.config.approvals, sign_in=None))
    for path in ("/approvals/", f"/approvals/{STRANGE_ID}", "/approvals/sign-in", "/approvals/style.css", "/"):
        answer = await owen.get(path)
        assert (answer.status_code, "countersign approvals" in answer.text) == (404, True)


async def test_an_issuer_that_is_configured_no_more_signs_nobody_in(world: World) -> None:
    world.config = replace(world.config, issuers=())
    assert (await world.browser().sign_in("owen")).status_code == 403


async def test_a_database_that_is_away_is_said(world: World) -> None:
    approval = await world.ask()
    owen = await world.signed_in("owen")
    form = await owen.form(f"/approvals/{approval.id}", f"/approvals/{approval.id}/decide")
    world.store.away = True
    assert (await owen.get("/approvals/")).status_code == 503
    sent = {**form, "decision": "approve"}
    assert (await owen.http.post(f"/approvals/{approval.id}/decide", data=sent)).status_code == 503


async def test_what_cannot_be_recorded_is_said(world: World) -> None:
    approval = await world.ask()
    owen = await world.signed_in("owen")
    world.sink.refuse = lambda _: True
    answer = await owen.decide(approval)
    assert answer.status_code == 503
    assert "cannot be recorded" in answer.text


async def test_an_error_of_ours_tells_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(_: str) -> None:
        raise RuntimeError("hunter2")

    approval = await world.ask()
    owen = await world.signed_in("owen")
    monkeypatch.setattr(world.store, "get", broken)
    answer = await owen.get(f"/approvals/{approval.id}")
    assert (answer.status_code, "hunter2" in answer.text + caplog.text) == (500, False)
