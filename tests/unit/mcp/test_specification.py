"""What we know of the protocol by name is what the official types know."""

from __future__ import annotations

from mcp.shared.inbound import NAME_BEARING_METHODS
from mcp_types import CLIENT_CAPABILITIES_META_KEY, PROTOCOL_VERSION_META_KEY, jsonrpc, methods
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

from countersign.mcp import CACHEABLE_METHODS, eras, errors


def test_every_request_method_is_known() -> None:
    assert methods.SPEC_CLIENT_METHODS <= eras.REQUEST_METHODS
    extension = {method for method in eras.REQUEST_METHODS if method.startswith("tasks/")}
    assert eras.REQUEST_METHODS - extension == methods.SPEC_CLIENT_METHODS


def test_every_notification_is_told_by_its_prefix() -> None:
    for method in methods.SPEC_CLIENT_NOTIFICATION_METHODS:
        assert method.startswith(eras.NOTIFICATION_PREFIX)


def test_every_mirrored_name_is_known() -> None:
    assert NAME_BEARING_METHODS.items() <= eras.MIRRORED_PARAMS.items()


def test_every_cacheable_method_is_known() -> None:
    assert methods.CACHEABLE_METHODS == CACHEABLE_METHODS


def test_the_versions_are_those_that_ever_had_this_transport() -> None:
    assert HANDSHAKE_PROTOCOL_VERSIONS[1:] == eras.LEGACY_VERSIONS
    assert MODERN_PROTOCOL_VERSIONS == (eras.MODERN_VERSION,)


def test_keys_and_codes_are_spelled_as_the_specification_does() -> None:
    assert (eras.META_VERSION, eras.META_CAPABILITIES) == (PROTOCOL_VERSION_META_KEY, CLIENT_CAPABILITIES_META_KEY)
    assert (errors.PARSE_ERROR, errors.INVALID_REQUEST) == (jsonrpc.PARSE_ERROR, jsonrpc.INVALID_REQUEST)
    assert (errors.INVALID_PARAMS, errors.HEADER_MISMATCH) == (jsonrpc.INVALID_PARAMS, jsonrpc.HEADER_MISMATCH)
    assert errors.UNSUPPORTED_PROTOCOL_VERSION == jsonrpc.UNSUPPORTED_PROTOCOL_VERSION
