"""Approvals in gateway.yaml: whom rules ask, how calls wait, how people hear; what nobody could give is refused."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from countersign.config import ConfigRefused, SecretUse, load
from countersign.config.types import (
    Approvals,
    Channel,
    EmailChannel,
    GatewayConfig,
    SignInClient,
    SlackChannel,
    TeamsChannel,
    WebhookChannel,
)
from countersign.model.opening import parse_opening
from countersign.model.rule import Approvers, Effect, Glass
from tests.unit.config.files import loaded, pointed_at, refused

WHSEC = "whsec_" + base64.b64encode(bytes(range(32))).decode()
WORKFLOW = "https://teams.example/workflows/1?sig=" + "made-up"
ENV = {
    "PAGER_SECRET": WHSEC,
    "SIGN_IN_SECRET": "sign-in-" + "secret",
    "SLACK_TOKEN": "slack-" + "token",
    "SLACK_SIGNING": "slack-" + "signing",
    "TEAMS_URL": WORKFLOW,
    "MAIL_PASSWORD": "mail " + "password",
}
HEAD = """\
version: 1
gateway: {url: "https://mcp.example.com"}
identity: {oidc: [{issuer: "https://login.example.com"}]}
targets: {orders: {mcp: "https://orders.example/mcp"}, stock: {mcp: "https://stock.example/mcp"}}
masks: {names: {detect: [email], replace: tokenize}}
rules:
  - {name: base, allow: {groups: [base]}}
