"""What each service gets of the environment of ``countersign up``: a credential only where it is used."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from countersign.config import GatewayConfig, SecretUse
from countersign.runtime.settings import PREFIX

USES = MappingProxyType(
    {
        "authz": frozenset({SecretUse.TARGETS}),
        "masker": frozenset[SecretUse](),
        "recorder": frozenset({SecretUse.POSTGRES}),
        "approver": frozenset({SecretUse.POSTGRES, SecretUse.APPROVALS}),
        "exports": frozenset({SecretUse.EXPORTS}),
        "hub": frozenset[SecretUse](),
        "bridge": frozenset({SecretUse.BRIDGE}),
        "portal": frozenset({SecretUse.POSTGRES, SecretUse.PORTAL}),
    }
)
"""Which credentials each service reads."""

_PROGRAM_NAMES = frozenset(
    {
        *("PATH", "HOME", "USER", "LANG", "LANGUAGE", "TZ", "TMPDIR", "XDG_CACHE_HOME"),
        *("VIRTUAL_ENV", "LD_LIBRARY_PATH"),
    }
)
_NAMES = _PROGRAM_NAMES | {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"}
_PREFIXES = ("LC_", "OTEL_", "GRPC_", "PYTHON", PREFIX)
# libpq's own: PGPASSWORD, PGSSLROOTCERT and the like.
_DATABASE_PREFIXES = ("PG",)
_DATABASE_NAMES = frozenset({PREFIX + "POSTGRES_DSN"})
# Who has these can sign another history.
_LOG_PREFIXES = (PREFIX + "LOG_KEYS", PREFIX + "LOG_STATE")
# Read when modules are imported. What exporters are told is not, and may hold a key; so may the addresses of proxies.
_IMPORT_NAMES = _PROGRAM_NAMES | {PREFIX + "CACHE"}
_IMPORT_PREFIXES = ("LC_", "OTEL_", "GRPC_", "PYTHON")
_EXPORTER_PREFIX = "OTEL_EXPORTER_"


def environment_of(service: str, config: GatewayConfig, env: Mapping[str, str]) -> dict[str, str]:
    """Return what ``service`` (a key of ``USES``) is started with of ``env``.

    That is what any program needs, and the variables that gateway.yaml names for credentials that this service uses.
    """
    named = variables_of(service, config)
    others = frozenset[str]().union(*config.variables.values()) - named

    def wanted(name: str) -> bool:
        if name in named:
            return True
        if name in others:
            return False
        if name in _DATABASE_NAMES or name.startswith(_DATABASE_PREFIXES):
            return SecretUse.POSTGRES in USES[service]
        if name.startswith(_LOG_PREFIXES):
            return service == "recorder"
        return name.upper() in _NAMES or name.startswith(_PREFIXES)

    return {name: value for name, value in env.items() if wanted(name)}


def environment_of_nursery(config: GatewayConfig, env: Mapping[str, str]) -> dict[str, str]:
    """Return what the process is started with that services are forked from: of ``env``, what holds no credential."""
    named = frozenset[str]().union(*config.variables.values())

    def wanted(name: str) -> bool:
        if name in named or name.startswith(_EXPORTER_PREFIX):
            return False
        return name.upper() in _IMPORT_NAMES or name.startswith(_IMPORT_PREFIXES)

    return {name: value for name, value in env.items() if wanted(name)}


def variables_of(service: str, config: GatewayConfig) -> frozenset[str]:
    """Return the variables that gateway.yaml names for credentials that ``service`` uses."""
    return frozenset[str]().union(*(config.variables.get(use, frozenset()) for use in USES[service]))
