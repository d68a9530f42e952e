"""How what a target offers is called at the one door, and back. Pure.

A target's name has small letters, digits and hyphens only, so the first ``__`` of a tool's name, the first ``+`` of a
URI and the first ``:`` of any other handle end it, whatever the target called the rest.
"""

from __future__ import annotations

from countersign.model.door import HUB_NAME

SEPARATOR = "__"
LONGEST_NAME = 128
"""Characters of a tool's or prompt's name (MCP 2025-11-25, Tools): a longer one is not offered."""


class NotNamed(ValueError):
    """A name that is none of the one door's. ``str()`` quotes nothing of it."""


def tool_name(target: str, name: str) -> str:
    """Return what a target's tool or prompt is called at the door."""
    return f"{target}{SEPARATOR}{name}"


def split_tool_name(name: str) -> tuple[str, str]:
    """Return the target, and its own name of the tool or prompt. Raises ``NotNamed``."""
    target, separator, own = name.partition(SEPARATOR)
    if not (target and separator and own):
        raise NotNamed(f"names of tools and prompts are TARGET{SEPARATOR}NAME here")
    return target, own


def uri_at_door(target: str, uri: str) -> str:
    """Return a target's URI, or template of URIs, as the door has it: still a URI, of another scheme.

    A scheme begins with a letter (RFC 3986, section 3.1); where the target's name does not, ``mcp`` goes before it,
    which no target is called.
    """
    return f"{target}+{uri}" if target[0].isalpha() else f"{HUB_NAME}+{target}+{uri}"


def split_uri(uri: str) -> tuple[str, str]:
    """Return the target, and its own URI. Raises ``NotNamed``."""
    target, separator, own = uri.partition("+")
    if target == HUB_NAME:
        target, separator, own = own.partition("+")
        if target[:1].isalpha():
            raise NotNamed("this spelling of a URI is nobody's here")
    elif target and not target[0].isalpha():
        raise NotNamed("this spelling of a URI is nobody's here")
    if not (target and separator and own):
        raise NotNamed("URIs are TARGET+URI here")
    return target, own


def handle(target: str, own: str) -> str:
    """Return what a target's task, event or request is called at the door."""
    return f"{target}:{own}"


def split_handle(text: str) -> tuple[str, str]:
    """Return the target, and its own handle. Raises ``NotNamed``."""
    target, separator, own = text.partition(":")
    if not (target and separator and own):
        raise NotNamed("this is nothing that was given out here")
    return target, own
