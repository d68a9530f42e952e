"""A witness over HTTP: one path (c2sp.org/tlog-witness)."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from countersign.witness.asked import MAX_BODY_BYTES
from countersign.witness.judging import Answer, Witness

PATH: Final = "/add-checkpoint"
BODY_S: Final = 10.0
"""How long the body of a request may take to come."""


def witness_app(witness: Witness) -> Starlette:
    """Return the application (ASGI 3.0)."""

    async def add_checkpoint(request: Request) -> Response:
        try:
            async with asyncio.timeout(BODY_S):
                body = await _body(request)
        except TimeoutError:
            return _hung_up(Answer(408, "the body does not come\n"))
        except ClientDisconnect:
            return Response(status_code=400)
        if body is None:
            return _hung_up(Answer(413, f"the body is larger than {MAX_BODY_BYTES} bytes\n"))
        return _response(witness.add(body))

    app = Starlette(routes=[Route(PATH, add_checkpoint, methods=["POST"])], exception_handlers={HTTPException: _plain})
    app.router.redirect_slashes = False
    return app


async def _body(request: Request) -> bytes | None:
    """Read the body; ``None`` when it is too large, and then not to its end."""
    parts = bytearray()
    async for part in request.stream():
        parts += part
        if len(parts) > MAX_BODY_BYTES:
            return None
    return bytes(parts)


def _response(answer: Answer) -> Response:
    # Not by `media_type`, which would add a charset to text/x.tlog.size.
    return Response(answer.body, answer.status, {"content-type": answer.content_type})


def _hung_up(answer: Answer) -> Response:
    """Answer a request that was not read to its end; what may still come is not waited for."""
    response = _response(answer)
    response.headers["connection"] = "close"
    return response


async def _plain(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    return Response("There is nothing here.\n", status, headers, "text/plain")