"""
PAGER = "{name: pager, webhook: {url: 'https://pager.example/hook', secret: {env: PAGER_SECRET}}}"


def with_rule(rule: str, approvals: str = f"channels: [{PAGER}]") -> str:
    return f"{HEAD}  - {{name: x, {rule}}}\napprovals: {{{approvals}}}\n"


def with_approvals(text: str) -> str:
    return with_rule("approve: {groups: [a]}, by: {groups: [owners]}", text)


def take(folder: Path, text: str, env: Mapping[str, str] = ENV) -> GatewayConfig:
    return loaded(folder, text, env)


def test_a_rule_says_all_of_whom_it_asks(tmp_path: Path) -> None:
    window = "Mon-Fri 08:00-18:00 Europe/Berlin"
    text = with_rule(
        "approve: {groups: [analysts]}, by: {groups: [data-owners, leads], count: 2, within: 4h, reuse: 30m, "
        f"window: '{window}', note_required: true}}"
    )
    config = take(tmp_path, text)
    assert config.rules_by_name["x"].by == Approvers(
        ("data-owners", "leads"), 2, 4 * 3_600, 30 * 60, parse_opening(window), note_required=True
    )
    assert config.asks_for_approval


def test_what_a_rule_does_not_say_is_the_strictest(tmp_path: Path) -> None:
    config = take(tmp_path, with_rule("approve: {groups: [a]}, by: {groups: [owners]}"))
    assert config.rules[1].by == Approvers(("owners",), count=1, within_s=900, reuse_s=0)
    assert config.rules[1].glass is None


def test_a_break_glass_rule_says_whom_it_alerts(tmp_path: Path) -> None:
    rule = take(tmp_path, with_rule("break_glass: {groups: [a]}, alert: [pager], within: 5m, reuse: 1h")).rules[1]
    assert (rule.effect, rule.by, rule.glass) == (Effect.BREAK_GLASS, None, Glass(("pager",), 300, 3_600))
    bare = take(tmp_path, with_rule("break_glass: {kind: person}, alert: [pager], reason_required: true")).rules[1]
    assert bare.glass == Glass(("pager",), 900, 0)


def test_rules_on_trial_need_nobody_yet(tmp_path: Path) -> None:
    for rule in ("approve: {groups: [a]}, mode: shadow", "break_glass: {groups: [a]}, mode: shadow"):
        config = take(tmp_path, with_rule(rule, ""))
        assert not config.asks_for_approval


@pytest.mark.parametrize(
    ("rule", "what", "at"),
    [
        ("approve: {groups: [a]}", "needs an approval that nobody could give", "approve"),
        ("approve: {groups: [a]}, by: {}", "missing key `rules[1].by.groups`", "by"),
        ("approve: {groups: [a]}, by: {groups: []}", "`rules[1].by.groups` is empty", "[]"),
        ("approve: {groups: [a]}, by: {groups: ['data-*']}", "is a wildcard where a group", "'data-*'"),
        ("approve: {groups: [a]}, by: {groups: ['*']}", "is a wildcard where a group", "'*'"),
        ("approve: {groups: [a]}, by: {groups: ['b ']}", "spaces around a group", "'b '"),
        ("approve: {groups: [a]}, by: [owners]", "is a list where a mapping", "[owners]"),
        ("approve: {groups: [a]}, by: {groups: [b], count: 0}", "`rules[1].by.count` is too small", "0"),
        ("approve: {groups: [a]}, by: {groups: [b], count: 21}", "`rules[1].by.count` is too large", "21"),
        ("approve: {groups: [a]}, by: {groups: [b], count: '2'}", "is text where a whole number", "'2'"),
        ("approve: {groups: [a]}, by: {groups: [b], within: 9s}", "`9s` is too short", "9s"),
        ("approve: {groups: [a]}, by: {groups: [b], within: 31d}", "`31d` is too long", "31d"),
        ("approve: {groups: [a]}, by: {groups: [b], within: 900}", "is a number where text", "900"),
        ("approve: {groups: [a]}, by: {groups: [b], within: 15 m}", "`15 m` is no duration", "15 m"),
        ("approve: {groups: [a]}, by: {groups: [b], within: 1.5s}", "`1.5s` is no duration", "1.5s"),
        ("approve: {groups: [a]}, by: {groups: [b], within: once}", "`once` is no duration", "once"),
        ("approve: {groups: [a]}, by: {groups: [b], within: -5m}", "`-5m` is no duration", "-5m"),
        ("approve: {groups: [a]}, by: {groups: [b], reuse: 25h}", "`25h` is too long", "25h"),
        ("approve: {groups: [a]}, by: {groups: [b], reuse: 0s}", "`0s` is too short", "0s"),
        ("approve: {groups: [a]}, by: {groups: [b], reuse: always}", "`always` is no duration", "always"),
        ("approve: {groups: [a]}, by: {groups: [b], window: 'Mon 8-18 UTC'}", "no usable `window`", "'Mon 8"),
        ("approve: {groups: [a]}, by: {groups: [b], window: 'Mon 09:00-09:00 UTC'}", "no usable `window`", "'Mon"),
        ("approve: {groups: [a]}, by: {groups: [b], window: 'Mon 09:00-10:00 Berlin'}", "no usable `window`", "'Mon"),
        ("approve: {groups: [a]}, by: {groups: [b], note: true}", "unknown key `note`", "note"),
        ("approve: {groups: [a]}, by: {groups: [b]}, within: 5m", "breaks no glass, and has `within`", "within"),
        ("approve: {groups: [a]}, by: {groups: [b]}, alert: [pager]", "breaks no glass, and has `alert`", "alert"),
        ("allow: {groups: [a]}, by: {groups: [b]}", "asks nobody", "by"),
        ("deny: {groups: [base], tools: [a]}, by: {groups: [b]}", "asks nobody", "by"),
        ("allow: {groups: [a]}, reuse: 5m", "breaks no glass, and has `reuse`", "reuse"),
        ("allow: {groups: [a]}, reason_required: true", "breaks no glass, and has `reason_required`", "reason_req"),
        ("break_glass: {groups: [a]}", "would be broken in silence", "break_glass"),
        ("break_glass: {groups: [a]}, alert: []", "`rules[1].alert` is empty", "[]"),
        ("break_glass: {groups: [a]}, alert: [pagr]", "there is no channel `pagr`", "pagr"),
        ("break_glass: {groups: [a]}, alert: [pager], by: {groups: [b]}", "asks nobody", "by"),
        ("break_glass: {groups: [a]}, alert: [pager], reason_required: false", "asks for no reason", "false"),
        ("break_glass: {kind: machine}, alert: [pager]", "is for machines", "machine"),
        ("break_glass: {tools: [a]}, alert: [pager]", "lets the glass be broken without saying whom", "break_glass"),
        ("break_glass: {groups: [a]}, alert: [pager], within: 5", "is a number where text", "5"),
        ("break_glass: {groups: [a]}, alert: [pager], reuse: 2d", "`2d` is too long", "2d"),
        ("break_glass: {groups: [a]}, alert: [pager], message: hi", "nobody reads its `message`", "message"),
        ("break_glass: {groups: [a]}, alert: [pager], unmask_for: ['*']", "hands nobody real values", "unmask_for"),
        ("break_glass: {groups: [a], methods: [ping]}, alert: [pager]", "nobody is asked", "break_glass"),
        ("break_glass: {groups: [a]}, allow: {groups: [b]}", "both `allow` and `break_glass`", "break_glass"),
    ],
)
def test_what_nobody_could_satisfy_or_nobody_would_hear_of_is_refused(
    tmp_path: Path, rule: str, what: str, at: str
) -> None:
    text = with_rule(rule)
    told = [problem for problem in refused(tmp_path, text, ENV) if what in problem.what]
    assert len(told) == 1, refused(tmp_path, text, ENV)
    assert pointed_at(text, told[0]).startswith(at)
    assert told[0].remedy


def test_a_broken_section_makes_no_channel_dangle(tmp_path: Path) -> None:
    text = with_rule("break_glass: {groups: [a]}, alert: [pager]", f"hold: 45, channels: [{PAGER}]")
    (problem,) = refused(tmp_path, text, ENV)
    assert "`approvals.hold`" in problem.what


@pytest.mark.parametrize(
    ("wide", "narrow", "what"),
    [
        ("deny: {groups: [a]}", "break_glass: {groups: [a]}, alert: [pager]", "can never let the glass be broken"),
        ("allow: {groups: [a]}", "break_glass: {groups: [a]}, alert: [pager]", "for `wide` allows all that it"),
        ("break_glass: {groups: [a]}, alert: [pager]", "break_glass: {groups: [a]}, alert: [pager]", "says what"),
    ],
)
def test_glass_that_nobody_needs_to_break_is_refused(tmp_path: Path, wide: str, narrow: str, what: str) -> None:
    text = f"{HEAD}  - {{name: wide, {wide}}}\n  - {{name: narrow, {narrow}}}\napprovals: {{channels: [{PAGER}]}}\n"
    (problem,) = refused(tmp_path, text, ENV)
    assert what in problem.what


@pytest.mark.parametrize(
    "others",
    [
        ("allow: {groups: [a]}", "approve: {groups: [a], tools: [x]}, by: {groups: [owners]}"),
        ("allow: {groups: [a]}, when: usage.rows_1h < 5",),
        ("allow: {groups: [a]}, mode: shadow",),
        ("approve: {groups: [a]}, by: {groups: [owners]}",),
    ],
)
def test_glass_that_may_be_needed_is_taken(tmp_path: Path, others: tuple[str, ...]) -> None:
    rules = "".join(f"  - {{name: r{index}, {rule}}}\n" for index, rule in enumerate(others))
    glass = "  - {name: glass, break_glass: {groups: [a], tools: [x]}, alert: [pager]}\n"
    assert take(tmp_path, f"{HEAD}{rules}{glass}approvals: {{channels: [{PAGER}]}}\n").asks_for_approval


ASK = "{{name: {}, approve: {{groups: [a]{}}}, by: {{groups: [owners], window: '{}'}}}}"


@pytest.mark.parametrize(
    ("wide", "narrow", "taken"),
    [
        ("Mon-Fri 08:00-18:00 UTC", "Sat-Sun 08:00-18:00 UTC", False),
        ("Mon-Sun 09:00-17:00 Europe/Berlin", "Mon-Sun 09:00-17:00 Pacific/Auckland", False),
        ("Mon-Fri 08:00-12:00 UTC", "Mon-Fri 12:00-18:00 UTC", False),
        ("Mon-Fri 08:00-18:00 UTC", "Fri-Sat 17:59-24:00 UTC", True),
        ("Fri 22:00-06:00 UTC", "Sat 05:00-08:00 UTC", True),
        # They meet in summer only.
        ("Mon 08:00-09:00 Europe/Berlin", "Mon 06:30-06:50 UTC", True),
    ],
)
def test_rules_that_must_both_be_satisfied_ask_at_hours_that_meet(
    tmp_path: Path, wide: str, narrow: str, taken: bool
) -> None:
    text = f"{HEAD}  - {ASK.format('wide', '', wide)}\n  - {ASK.format('narrow', ', tools: [x]', narrow)}\n"
    if taken:
        assert len(take(tmp_path, text).rules) == 3
        return
    (problem,) = refused(tmp_path, text, ENV)
    assert problem.what.startswith("nobody could satisfy `narrow`")
    apart = text.replace("approve: {groups: [a]}", "approve: {groups: [b]}")
    assert len(take(tmp_path, apart).rules) == 3


def test_without_the_section_there_are_defaults(tmp_path: Path) -> None:
    config = take(tmp_path, HEAD)
    assert config.approvals == Approvals(45.0, 45.0, 20, None, ())
    assert config.variables[SecretUse.APPROVALS] == frozenset()


SECTION = """\
hold: 0.5s, pending_per_principal: 3,
  sign_in: {issuer: 'https://login.example.com', client_id: cs, client_secret: {env: SIGN_IN_SECRET}},
  channels: [
    {name: pager, webhook: {url: 'https://pager.example/hook', secret: {env: PAGER_SECRET}}},
    {name: owners, groups: [owners], slack: {channel: C01, token: {env: SLACK_TOKEN},
      signing_secret: {env: SLACK_SIGNING}, api: 'http://127.0.0.1:9/api'}},
    {name: teams, teams: {url: {env: TEAMS_URL}}},
    {name: mail, email: {host: smtp.example.com, port: 465, security: tls, from: gw@example.com,
      to: [a@example.com, b@example.com], username: gw, password: {env: MAIL_PASSWORD}}}]"""


def test_the_section_says_how_calls_wait_and_how_people_hear(tmp_path: Path) -> None:
    config = take(tmp_path, with_approvals(SECTION))
    approvals = config.approvals
    assert (approvals.hold_s, approvals.pending_per_principal) == (0.5, 3)
    assert approvals.sign_in is not None
    assert approvals.sign_in.client_secret is not None
    assert replace(approvals.sign_in, client_secret=None) == SignInClient("https://login.example.com", "cs")
    pager, owners, teams, mail = approvals.channels
    assert [(each.name, each.groups) for each in approvals.channels] == [
        ("pager", ()), ("owners", ("owners",)), ("teams", ()), ("mail", ()),
    ]  # fmt: skip
    assert isinstance(pager.how, WebhookChannel)
    assert (pager.how.url, pager.how.secret.reveal()) == ("https://pager.example/hook", WHSEC)
    assert isinstance(owners.how, SlackChannel)
    assert (owners.how.channel, owners.how.api) == ("C01", "http://127.0.0.1:9/api")
    assert (owners.how.token.reveal(), owners.how.signing_secret.reveal()) == ("slack-token", "slack-signing")
    assert isinstance(teams.how, TeamsChannel)
    assert teams.how.url.reveal() == WORKFLOW
    assert isinstance(mail.how, EmailChannel)
    assert mail.how.password is not None
    assert mail.how.password.reveal() == "mail password"
    to = ("a@example.com", "b@example.com")
    assert replace(mail.how, password=None) == EmailChannel("smtp.example.com", 465, "tls", "gw@example.com", to, "gw")
    assert config.variables[SecretUse.APPROVALS] == ENV.keys()


def test_only_who_notifies_reads_its_credentials(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(with_approvals(SECTION))
    config = load(file, {}, reads={SecretUse.TARGETS, SecretUse.POSTGRES})
    assert config.variables[SecretUse.APPROVALS] == ENV.keys()
    how = config.approvals.channels[0].how
    assert isinstance(how, WebhookChannel)
    with pytest.raises(PermissionError):
        how.secret.reveal()
    with pytest.raises(ConfigRefused) as caught:
        load(file, {}, reads={SecretUse.APPROVALS})
    assert len(caught.value.problems) == len(ENV)


def test_a_channel_of_mail_needs_little(tmp_path: Path) -> None:
    mail = "{name: mail, email: {host: 127.0.0.1, from: gw@example.com, to: [a@example.com]}}"
    (channel,) = take(tmp_path, with_approvals(f"channels: [{mail}]")).approvals.channels
    how = EmailChannel("127.0.0.1", 587, "starttls", "gw@example.com", ("a@example.com",))
    assert channel == Channel("mail", how)


def slack(channel: str, token: str) -> str:
    keys = f"channel: {channel}, token: {{env: {token}}}, signing_secret: {{env: SLACK_SIGNING}}"
    return f"channels: [{{name: a, slack: {{{keys}}}}}]"


def mail(
    more: str = "", *, host: str = "smtp.example.com", sender: str = "a@b.example", to: str = "c@d.example"
) -> str:
    keys = f"host: {host}, from: {sender}, to: [{to}]{more and ', '}{more}"
    return f"channels: [{{name: a, email: {{{keys}}}}}]"


@pytest.mark.parametrize(
    ("section", "what", "at"),
    [
        ("hold: 0.05s", "`0.05s` is too short", "0.05s"),
        ("hold: 281s", "`281s` is too long", "281s"),
        ("hold: 5m", "`5m` is too long", "5m"),
        ("hold: soon", "`soon` is no duration", "soon"),
        ("pending_per_principal: 0", "is too small", "0"),
        ("pending_per_principal: 1001", "is too large", "1001"),
        ("hodl: 45s", "unknown key `hodl`", "hodl"),
        ("sign_in: {client_id: x}", "missing key `approvals.sign_in.issuer`", "sign_in"),
        ("sign_in: {issuer: 'https://other.example', client_id: x}", "none of the issuers", "'https://other"),
        ("sign_in: {issuer: 'https://login.example.com/', client_id: x}", "none of the issuers", "'https://login"),
        ("sign_in: {issuer: 'https://login.example.com', client_id: ' x'}", "in `client_id`", "' x'"),
        ("channels: {pager: {}}", "is a mapping where a list", "{pager"),
        ("channels: [{name: pager}]", "has not exactly one way to notify", "{name"),
        (f"channels: [{PAGER[:-1]}, teams: {{url: {{env: TEAMS_URL}}}}}}]", "has not exactly one way", "{name"),
        (f"channels: [{PAGER}, {PAGER}]", "the channel `pager` stands twice", "pager, webhook"),
        (f"channels: [{PAGER.replace('pager, ', 'Pager, ')}]", "`Pager` is no usable name", "Pager"),
        (f"channels: [{PAGER[:-1]}, groups: ['o*']}}]", "is a wildcard where a group", "'o*'"),
        (f"channels: [{PAGER[:-1]}, groups: [owner]}}]", "no rule asks the group `owner`", "owner]"),
        (f"channels: [{PAGER.replace('https', 'http')}]", "http:// is for hosts on this machine", "'http:"),
        (f"channels: [{PAGER.replace('/hook', '/hook?key=1')}]", "the URL has a query", "'https:"),
        (f"channels: [{PAGER.replace('{env: PAGER_SECRET}', WHSEC)}]", "secret` holds text", "whsec_"),
        (f"channels: [{PAGER.replace('PAGER_SECRET', 'SLACK_TOKEN')}]", "does not start with whsec_", "SLACK_TOKEN"),
        ("channels: [{name: a, teams: {url: 'https://t.example'}}]", "url` holds text", "'https:"),
        ("channels: [{name: a, teams: {url: {env: SLACK_TOKEN}}}]", "starts with neither https:// nor", "SLACK_TOKEN"),
        (slack("'a b'", "SLACK_TOKEN"), "no channel of Slack", "'a b'"),
        (slack("a", "MAIL_PASSWORD"), "that no HTTP header may hold", "MAIL_PASSWORD"),
        (mail("port: 0"), "is too small", "0"),
        (mail("security: ssl"), "no security `ssl`", "ssl"),
        (mail("username: u"), "stands alone", "{host"),
        (mail("security: none, username: u, password: {env: MAIL_PASSWORD}"), "would travel unencrypted", "none"),
        (mail(sender='"a@b.example\\nBcc: x@y.example"'), "no mail address", '"a@b'),
        (mail(to="c"), "no mail address", "c]"),
        (mail(to="C <c@d.example>"), "no mail address", "C <c"),
        (mail(host="a/b"), "no host name", "a/b"),
    ],
)
def test_a_section_that_would_not_do_what_it_says_is_refused(tmp_path: Path, section: str, what: str, at: str) -> None:
    text = with_approvals(section)
    problems = refused(tmp_path, text, ENV)
    told = [problem for problem in problems if what in problem.what]
    assert len(told) == 1, problems
    assert pointed_at(text, told[0]).startswith(at)
    assert not any(secret in str(problem) for problem in problems for secret in ENV.values())


@pytest.mark.parametrize(
    "secret",
    [
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        "whsec_" + "not base64!",
        "whsec_",
        base64.b64encode(bytes(32)).decode(),
    ],
)
def test_a_webhook_is_signed_with_a_real_key_and_it_says_how_to_make_one(tmp_path: Path, secret: str) -> None:
    env = {**ENV, "PAGER_SECRET": secret}
    (problem,) = refused(tmp_path, with_approvals(f"channels: [{PAGER}]"), env)
    assert "openssl rand -base64 32" in problem.remedy
    assert secret not in str(problem) or secret == "whsec_"


def test_a_candidate_says_whom_its_rules_would_ask_and_no_credential_of_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "new.yaml").write_text(with_approvals(f"channels: [{PAGER}]"))
    config = take(tmp_path, HEAD + "shadow: new.yaml\n", {})
    assert config.candidate is not None
    assert config.candidate.rules[1].by == Approvers(("owners",))
    assert not config.asks_for_approval
    (tmp_path / "new.yaml").write_text(with_rule("approve: {groups: [a]}", ""))
    (problem,) = refused(tmp_path, HEAD + "shadow: new.yaml\n", {})
    assert "nobody could give" in problem.what
