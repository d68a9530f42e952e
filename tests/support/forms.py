"""Web pages as a browser reads them."""

from __future__ import annotations

from html.parser import HTMLParser


class Forms(HTMLParser):
    """The forms of a page, by their actions; every tag, every attribute's name, and all text between."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: dict[str, dict[str, str]] = {}
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self._fields: dict[str, str] = {}

    @classmethod
    def of(cls, page: str) -> dict[str, dict[str, str]]:
        return cls.read(page).forms

    @classmethod
    def read(cls, page: str) -> Forms:
        reader = cls()
        reader.feed(page)
        reader.close()
        return reader

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        said = {name: value or "" for name, value in attrs}
        self.attributes.update(said)
        if tag == "form":
            self._fields = self.forms.setdefault(said["action"], {})
        elif tag in ("input", "textarea"):
            self._fields[said["name"]] = said.get("value", "")

    def handle_data(self, data: str) -> None:
        self.text += data
