"""How our services reach one another over gRPC."""

from __future__ import annotations

_MIB = 1024 * 1024


def channel_options(
    *, sends_mib: int | None = None, receives_mib: int | None = None, again_ms: int = 1_000
) -> tuple[tuple[str, int], ...]:
    """Return the options of a channel that is there again within ``again_ms`` of a server that was away.

    A server whose machine vanished is noticed within half a minute, also while a call waits. ``sends_mib`` and
    ``receives_mib`` bound a message where gRPC's own bounds do not fit.
    """
    longest = {"grpc.max_send_message_length": sends_mib, "grpc.max_receive_message_length": receives_mib}
    return (
        *((name, most * _MIB) for name, most in longest.items() if most is not None),
        ("grpc.initial_reconnect_backoff_ms", 50),
        ("grpc.min_reconnect_backoff_ms", again_ms),
        ("grpc.max_reconnect_backoff_ms", again_ms),
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 5_000),
        # Each its own connection: one that is stuck does not keep others waiting.
        ("grpc.use_local_subchannel_pool", 1),
    )
