"""gateway.yaml: its shape, loading it, and noticing that it changed. What leaves this room is checked and immutable."""

from countersign.config.load import load
from countersign.config.problem import ConfigRefused, Problem
from countersign.config.types import GatewayConfig, Issuer, Limits, Secret, SecretUse, Target
from countersign.config.watch import ConfigWatcher

__all__ = [
    "ConfigRefused",
    "ConfigWatcher",
    "GatewayConfig",
    "Issuer",
    "Limits",
    "Problem",
    "Secret",
    "SecretUse",
    "Target",
    "load",
]
