"""gateway.yaml: its shape, loading it, and noticing that it changed. What leaves this room is checked and immutable."""

from countersign.config.changing import changes_requests, may_wait
from countersign.config.load import load
from countersign.config.offered import Unoffered, unoffered
from countersign.config.problem import ConfigRefused, Problem
from countersign.config.types import (
    Binary,
    Candidate,
    GatewayConfig,
    Issuer,
    Limits,
    NewTools,
    RequestMasks,
    Secret,
    SecretUse,
    Target,
)
from countersign.config.watch import POLL_S, ConfigWatcher

__all__ = [
    "POLL_S",
    "Binary",
    "Candidate",
    "ConfigRefused",
    "ConfigWatcher",
    "GatewayConfig",
    "Issuer",
    "Limits",
    "NewTools",
    "Problem",
    "RequestMasks",
    "Secret",
    "SecretUse",
    "Target",
    "Unoffered",
    "changes_requests",
    "load",
    "may_wait",
    "unoffered",
]
