"""What would load but not protect, or never do what it says, is refused in its place with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.config.files import GOOD, edited, loaded, pointed_at, refused

ALLOW = 'allow: {groups: [analysts], targets: [orders], tools: [query, "list_*"]}'
DENY = 'deny: {targets: ["*"], tools: ["export_*"]}'
MASK = 'pii: {detect: [email, credit_card, us_ssn], fields: [ssn, "*.card"], replace: "[{label}]"}'

SHAPES = [
    ("version: 1", "version: 2", "not known", "2"),
    ("version: 1", "version: true", "`version` is true or false where a whole number is needed", "true"),
    ("version: 1", 'version: "1"', "`version` is text where a whole number is needed", '"1"'),
    ("version: 1", "version: 1.0", "`version` is a number where a whole number is needed", "1.0"),
    ("version: 1\n", "", "missing key `version`", "gateway"),
    ("targets: [orders]", "target: [orders]", "unknown key `target`", "target: "),
    ("identity:", "Identity:", "unknown key `Identity`", "Identity"),
    ("identity:", "Identity:", "missing key `identity`", "version"),
    ("groups: groups}", "groups: 5}", "is a number where text is needed", "5"),
    ("groups: groups}", "groups: [groups]}", "is a list where text is needed", "[groups]"),
    ("name: analysts read", "name: 2024", "is a number where text is needed", "2024"),
    ("name: analysts read", 'name: ""', "`rules[0].name` is empty", '""'),
    ("groups: [analysts]", "groups: analysts", "is text where a list is needed", "analysts"),
    ("groups: [analysts]", "groups: []", "`rules[0].allow.groups` is empty", "[]"),
    ("groups: [analysts]", "groups: [true]", "is true or false where text is needed", "true"),
    ("groups: [analysts]", 'groups: [""]', "`rules[0].allow.groups[0]` is empty", '""'),
    ("groups: [auditors]", "groups: []", "`auditors.groups` is empty", "[]"),
    ("mask: [secrets, pii]", "mask: []", "`rules[0].mask` is empty", "[]"),
    ("{detect: [secrets]}", "{detect: []}", "`masks.secrets.detect` is empty", "[]"),
    ("{detect: [secrets]}", "[secrets]", "`masks.secrets` is a list where a mapping is needed", "[secrets]"),
    (GOOD[GOOD.index("rules:") : GOOD.index("masks:")], "rules: []\n", "`rules` is empty", "[]"),
    (GOOD[GOOD.index("rules:") : GOOD.index("masks:")], "", "missing key `rules`", "version"),
    (GOOD[GOOD.index("targets:") : GOOD.index("rules:")], "targets: {}\n", "`targets` is empty", "{}"),
    (
        GOOD[GOOD.index("identity:") : GOOD.index("targets:")],
        "identity: {oidc: []}\n",
        "`identity.oidc` is empty",
        "[]",
    ),
    ("recording: {mode: required}", "limits: {json_depth: 1}", "is too small", "1"),
    ("recording: {mode: required}", "limits: {json_depth: 1000}", "is too large", "1000"),
    ("recording: {mode: required}", "limits: {json_depth: 64.0}", "a number where a whole number", "64.0"),
    ("recording: {mode: required}", "limits: {record_timeout_s: .inf}", "is not finite", ".inf"),
    ("recording: {mode: required}", "limits: {record_timeout_s: .nan}", "is not finite", ".nan"),
    ("recording: {mode: required}", 'limits: {record_timeout_s: "2"}', "is text where a number", '"2"'),
]

RULES = [
    (ALLOW, f"{ALLOW}\n    {DENY}", "both `allow` and `deny`", "deny"),
    (ALLOW, "message: x", "neither `allow` nor `approve` nor `deny`", "name: analysts read"),
    ("groups: [analysts], ", "", "allows without saying whom", "allow"),
    (DENY, f"{DENY}\n    mask: [pii]", "nothing to mask", "mask: [pii]"),
    (ALLOW, f"{ALLOW}\n    message: hello", "nobody reads its `message`", "message: hello"),
    ("name: no exports", "name: analysts read", "stands twice", "analysts read"),
    ("name: no exports", "name: Analysts Read", "differs only in case", "Analysts Read"),
    ("name: no exports", 'name: "no exports "', "spaces around it", '"no exports "'),
    ("mask: [secrets, pii]", "mask: [secrets, PII]", "there is no mask `PII`", "PII"),
    ("targets: [orders]", "targets: [order]", "`order` is no target", "order]"),
    ("targets: [orders]", 'targets: [orders, "stock*"]', "`stock*` matches no target", '"stock*"'),
    ("targets: [orders]", "targets: [Orders]", "`Orders` is no target", "Orders"),
    ("tools: [query,", 'tools: ["[qr]uery",', "matches nothing", '"[qr]uery"'),
    ("tools: [query,", 'tools: ["query ",', "spaces around it", '"query "'),
    ("tools: [query,", 'tools: ["a|b",', "matches nothing", '"a|b"'),
    (DENY, "deny: {methods: [tools/Call], groups: [x]}", "there is no method `tools/Call`", "tools/Call"),
    (DENY, "deny: {methods: [tool/call], groups: [x]}", "there is no method `tool/call`", "tool/call"),
    (DENY, "deny: {methods: [get], groups: [x]}", "there is no method `get`", "get"),
    (DENY, "deny: {methods: [tools/list], tools: [x]}", "these methods have no tools to select", "methods"),
    (DENY, 'deny: {methods: ["resources/*"], prompts: [x]}', "these methods have no prompts", "methods"),
    (DENY, "deny: {}", "can never allow", "name: analysts read"),
    (ALLOW, "deny: {groups: [x]}", "no rule allows anything", "rules"),
]

REST = [
    ("  orders:", "  Orders:", "`Orders` is no usable name", "Orders"),
    ("  orders:", "  mcp:", "`mcp` is no usable name", "mcp"),
    ("  orders:", "  approvals:", "`approvals` is no usable name", "approvals"),
    ("  orders:", "  portal:", "`portal` is no usable name", "portal"),
    ("  orders:", "  .well-known:", "`.well-known` is no usable name", ".well-known"),
    ("  orders:", "  ..:", "`..` is no usable name", ".."),
    ("  orders:", "  a/b:", "`a/b` is no usable name", "a/b"),
    ("  orders:", '  "orders\\n":', "no usable name", '"orders'),
    ("  orders:", f"  {'a' * 64}:", "no usable name", "a"),
    ("secrets: {detect", "PII: {detect", "differs only in case from `pii`", "PII"),
    ("secrets: {detect", "secrets/x: {detect", "no usable name of a mask", "secrets/x"),
    (MASK, 'pii: {replace: "x"}', "finds nothing", "pii"),
    ("[email,", "[emails,", "there is no detector `emails`", "emails"),
    ("[ssn,", '["ssn..x",', "`ssn..x` is no path of keys", '"ssn..x"'),
    ("[ssn,", '["customer.*",', "`customer.*` is no path of keys", '"customer.*"'),
    ("[ssn,", '["card*",', "`card*` is no path of keys", '"card*"'),
    ("[ssn,", '["*",', "`*` is no path of keys", '"*"'),
    ("[ssn,", '["$.rows[0].ssn",', "is no path of keys", '"$.rows[0].ssn"'),
    ("[{label}]", "[{value}]", "braces other than {label}", '"[{value}]"'),
    ("[{label}]", "{label!r}", "braces other than {label}", '"{label!r}"'),
    ("[{label}]", "a\\nb", "unprintable", '"a\\nb"'),
    ("mode: required", "mode: best_effort", "no other mode", "best_effort"),
    ("mode: required", "mode: off", "no other mode", "off"),
    ("groups: [auditors]", 'groups: ["*"]', "a wildcard would open the record", '"*"'),
    ("groups: groups}", 'groups: "gr\\0ups"}', "unprintable characters", '"gr'),
    (
        "groups: groups}",
        'groups: groups}\n    - {issuer: "http://127.0.0.1:8090/"}',
        "this issuer stands here twice",
        '"http://127.0.0.1:8090/"',
    ),
]


@pytest.mark.parametrize(("old", "new", "what", "at"), SHAPES + RULES + REST)
def test_what_would_not_protect_is_refused_in_its_place(tmp_path: Path, old: str, new: str, what: str, at: str) -> None:
    text = edited(old, new)
    problems = refused(tmp_path, text)
    told = [problem for problem in problems if what in problem.what]
    assert len(told) == 1, problems
    assert pointed_at(text, told[0]).startswith(at)
    assert told[0].remedy


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ("targets: [orders]", "groups: [a], targets: [orders], tools: [query]"),
        ("groups: [a, b]", "groups: [a]"),
        ("groups: ['*']", "groups: [a]"),
        ("groups: ['a*']", "groups: [ab, 'a*']"),
        ("tools: [query, other]", "groups: [a], tools: [query]"),
        ("tools: ['*']", "groups: [a], tools: [query]"),
        ("methods: ['tools/*']", "groups: [a], methods: [tools/call]"),
        ("tools: ['*'], prompts: ['*']", "groups: [a], tools: [x], prompts: [y]"),
        ("targets: [orders, stock]", "groups: [a]"),
        ("targets: ['*']", "groups: [a], targets: [stock]"),
    ],
)
def test_an_allow_that_a_deny_covers_whole_is_refused(tmp_path: Path, wide: str, narrow: str) -> None:
    (problem,) = refused(tmp_path, two_rules(wide, narrow))
    assert "the rule `narrow` can never allow, for `wide` denies all that it selects" in problem.what


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ("targets: [stock]", "groups: [a]"),
        ("groups: [b]", "groups: [a, b]"),
        ("groups: [a]", "groups: ['*']"),
        ("groups: ['?']", "groups: ['a*']"),
        ("tools: ['*']", "groups: [a]"),
        ("tools: ['*']", "groups: [a], tools: [x], prompts: [y]"),
        ("tools: ['export_*']", "groups: [a], tools: ['*']"),
        ("methods: [tools/call]", "groups: [a]"),
        ("prompts: ['*']", "groups: [a], tools: [x]"),
    ],
)
def test_an_allow_that_a_deny_leaves_something_of_is_taken(tmp_path: Path, wide: str, narrow: str) -> None:
    assert len(loaded(tmp_path, two_rules(wide, narrow)).rules) == 2


def two_rules(wide: str, narrow: str) -> str:
    return f"""\
