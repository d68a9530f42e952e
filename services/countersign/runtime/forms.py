"""Bodies of requests, read up to a bound."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

FORM_BYTES = 32 * 1024
"""Of 1,000 characters each can take twelve bytes once it is encoded; a link takes a few hundred."""
_FORM_TYPE = "application/x-www-form-urlencoded"
_MOST_FIELDS = 20


class BadBody(Exception):
    """A body is not taken; ``status`` says why by HTTP."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


async def body_of(request: Request, at_most: int) -> bytes:
    """Return the body. Raises ``BadBody`` when it has more than ``at_most`` bytes, or its sender went away."""
    body = b""
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > at_most:
                raise BadBody(413, "that is more than this page takes")
    except ClientDisconnect:
        raise BadBody(400, "the request is not whole") from None
    return body


async def form_of(request: Request, at_most: int = FORM_BYTES) -> dict[str, str]:
    """Return the fields of a form of at most so many bytes, each named once. Raises ``BadBody``."""
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if said != _FORM_TYPE:
        raise BadBody(415, f"the page takes forms as {_FORM_TYPE} only")
    body = await body_of(request, at_most)
    try:
        fields = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise BadBody(400, "the form cannot be read") from None
    named = dict(fields)
    if len(named) != len(fields):
        raise BadBody(400, "the form says something twice")
    return named
