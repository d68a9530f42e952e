"""What the gateway shows to targets in place of the caller's token: where it is had from, and how it is kept fresh."""

from countersign.credentials.errors import CredentialUnavailable
from countersign.credentials.oauth import Surroundings
from countersign.credentials.targets import Presented, TargetCredentials

__all__ = ["CredentialUnavailable", "Presented", "Surroundings", "TargetCredentials"]