version: 1
gateway: {{url: "https://mcp.example.com"}}
identity: {{oidc: [{{issuer: "https://login.example.com"}}]}}
targets: {{orders: {{mcp: "https://orders.example/mcp"}}, stock: {{mcp: "https://stock.example/mcp"}}}}
rules:
  - {{name: narrow, allow: {{{narrow}}}}}
  - {{name: wide, deny: {{{wide}}}}}
"""


@pytest.mark.parametrize(
    "method", ["tools/*", "vendor/anything", "tools/call", "notifications/*", "sampling/createMessage"]
)
def test_methods_of_extensions_are_taken(tmp_path: Path, method: str) -> None:
    loaded(tmp_path, edited(DENY, f'deny: {{methods: ["{method}"], groups: [x]}}'))


@pytest.mark.parametrize("field", ["ssn", "*.card", "customer.*.card", "card number", "x-key", "größe"])
def test_paths_of_keys_are_taken(tmp_path: Path, field: str) -> None:
    assert loaded(tmp_path, edited("[ssn,", f'["{field}",')).masks["pii"].fields[0] == field


def test_an_empty_replacement_removes_what_is_found(tmp_path: Path) -> None:
    assert loaded(tmp_path, edited('"[{label}]"', '""')).masks["pii"].replace == ""
