"""Files in answers, through the real Envoy to the real client: text in them is masked, pictures pass where they may."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping

import mcp_types
import pytest
from mcp import MCPError

from tests.e2e.conftest import World
from tests.support.clients import MODERN, call, mcp_client, post
from tests.support.targets import answers, scripted_target, speaks_mcp

PICTURE = base64.b64encode(b"\x89PNG\r\n\x1a\n" + secrets.token_bytes(200)).decode()


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def holding(*content: Mapping[str, object]) -> dict[str, object]:
    return {"content": list(content), "isError": False, "resultType": "complete"}


def file(blob: str, media: str) -> dict[str, object]:
    return {"type": "resource", "resource": {"uri": "file:///notes", "blob": blob, "mimeType": media}}


IMAGE = {"type": "image", "data": PICTURE, "mimeType": "image/png"}


async def test_text_in_files_is_masked_and_pictures_pass_where_they_may(world: World) -> None:
    canary = f"canary.{secrets.token_hex(6)}@example.org"
    told = f"name,mail\nKim,{canary}\n"
    disguised = {**IMAGE, "data": encoded(f"write to {canary}")}
    script = speaks_mcp(answers(holding(file(encoded(told), "text/csv"), disguised, IMAGE)))
    async with (
        scripted_target(script, port=world.scripted_port),
        mcp_client(world.guarded, world.token("alice", "guarded"), MODERN) as client,
    ):
        notes, fake, picture = (await client.call_tool("query", {})).content
    assert isinstance(notes, mcp_types.EmbeddedResource)
    assert isinstance(notes.resource, mcp_types.BlobResourceContents)
    assert base64.b64decode(notes.resource.blob).decode() == told.replace(canary, "[EMAIL]")
    assert isinstance(fake, mcp_types.ImageContent)
    assert base64.b64decode(fake.data) == b"write to [EMAIL]"
    assert isinstance(picture, mcp_types.ImageContent)
    assert picture.data == PICTURE


async def test_a_picture_is_withheld_with_the_remedy_where_nothing_says_that_it_may_pass(world: World) -> None:
    async with scripted_target(speaks_mcp(answers(holding(IMAGE))), port=world.scripted_port):
        answer = await post(world.scripted, world.token("alice", "scripted"), call("query"))
        assert answer.status_code == 502
        assert "`binary: pass`" in answer.json()["error"]["message"]
        assert PICTURE not in answer.text
        async with mcp_client(world.scripted, world.token("alice", "scripted"), MODERN) as client:
            with pytest.raises(MCPError):
                await client.call_tool("query", {})
