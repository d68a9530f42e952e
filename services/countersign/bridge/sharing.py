"""A server that all callers share is greeted once, by the bridge, and its answer is told to each of them."""

from __future__ import annotations

import asyncio

from countersign.bridge.conversation import Conversation, Ended, Party, TooMany
from countersign.bridge.process import CannotStart
from countersign.bridge.streams import Stream
from countersign.jsontext import parse, value_span
from countersign.mcp import Era

_GREETING_S = 60.0
# No capabilities: nobody could be asked on behalf of all.
_INITIALIZE = (
    b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},'
    b'"clientInfo":{"name":"countersign-bridge","version":"1"}}}'
)
_INITIALIZED = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'


async def greet(conversation: Conversation) -> str:
    """Initialize the server; return the result, JSON, for whoever initializes it after. Raises ``CannotStart``."""
    party = Party(Era.LEGACY, Stream(0, patient=False))
    stream = Stream(1, patient=False)
    try:
        async with asyncio.timeout(_GREETING_S):
            await conversation.ask(party, parse(_INITIALIZE), "1", "initialize", stream)
            async for event in stream.read():
                if event.last:
                    document = parse(event.data, permit_nan=True)
                    span = value_span(document, ("result",))
                    if span is None:
                        raise CannotStart("the server refused to be initialized")
                    await conversation.tell(party, parse(_INITIALIZED), "notifications/initialized")
                    return document.text[slice(*span)]
    except (TimeoutError, Ended, TooMany):
        pass
    raise CannotStart("the server did not answer when it was initialized")
