"""A strict stand-in for a browser: cookies, redirects, forms, and what a page's policy lets a form do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx

from tests.support.browser_cookies import BrowserCookies

_MOST_REDIRECTS = 10


@dataclass
class Form:
    """A form as it stands: fields and their values, and its buttons."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        assert not any(name.startswith("on") for name in said), f"a handler of script in <{tag}>"
        if tag == "form":
            self.forms.append(Form(said.get("action", ""), said.get("method", "get").lower()))
        elif tag in ("input", "textarea") and self.forms and said.get("name"):
            self.forms[-1].fields[said["name"]] = said.get("value", "")
        elif tag == "button" and self.forms:
            self.forms[-1].buttons.append((said.get("name", ""), said.get("value", "")))
        elif tag == "a" and said.get("href"):
            self.links.append(said["href"])

    def handle_data(self, data: str) -> None:
        self.text += data


@dataclass
class Page:
    """What the agent looks at: an answer, and the way that led there."""

    answer: httpx.Response
    way: list[str]
    forms: list[Form]
    links: list[str]
    text: str

    @property
    def url(self) -> str:
        return str(self.answer.url)


class UserAgent:
    """Goes where a person goes who clicks and types. ``seen`` are all answers, the oldest first."""

    def __init__(self) -> None:
        cookies = BrowserCookies()
        hooks: dict[str, list[Callable[..., None]]] = {"request": [cookies.show], "response": [cookies.take]}
        self.http = httpx.Client(event_hooks=hooks, follow_redirects=False, timeout=30.0)
        self.seen: list[httpx.Response] = []

    def close(self) -> None:
        self.http.close()

    def open(self, url: str) -> Page:
        """Open a page, and follow its redirects."""
        return self._follow(self.http.get(url, headers=_NAVIGATES), [url], None)

    def submit(self, page: Page, form: Form, button: tuple[str, str] | None = None, **typed: str) -> Page:
        """Type into a form and press a button; a policy of the page holds for its redirects, too (as in Chromium)."""
        target = urljoin(page.url, form.action)
        allowed = _form_action(page.answer)
        _check_allowed(allowed, page.url, target)
        assert set(typed) <= set(form.fields), "typed into a field that is not there"
        fields = {**form.fields, **typed, **({button[0]: button[1]} if button and button[0] else {})}
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(page.url))
        headers = {
            **_NAVIGATES,
            "origin": origin,
            "sec-fetch-site": "same-origin" if target.startswith(origin) else "cross-site",
        }
        assert form.method == "post", "a form that leaves its fields in the URL"
        return self._follow(self.http.post(target, data=fields, headers=headers), [target], (allowed, page.url))

    def _follow(self, answer: httpx.Response, way: list[str], policy: tuple[list[str] | None, str] | None) -> Page:
        self.seen.append(answer)
        for _ in range(_MOST_REDIRECTS):
            if not answer.has_redirect_location:
                break
            target = urljoin(str(answer.url), answer.headers["location"])
            assert urlsplit(target).scheme in ("http", "https")
            if policy is not None:
                _check_allowed(policy[0], policy[1], target)
            way.append(target)
            answer = self.http.get(target, headers=_NAVIGATES)
            self.seen.append(answer)
        reader = _Reader()
        if "html" in answer.headers.get("content-type", ""):
            reader.feed(answer.text)
        return Page(answer, way, reader.forms, reader.links, reader.text)


_NAVIGATES = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "accept": "text/html"}


def _form_action(answer: httpx.Response) -> list[str] | None:
    for directive in answer.headers.get("content-security-policy", "").split(";"):
        name, *sources = directive.split() or [""]
        if name == "form-action":
            return sources
    return None


def _check_allowed(allowed: list[str] | None, page: str, target: str) -> None:
    if allowed is None:
        return
    own, there = ("{0.scheme}://{0.netloc}".format(urlsplit(url)) for url in (page, target))
    good = any(
        (source == "'self'" and there == own) or source == there or (source.endswith(":") and there.startswith(source))
        for source in allowed
    )
    assert good, f"the page's policy ({allowed}) keeps its form from {there}"
