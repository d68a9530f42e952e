"""Reading credentials from where gateway.yaml says that they are."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from countersign.config import files, urls
from countersign.config.types import KIB, Secret

FILE_LIMIT_BYTES = 16 * KIB

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_PLAINLY_A_NAME = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\Z")
_WEBHOOK_PREFIX = "whsec_"
_HEADER_SAFE = re.compile(r"[\x21-\x7e]+\Z")
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?\Z")
_LEAST_RSA_BITS = 2048


class Unreadable(Exception):
    """A credential cannot be had. Neither sentence holds any part of it, nor a name that may be one by mistake."""

    def __init__(self, what: str, remedy: str) -> None:
        self.what = what
        self.remedy = remedy
        super().__init__(what)


def from_env(name: str, env: Mapping[str, str]) -> str:
    """The value of an environment variable that is set and not empty. Raises ``Unreadable``."""
    if not _ENV_NAME.match(name):
        raise Unreadable("`env` is no name of an environment variable", "name one, such as ORDERS_TOKEN")
    value = env.get(name)
    # Somebody may have put the credential where its name belongs: only what is plainly a name is repeated.
    title = f"the environment variable {name}" if _PLAINLY_A_NAME.match(name) else "this environment variable"
    if value is None:
        raise Unreadable(f"{title} is not set", "set it where the gateway is started")
    if not value:
        raise Unreadable(f"{title} is empty", "set it where the gateway is started")
    return value


def from_file(path: Path, *, whole: bool = False, shared: bool = False) -> str:
    """The single line that a private file holds, without its line end; all of it if ``whole``.

    With ``shared``, everyone may read it, as those that Kubernetes mounts. Raises ``Unreadable``.
    """
    try:
        content = files.read(path, FILE_LIMIT_BYTES)
    except files.BadFile as error:
        remedy = "name a small file that the gateway may read; a relative path starts at the folder of gateway.yaml"
        raise Unreadable(str(error), remedy) from None
    if content.open_to_all and not shared:
        raise Unreadable("everyone on this machine can use the file", "take that away: chmod o-rwx FILE")
    return _text(content.data) if whole else _single_line(content.data)


def header_safe(value: str) -> Secret:
    """A credential that may stand in an HTTP header (RFC 9110, section 5.5). Raises ``Unreadable``."""
    if not _HEADER_SAFE.match(value):
        raise Unreadable(
            "the credential holds spaces, line ends or characters that no HTTP header may hold",
            "store the token alone, in visible ASCII characters",
        )
    return Secret(value)


def header_value(value: str) -> Secret:
    """A credential that is all of a header's value, which may hold spaces inside. Raises ``Unreadable``."""
    if not _HEADER_VALUE.match(value):
        raise Unreadable(
            "the credential starts or ends with spaces, or holds what no HTTP header may hold",
            "store the header's value alone, in visible ASCII characters",
        )
    return Secret(value)


def private_key(value: str) -> Secret:
    """A private key, PEM, that signs by RS256, ES256 or EdDSA. Raises ``Unreadable``."""
    remedy = "store a key such as `openssl genpkey -algorithm ec -pkeyopt ec_paramgen_curve:P-256` makes"
    try:
        key = serialization.load_pem_private_key(value.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Unreadable("this is no private key in PEM without a passphrase", remedy) from None
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= _LEAST_RSA_BITS:
        return Secret(value)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return Secret(value)
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return Secret(value)
    raise Unreadable("the key is neither RSA of 2,048 bits or more, nor P-256, nor Ed25519", remedy)


def dsn(value: str) -> Secret:
    """A PostgreSQL connection string (libpq, section 32.1.1). Raises ``Unreadable``."""
    if not value.isprintable():
        raise Unreadable("the DSN holds line ends or unprintable characters", "store one line")
    if not value.startswith(("postgresql://", "postgres://")) and "=" not in value:
        raise Unreadable("this is no DSN of PostgreSQL", "store one, such as postgresql://USER:PASSWORD@HOST/DATABASE")
    return Secret(value)


def webhook_secret(value: str) -> Secret:
    """A key by which webhooks are signed (Standard Webhooks, "signature scheme"). Raises ``Unreadable``."""
    remedy = 'make one: echo "whsec_$(openssl rand -base64 32)"'
    prefix, written = value[: len(_WEBHOOK_PREFIX)], value[len(_WEBHOOK_PREFIX) :]
    if prefix != _WEBHOOK_PREFIX:
        raise Unreadable(f"the secret does not start with {_WEBHOOK_PREFIX}", remedy)
    try:
        key = base64.b64decode(written, validate=True)
    except ValueError:
        raise Unreadable(f"the secret is no base64 after {_WEBHOOK_PREFIX}", remedy) from None
    if not 24 <= len(key) <= 64:
        raise Unreadable("the secret has fewer than 24 or more than 64 bytes", remedy)
    return Secret(value)


def protected_url(value: str) -> Secret:
    """A URL that is a credential itself, so that it is never sent in clear. Raises ``Unreadable``."""
    try:
        urls.secret(value)
    except urls.BadUrl as error:
        raise Unreadable(error.what, error.remedy) from None
    return Secret(value)


def plain(value: str) -> Secret:
    """A password. Raises ``Unreadable``."""
    if not value.isprintable():
        raise Unreadable("the credential holds line ends or unprintable characters", "store one line")
    return Secret(value)


def _single_line(data: bytes) -> str:
    """The only line of a file's bytes, without its line end. Raises ``Unreadable``."""
    text = _text(data).removesuffix("\n").removesuffix("\r")
    if len(text.splitlines()) > 1:
        raise Unreadable("the file holds several lines", "it must hold the credential alone, on one line")
    return text


def _text(data: bytes) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable("the file is not UTF-8 text", "it must hold the credential alone") from None
    if not text.strip():
        raise Unreadable("the file is empty", "write the credential into it")
    return text
