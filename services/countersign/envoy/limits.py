"""How much Envoy takes of callers at once, and what it does when it has too much: docs/adr/0032.

What bounds a single stream in time is said by its route; here stands what bounds heads, connections and memory.
"""

from __future__ import annotations

from datetime import timedelta

from envoy.config.core.v3.protocol_pb2 import Http1ProtocolOptions, Http2ProtocolOptions, HttpProtocolOptions
from envoy.config.overload.v3.overload_pb2 import (
    BufferFactoryConfig,
    OverloadAction,
    OverloadManager,
    ResourceMonitor,
    ScaledTrigger,
    ScaleTimersOverloadActionConfig,
    ThresholdTrigger,
    Trigger,
)
from envoy.extensions.resource_monitors.downstream_connections.v3.downstream_connections_pb2 import (
    DownstreamConnectionsConfig,
)
from envoy.extensions.resource_monitors.fixed_heap.v3.fixed_heap_pb2 import FixedHeapConfig
from envoy.type.v3.percent_pb2 import Percent
from google.protobuf.any import pack
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import BoolValue, UInt32Value

from countersign.config import Limits

MAX_HEADERS = 100
MAX_HEAD_KIB = 64
"""Of a request: a token with many groups is long."""
HEAD_TIMEOUT = timedelta(seconds=10)
BODY_TIMEOUT_S = 60.0
"""For a whole request, however busily its caller drips."""
IDLE_CONNECTION = timedelta(minutes=15)
"""Only for connections without a stream; longer than load balancers keep theirs, so that they hang up first."""
MAX_TARGET_HEAD_KIB = 60
IDLE_TARGET = timedelta(seconds=4)
"""Servers on Node and uvicorn hang up on what idles for five. A call that crosses that is lost; none is repeated."""

_HEAP, _CONNECTIONS = "envoy.resource_monitors.fixed_heap", "envoy.resource_monitors.global_downstream_max_connections"
# Streams that hold less are not worth resetting: 1 MiB is what one connection buffers anyway.
_WORTH_RESETTING_LOG2 = 20
_NO = BoolValue(value=False)


def caller_options() -> HttpProtocolOptions:
    """Return what holds for callers of either HTTP version."""
    return HttpProtocolOptions(
        # Servers turn `-` and `_` into the same: a header could pass for another there.
        headers_with_underscores_action=HttpProtocolOptions.HeadersWithUnderscoresAction.REJECT_REQUEST,
        max_headers_count=UInt32Value(value=MAX_HEADERS),
        idle_timeout=IDLE_CONNECTION,
    )


def caller_http1() -> Http1ProtocolOptions:
    """Return HTTP/1.1 and nothing looser: each of these is Envoy's default, and must stay so.

    What is malformed ends its connection, so that nothing behind it passes for a second request.
    """
    return Http1ProtocolOptions(
        accept_http_10=False,
        allow_chunked_length=False,
        enable_trailers=False,
        allow_custom_methods=False,
        override_stream_error_on_invalid_http_message=_NO,
    )


def caller_http2() -> Http2ProtocolOptions:
    """Return HTTP/2 with bounds on what a flood of frames could make us keep or do (CVE-2019-9511 and its kin)."""
    return Http2ProtocolOptions(
        max_concurrent_streams=UInt32Value(value=1000),
        initial_stream_window_size=UInt32Value(value=1 << 20),
        initial_connection_window_size=UInt32Value(value=8 << 20),
        allow_connect=False,
        allow_metadata=False,
        max_outbound_frames=UInt32Value(value=10_000),
        max_outbound_control_frames=UInt32Value(value=1_000),
        max_consecutive_inbound_frames_with_empty_payload=UInt32Value(value=1),
        max_inbound_priority_frames_per_stream=UInt32Value(value=100),
        max_inbound_window_update_frames_per_data_frame_sent=UInt32Value(value=10),
        override_stream_error_on_invalid_http_message=_NO,
    )


def target_options() -> HttpProtocolOptions:
    """Return how large a head a target may send, and for how long a connection to it idles before we hang up."""
    return HttpProtocolOptions(
        idle_timeout=IDLE_TARGET,
        max_headers_count=UInt32Value(value=MAX_HEADERS),
        max_response_headers_kb=UInt32Value(value=MAX_TARGET_HEAD_KIB),
    )


def overload_manager(limits: Limits) -> OverloadManager:
    """Return what Envoy does as its heap fills, mildest first, and how many connections it accepts.

    It closes connections that idle, gives memory back, resets the streams that hold most, takes no more requests, and
    only then no more connections. Streams that hold little go on throughout.
    """
    return OverloadManager(
        refresh_interval=timedelta(milliseconds=250),
        resource_monitors=[
            _monitor(_HEAP, FixedHeapConfig(max_heap_size_bytes=limits.envoy_heap_bytes)),
            _monitor(_CONNECTIONS, DownstreamConnectionsConfig(max_active_downstream_connections=limits.connections)),
        ],
        buffer_factory_config=BufferFactoryConfig(minimum_account_to_track_power_of_two=_WORTH_RESETTING_LOG2),
        actions=[
            OverloadAction(
                name="envoy.overload_actions.reduce_timeouts",
                triggers=[_between(0.80, 0.90)],
                typed_config=pack(_sooner()),
            ),
            OverloadAction(name="envoy.overload_actions.shrink_heap", triggers=[_above(0.90)]),
            OverloadAction(name="envoy.overload_actions.reset_high_memory_stream", triggers=[_between(0.92, 0.98)]),
            OverloadAction(name="envoy.overload_actions.stop_accepting_requests", triggers=[_above(0.95)]),
            OverloadAction(name="envoy.overload_actions.stop_accepting_connections", triggers=[_above(0.98)]),
        ],
    )


def _sooner() -> ScaleTimersOverloadActionConfig:
    scaling = ScaleTimersOverloadActionConfig
    # Connections without a stream alone: that of a stream would cut honest quiet ones.
    idle = scaling.ScaleTimer(timer=scaling.TimerType.HTTP_DOWNSTREAM_CONNECTION_IDLE, min_scale=Percent(value=1.0))
    return scaling(timer_scale_factors=[idle])


def _monitor(name: str, config: Message) -> ResourceMonitor:
    return ResourceMonitor(name=name, typed_config=pack(config))


def _above(share: float) -> Trigger:
    return Trigger(name=_HEAP, threshold=ThresholdTrigger(value=share))


def _between(start: float, full: float) -> Trigger:
    return Trigger(name=_HEAP, scaled=ScaledTrigger(scaling_threshold=start, saturation_threshold=full))
