"""By which names the gateway may be reached, and which pages may call it: said exactly, or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.config.files import edited, loaded, pointed_at, refused

URL = 'url: "http://127.0.0.1:8080"'


def said(key: str, *texts: str) -> str:
    return edited(URL, f"{URL}, {key}: [{', '.join(map(repr, texts))}]")


@pytest.mark.parametrize(
    "host", ["gateway", "gateway.internal:8080", "10.0.0.7:80", "[::2]:8080", "xn--bcher-kva.example"]
)
def test_a_host_is_taken_as_callers_write_it(tmp_path: Path, host: str) -> None:
    assert loaded(tmp_path, said("hosts", host)).hosts == (host,)


@pytest.mark.parametrize(
    "host",
    [
        "*",
        "*.example.com",
        "Gateway",
        "https://gateway",
        "gateway/mcp",
        "a@gateway",
        "gateway:",
        "gateway:0",
        "g w",
        "::2",
    ],
)
def test_what_is_no_host_or_many_is_refused(tmp_path: Path, host: str) -> None:
    text = said("hosts", host)
    (problem,) = refused(tmp_path, text)
    assert pointed_at(text, problem).startswith(repr(host))


@pytest.mark.parametrize(
    "origin",
    [
        *("https://inspector.example.com", "https://inspector.example.com:8443", "http://localhost:6274"),
        *("chrome-extension://abcdefghijklmnop", "vscode-webview://1a2b3c"),
    ],
)
def test_an_origin_is_taken_as_browsers_write_it(tmp_path: Path, origin: str) -> None:
    assert loaded(tmp_path, said("origins", origin)).origins == (origin,)


@pytest.mark.parametrize(
    "origin",
    [
        *("*", "null", "https://*.example.com", "https://inspector.example.com/", "https://Inspector.example.com"),
        *("https://inspector.example.com:443", "http://inspector.example.com", "inspector.example.com", "file://x"),
        *("https://inspector.example.com/app", "chrome-extension://a/b", "data://x", ""),
    ],
)
def test_what_is_no_origin_or_many_is_refused(tmp_path: Path, origin: str) -> None:
    text = said("origins", origin)
    (problem,) = refused(tmp_path, text)
    assert pointed_at(text, problem).startswith(repr(origin))


@pytest.mark.parametrize(("key", "text"), [("hosts", "gateway:80"), ("origins", "https://a.example")])
def test_nothing_is_listed_twice(tmp_path: Path, key: str, text: str) -> None:
    (problem,) = refused(tmp_path, said(key, text, text))
    assert problem.what == "this is listed twice"


def test_neither_is_said_by_default(tmp_path: Path) -> None:
    config = loaded(tmp_path, edited(URL, URL))
    assert (config.hosts, config.origins) == ((), ())
