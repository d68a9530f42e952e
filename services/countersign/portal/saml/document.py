"""XML from outside: read within bounds, and only as far as SAML has use for it."""

from __future__ import annotations

from lxml import etree

from countersign.portal.saml.refused import SamlRefused

LONGEST_BYTES = 256 * 1024
_DEEPEST = 32
_MOST_ELEMENTS = 5_000
_MOST_ATTRIBUTES = 32
_MOST_NAMESPACES = 2_000
_DECLARATION = "<?xml "

Element = etree._Element  # noqa: SLF001 - lxml has no other name for it


def parse(data: bytes) -> Element:
    """Return the root of ``data``, a document of plain elements, attributes and text.

    Refused before any parser sees them: more than 256 KiB or 2,000 namespaces, other encodings than UTF-8, DTDs (with
    them entities of every kind), comments, CDATA and processing instructions. Refused afterwards: what is nested more
    than 32 deep, has more than 5,000 elements, or 32 attributes on one, and ids that are not unique, however ``ID`` is
    spelt. No provider needs any of these; each has served to have two readers see two documents, or one read for ever.
    Raises ``SamlRefused``.
    """
    if len(data) > LONGEST_BYTES:
        raise SamlRefused(f"the document has more than {LONGEST_BYTES} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise SamlRefused("the document is not UTF-8") from None
    _plain(text)
    # The parser's own bounds stay on (huge_tree), and no declared encoding is believed.
    parser = etree.XMLParser(encoding="utf-8", resolve_entities=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise SamlRefused("the document is not well-formed XML") from None
    _bounded(root)
    return root


def children(parent: Element, tag: str) -> list[Element]:
    """Return those children of ``parent`` that have this tag, ``{namespace}name``."""
    return [child for child in parent if child.tag == tag]


def only(parent: Element, tag: str) -> Element:
    """Return the one child of ``parent`` that has this tag. Raises ``SamlRefused`` where there is none, or another."""
    found = children(parent, tag)
    if len(found) != 1:
        raise SamlRefused(f"{_name(parent.tag)} has {len(found)} {_name(tag)} where there must be one")
    return found[0]


def text_of(element: Element, longest: int = 1024) -> str:
    """Return the text of an element that holds only text. Raises ``SamlRefused`` for elements in it, and long text."""
    if len(element):
        raise SamlRefused(f"{_name(element.tag)} holds elements where there must be text")
    text = element.text or ""
    if len(text) > longest:
        raise SamlRefused(f"{_name(element.tag)} has more than {longest} characters")
    return text


def _plain(text: str) -> None:
    body = text.removeprefix("\ufeff").lstrip()
    if body.startswith(_DECLARATION):
        body = body.partition("?>")[2]
    # A "<" of well-formed text is markup: these two begin all that is neither an element nor its end.
    if "<!" in body or "<?" in body:
        raise SamlRefused("the document has a DTD, an entity, a comment, CDATA or a processing instruction")
    if text.count("xmlns") > _MOST_NAMESPACES:
        raise SamlRefused(f"the document declares more than {_MOST_NAMESPACES} namespaces")


def _bounded(root: Element) -> None:
    seen: set[str] = set()
    ahead = [(root, 1)]
    count = 0
    while ahead:
        element, depth = ahead.pop()
        count += 1
        if depth > _DEEPEST or count > _MOST_ELEMENTS or len(element.attrib) > _MOST_ATTRIBUTES:
            raise SamlRefused("the document is nested too deep, or has too many elements or attributes")
        for name, value in element.attrib.items():
            if etree.QName(name).localname.lower() != "id":
                continue
            if value in seen:
                raise SamlRefused("two elements of the document have the same ID")
            seen.add(str(value))
        ahead.extend((child, depth + 1) for child in element)


def _name(tag: object) -> str:
    return etree.QName(str(tag)).localname
