"""A name at the door is one target's, whatever targets call themselves and what they have."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.config.shape import TARGET_NAME
from countersign.config.targets import RESERVED_TARGETS
from countersign.model.door_names import (
    NotNamed,
    handle,
    split_handle,
    split_tool_name,
    split_uri,
    tool_name,
    uri_at_door,
)

targets = st.from_regex(re.compile(TARGET_NAME), fullmatch=True).filter(lambda name: name not in RESERVED_TARGETS)
names = st.text(min_size=1, max_size=20) | st.sampled_from(["__x", "_x", "new__where", "a+b", "a:b", "+", ":", "mcp+a"])
WAYS: list[tuple[Callable[[str, str], str], Callable[[str], tuple[str, str]]]] = [
    (tool_name, split_tool_name),
    (uri_at_door, split_uri),
    (handle, split_handle),
]


@pytest.mark.parametrize(("there", "back"), WAYS)
@given(target=targets, name=names)
def test_what_a_target_has_comes_back_as_its_own(
    there: Callable[[str, str], str], back: Callable[[str], tuple[str, str]], target: str, name: str
) -> None:
    assert back(there(target, name)) == (target, name)


@pytest.mark.parametrize(("there", "back"), WAYS)
@given(one=targets, other=targets, name=names, another=names)
def test_no_two_targets_have_a_name_in_common(
    there: Callable[[str, str], str],
    back: Callable[[str], tuple[str, str]],
    one: str,
    other: str,
    name: str,
    another: str,
) -> None:
    assert (there(one, name) == there(other, another)) == ((one, name) == (other, another))


@given(
    text=st.text(max_size=30) | st.sampled_from(["mcp+new+x:", "3x+a:", "mcp+mcp+a:", "+a", "mcp+", "__", "a__", ":"])
)
def test_each_thing_has_one_spelling(text: str) -> None:
    for there, back in WAYS:
        try:
            target, own = back(text)
        except NotNamed:
            continue
        assert there(target, own) == text


@pytest.mark.parametrize("target", ["orders", "a", "3scale", "9"])
def test_a_uri_at_the_door_is_a_uri(target: str) -> None:
    # RFC 3986, section 3.1.
    assert re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", uri_at_door(target, "file:///notes"))
