"""The gateway that modules share which do it no lasting harm; those that do start their own under the same name."""

from collections.abc import Iterator

import pytest

from tests.fault.rig import Rig, running_rig

SMALL = {"response_bytes": 64 * 1024, "sse_event_bytes": 8 * 1024, "upstream_timeout_s": 2}


@pytest.fixture(scope="package")
def rig() -> Iterator[Rig]:
    """A gateway with small limits."""
    with running_rig(SMALL) as running:
        yield running
