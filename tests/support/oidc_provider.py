"""Somebody else's OpenID Connect provider (oidc-provider-mock, by Authlib), in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import httpx

from tests.support.gateway import free_port, wait_until
from tests.support.user_agent import Page, UserAgent

_START_S = 30.0


@contextmanager
def running_provider(people: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Run one for these people and their groups; yields its issuer."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)]
    for name, groups in people.items():
        command += ["--user-claims", json.dumps({"sub": name, "groups": list(groups)})]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    issuer = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _answers(issuer), _START_S, lambda: AssertionError("the provider does not answer"))
        yield issuer
    finally:
        process.terminate()
        process.wait(10)


def sign_in(agent: UserAgent, page: Page, name: str) -> Page:
    """Choose a person on the provider's page."""
    [form] = [one for one in page.forms if ("sub", name) in one.buttons]
    return agent.submit(page, form, ("sub", name))


def _answers(issuer: str) -> bool:
    try:
        return httpx.get(f"{issuer}/.well-known/openid-configuration").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
