"""What `identity:` says of issuers and machines is read as written; what would not protect is refused in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from countersign.config import GatewayConfig
from countersign.config.types_identity import Issuer, Machine
from tests.unit.config.files import GOOD, edited, loaded, pointed_at, refused

ISSUER = '{issuer: "http://127.0.0.1:8090", groups: groups}'
GITHUB = "https://token.actions.githubusercontent.com"
GITLAB = "https://gitlab.com"
CI = "{issuer: GITHUB, claims: {repository: acme/payments, ref: refs/heads/main}}"


def written(oidc: str, machines: str = "", more: str = "") -> str:
    """The good file with other issuers, machines, and further keys of `identity:`."""
    text = edited(ISSUER, oidc.replace("GITHUB", f'"{GITHUB}"').replace("GITLAB", f'"{GITLAB}"'))
    named = f"  machines:\n{machines}" if machines else ""
    named = named.replace("GITHUB", f'"{GITHUB}"').replace("GITLAB", f'"{GITLAB}"')
    return text.replace("targets:\n  orders", f"{named}{more}targets:\n  orders", 1)


def read(folder: Path, oidc: str, machines: str = "", more: str = "") -> GatewayConfig:
    return loaded(folder, written(oidc, machines, more))


def test_all_that_is_said_of_an_issuer_is_read(tmp_path: Path) -> None:
    oidc = (
        '{issuer: "https://idp.example", groups: realm_access.roles, subject: email, audiences: [a], '
        "algorithms: [RS256, ES256], clock_skew: 1m, "
        "required: {hd: acme.example, email_verified: true, org: [a, 'b*']}, "
        "keys_file: keys/idp.json, id_tokens: true}"
    )
    (issuer,) = read(tmp_path, oidc).issuers
    assert issuer == Issuer(
        issuer="https://idp.example",
        groups_claim="realm_access.roles",
        audiences=("a",),
        subject_claim="email",
        algorithms=("RS256", "ES256"),
        clock_skew_s=60,
        required={"hd": ("acme.example",), "email_verified": ("true",), "org": ("a", "b*")},
        keys_file=str(tmp_path / "keys/idp.json"),
        id_tokens=True,
    )


def test_machines_and_the_bound_of_revocation_are_read(tmp_path: Path) -> None:
    machines = f"    payments-ci: {CI.replace('}}', '}, groups: [ci]}')}\n"
    config = read(tmp_path, "{issuer: GITHUB, only_machines: true}", machines, "  revocation: {unknown_after: 2.5s}\n")
    claims = {"repository": ("acme/payments",), "ref": ("refs/heads/main",)}
    assert config.machines == (Machine("payments-ci", GITHUB, claims, ("ci",)),)
    assert config.issuers[0].only_machines
    assert config.revocation.unknown_after_s == 2.5
    assert loaded(tmp_path, GOOD).revocation.unknown_after_s == 5.0


ISSUERS = [
    ("algorithms: [HS256]", "whoever can verify a token can also forge one", "HS256"),
    ("algorithms: [none]", "a token without a signature proves nothing", "none"),
    ("algorithms: [RS265]", "there is no algorithm `RS265`", "RS265"),
    ("algorithms: []", "is empty", "[]"),
    ("clock_skew: 121s", "is too long", "121s"),
    ("clock_skew: 1.5s", "is no duration", "1.5s"),
    ("id_tokens: true", "ID tokens are for clients of the issuer", "true"),
    ("only_machines: true", "no machine is of it", "true"),
    ("groups: 'a '", "spaces around", "'a '"),
    ("subject: 'a '", "spaces around", "'a '"),
    ("required: {}", "is empty", "{}"),
    ("required: {hd: []}", "is empty", "[]"),
    ("required: {hd: 'a '}", "spaces around", "'a '"),
    ("required: {hd: 5}", "where a list is needed", "5"),
    ("keys_file: 'a '", "spaces around", "'a '"),
]


@pytest.mark.parametrize(("key", "what", "at"), ISSUERS, ids=[row[0] for row in ISSUERS])
def test_what_would_not_protect_is_refused_where_it_stands(tmp_path: Path, key: str, what: str, at: str) -> None:
    text = written('{issuer: "https://idp.example", ' + key + "}")
    problem = refused(tmp_path, text)[0]
    assert what in problem.what
    assert pointed_at(text, problem).startswith(at)


WORLD = [
    ("{issuer: GITHUB}", "gives tokens to the whole world"),
    ("{issuer: 'https://token.actions.githubusercontent.com/'}", "gives tokens to the whole world"),
    ("{issuer: 'https://TOKEN.actions.githubusercontent.com'}", "gives tokens to the whole world"),
    ("{issuer: GITLAB, audiences: [x]}", "gives tokens to the whole world"),
    ("{issuer: 'https://accounts.google.com', audiences: [x], id_tokens: true}", "gives tokens to the whole world"),
    ("{issuer: GITHUB, required: {repository: '*/payments'}}", "gives tokens to the whole world"),
    ("{issuer: GITHUB, required: {repository: 'acme*'}}", "gives tokens to the whole world"),
    ("{issuer: GITHUB, required: {repository: ['acme/x', '*']}}", "gives tokens to the whole world"),
    ("{issuer: GITHUB, required: {repository_owner: 'acme*'}}", "gives tokens to the whole world"),
    ("{issuer: GITHUB, required: {sub: 'repo:*'}}", "gives tokens to the whole world"),
    ("{issuer: GITHUB, required: {ref: refs/heads/main}}", "gives tokens to the whole world"),
    (
        "{issuer: GITHUB, required: {job_workflow_ref: 'acme/x/.github/workflows/ci.yml@refs/heads/main'}}",
        "whole world",
    ),
    ("{issuer: 'https://accounts.google.com', required: {email: '*@acme.example'}}", "gives tokens to the whole world"),
    ("{issuer: 'https://login.microsoftonline.com/common/v2.0'}", "no token names this issuer"),
    ("{issuer: 'https://login.microsoftonline.com/Organizations/v2.0'}", "no token names this issuer"),
    ("{issuer: 'https://sts.windows.net/'}", "no token names this issuer"),
    ("{issuer: 'https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0'}", "whole world"),
]


@pytest.mark.parametrize(("oidc", "what"), WORLD, ids=[row[0] for row in WORLD])
def test_an_issuer_of_everybodys_tokens_is_refused_unless_it_is_said_whose(
    tmp_path: Path, oidc: str, what: str
) -> None:
    assert what in refused(tmp_path, written(oidc))[0].what


@pytest.mark.parametrize(
    "oidc",
    [
        "{issuer: GITHUB, required: {repository: 'acme/*'}}",
        "{issuer: GITHUB, required: {repository_owner: acme}}",
        "{issuer: GITHUB, required: {sub: 'repo:acme/*'}}",
        "{issuer: 'https://token.actions.githubusercontent.com/acme'}",
        "{issuer: GITLAB, required: {namespace_path: 'acme/*'}}",
        "{issuer: 'https://gitlab.acme.example'}",
        "{issuer: 'https://accounts.google.com', required: {hd: acme.example}}",
        "{issuer: 'https://login.microsoftonline.com/6f0c1d0e-7a4d-4d8b-9c3e-2a1b0c9d8e7f/v2.0'}",
        "{issuer: 'https://app.terraform.io', required: {sub: 'organization:acme:*'}}",
    ],
)
def test_an_issuer_of_whom_it_is_said_whose_tokens_are_meant_is_taken(tmp_path: Path, oidc: str) -> None:
    assert len(read(tmp_path, oidc).issuers) == 1


ONLY = "{issuer: GITHUB, only_machines: true}"
MACHINES = [
    ("ci: {issuer: 'https://idp.example', claims: {a: b}}", "none of the issuers under", "'https://idp"),
    ("ci: {issuer: GITHUB, claims: {ref: refs/heads/main}}", "anybody could be `ci`", "{ref"),
    ("ci: {issuer: GITHUB, claims: {repository: '*'}}", "every token could be `ci`", "{repository"),
    (
        "ci: {issuer: GITHUB, claims: {repository: [acme/x, '**'], ref: '?*'}}",
        "every token could be `ci`",
        "{repository",
    ),
    ("ci: {issuer: GITHUB, claims: {}}", "is empty", "{}"),
    ("ci: {issuer: GITHUB, claims: {repository: 'acme/*'}, groups: ['c*']}", "not in globs of them", "'c*'"),
    ("'c i': {issuer: GITHUB, claims: {repository: 'acme/*'}}", "no usable name of a machine", "'c i'"),
    ("ci: {issuer: GITHUB}", "missing key", "ci"),
]


@pytest.mark.parametrize(("machine", "what", "at"), MACHINES, ids=[row[0] for row in MACHINES])
def test_a_machine_that_anybody_or_nobody_could_be_is_refused(tmp_path: Path, machine: str, what: str, at: str) -> None:
    text = written(ONLY, f"    {machine}\n")
    found = [problem for problem in refused(tmp_path, text) if what in problem.what]
    assert found
    assert pointed_at(text, found[0]).startswith(at)


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ("{repository: acme/x}", "{repository: acme/x}", ["b"]),
        ("{repository: acme/x}", "{repository: acme/x, ref: main}", ["b"]),
        ("{repository: acme/x, ref: main}", "{repository: 'acme/*'}", ["a"]),
        ("{repository: [acme/x, acme/y]}", "{repository: 'acme/*', ref: '*'}", []),
        ("{repository: acme/x}", "{repository: acme/y}", []),
        ("{repository: acme/x, ref: main}", "{repository: acme/x, environment: production}", []),
    ],
)
def test_of_two_machines_one_that_would_never_be_is_refused(
    tmp_path: Path, one: str, other: str, told: list[str]
) -> None:
    machines = f"    a: {{issuer: GITHUB, claims: {one}}}\n    b: {{issuer: GITHUB, claims: {other}}}\n"
    text = written(ONLY, machines)
    if not told:
        assert len(loaded(tmp_path, text).machines) == 2
        return
    problems = refused(tmp_path, text)
    assert [pointed_at(text, problem)[0] for problem in problems] == told
    assert "and so would be refused" in problems[0].what


@pytest.mark.parametrize("subject", ["email", "preferred_username", "upn"])
def test_what_people_choose_themselves_at_entra_is_no_subject(tmp_path: Path, subject: str) -> None:
    tenant = "https://login.microsoftonline.com/6f0c1d0e-7a4d-4d8b-9c3e-2a1b0c9d8e7f/v2.0"
    text = written(f"{{issuer: '{tenant}', subject: {subject}}}")
    (problem,) = refused(tmp_path, text)
    assert pointed_at(text, problem).startswith(subject)
    assert read(tmp_path, f"{{issuer: '{tenant}', subject: oid}}").issuers


@pytest.mark.parametrize("bound", ["0s", "0.9s", "61s", "2m", "soon"])
def test_a_bound_that_is_none_is_refused(tmp_path: Path, bound: str) -> None:
    text = written(ISSUER, "", f"  revocation: {{unknown_after: {bound}}}\n")
    assert pointed_at(text, refused(tmp_path, text)[0]).startswith(bound)


def test_the_gateways_own_portal_is_no_issuer_of_others(tmp_path: Path) -> None:
    text = written('{issuer: "http://127.0.0.1:8080/portal"}')
    assert "own portal" in refused(tmp_path, text)[0].what


@pytest.mark.parametrize(
    "section",
    ["approvals: {sign_in: {issuer: GITHUB, client_id: page}}", "portal: {oidc: [{issuer: GITHUB, client_id: p}]}"],
)
def test_nobody_signs_in_where_only_machines_do(tmp_path: Path, section: str) -> None:
    text = written(ONLY, f"    ci: {CI}\n") + section.replace("GITHUB", f'"{GITHUB}"') + "\n"
    (problem,) = refused(tmp_path, text)
    assert "nobody could sign in there" in problem.what
    assert pointed_at(text, problem).startswith(f'"{GITHUB}"')
