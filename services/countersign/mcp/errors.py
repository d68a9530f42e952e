"""Refusals of this room, and every code and status that the gateway itself mints."""

from __future__ import annotations

from enum import Enum

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
HEADER_MISMATCH = -32020
MISSING_CLIENT_CAPABILITY = -32021
UNSUPPORTED_PROTOCOL_VERSION = -32022

DENIED = 4030
"""A rule denied the call. Our own codes stay clear of -32768...-32000, which JSON-RPC 2.0 section 5.1 reserves."""

WAITING = 4032
"""The call waits for the approval of others; the same call made again joins that wait, and runs once it is given."""


class Failure(Enum):
    """Why a call ended before or after judgement, other than by a rule: the HTTP status and the JSON-RPC code."""

    UNAUTHENTICATED = (401, 4010)
    SESSION_REVOKED = (401, 4011)
    FORBIDDEN = (403, 4031)
    FOREIGN_ORIGIN = (403, 4033)
    NO_SESSION = (404, 4040)
    TOO_LARGE = (413, 4130)
    MISDIRECTED = (421, 4210)
    RATE_LIMITED = (429, 4290)
    BAD_GATEWAY = (502, 5020)
    UNAVAILABLE = (503, 5030)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.value[0]

    @property
    def code(self) -> int:
        """The JSON-RPC error code."""
        return self.value[1]


class McpRefused(ValueError):
    """The request is malformed, ambiguous, or confuses the protocol eras.

    ``status`` is the HTTP status, ``code`` the JSON-RPC code, ``message`` safe to show and to log: it never quotes
    what the caller sent as a value. ``id_json`` is the id's JSON text, empty while none was read. ``data_json`` is
    the error's ``data``, empty when it has none. ``allow`` is the ``Allow`` header of a 405.
    """

    def __init__(self, status: int, code: int, message: str, *, data_json: str = "", allow: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.id_json = ""
        self.data_json = data_json
        self.allow = allow


class AnswerRefused(ValueError):
    """A target sent what is not an MCP message, not an answer to this request, or a listing that cannot be filtered.

    ``reason`` never quotes a value of the answer.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def malformed(message: str) -> McpRefused:
    """Make the refusal of something that is not one well-formed JSON-RPC message (JSON-RPC 2.0 section 4)."""
    return McpRefused(400, INVALID_REQUEST, message)


def bad_params(message: str) -> McpRefused:
    """Make the refusal of params that lack what their method needs."""
    return McpRefused(400, INVALID_PARAMS, message)


def mismatch(message: str) -> McpRefused:
    """Make the refusal of headers that contradict the body, or themselves (MCP 2026-07-28, Streamable HTTP)."""
    return McpRefused(400, HEADER_MISMATCH, message)
