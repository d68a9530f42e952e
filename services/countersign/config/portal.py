"""The section ``portal:``: how people sign in, which programs may have tokens for them, and who tells of logouts."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path as FilePath

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from countersign.config import files, secrets, urls
from countersign.config.credentials import Credentials
from countersign.config.document import Path
from countersign.config.durations import Bounds
from countersign.config.shape_base import SecretSource
from countersign.config.shape_portal import (
    PROVIDER_NAME,
    ClientShape,
    LogoutShape,
    PortalShape,
    PortalSignInShape,
    SamlShape,
    SignalShape,
)
from countersign.config.types_portal import (
    BUILT_IN_CLIENT,
    LogoutSource,
    Portal,
    PortalClient,
    SamlProvider,
    SignalSource,
    SignInClient,
    place_of,
)
from countersign.config.types_secret import Secret, SecretUse
from countersign.config.wording import nearest

TOKEN = Bounds("1m", "1h")
SESSION = Bounds("5m", "30d")
KEY = Bounds("1d", "365d")

_ROOT: Path = ("portal",)
_CERTIFICATES_BYTES = 64 * 1024
# As identity takes keys of issuers.
_SMALLEST_RSA_BITS = 2048
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)


@dataclass(frozen=True, slots=True)
class Section:
    """Reads the section. ``issuers`` are those under ``identity.oidc``; ``folder`` is that of gateway.yaml."""

    credentials: Credentials
    folder: FilePath
    issuers: Collection[str]

    def read(self, shape: PortalShape) -> Portal:
        """The section as the services use it; to be used only if nothing was added to the problems."""
        if not shape.oidc and not shape.saml:
            self._add(_ROOT, "nobody could sign in at the portal", "add `oidc` or `saml`")
        for key, texts in (
            ("oidc", [each.issuer for each in shape.oidc]),
            ("saml", [each.name for each in shape.saml]),
            ("clients", [each.client_id for each in shape.clients]),
            ("logout", [each.issuer for each in shape.logout]),
            ("signals", [each.issuer for each in shape.signals]),
        ):
            self._check_once(key, texts)
        self._check_places(shape.oidc)
        self._check_entities(shape.saml)
        subjects = {*self.issuers, *(each.entity_id for each in shape.saml)}
        return Portal(
            token_s=self._seconds(TOKEN, shape.token, "token"),
            session_s=self._seconds(SESSION, shape.session, "session"),
            key_s=self._seconds(KEY, shape.keys.every, "keys", "every"),
            key_generation=shape.keys.generation,
            oidc=tuple(self._sign_in(each, (*_ROOT, "oidc", index)) for index, each in enumerate(shape.oidc)),
            saml=tuple(self._saml(each, (*_ROOT, "saml", index)) for index, each in enumerate(shape.saml)),
            clients=tuple(self._client(each, (*_ROOT, "clients", index)) for index, each in enumerate(shape.clients)),
            logouts=tuple(self._logout(each, (*_ROOT, "logout", index)) for index, each in enumerate(shape.logout)),
            signals=tuple(
                self._signal(each, (*_ROOT, "signals", index), subjects) for index, each in enumerate(shape.signals)
            ),
        )

    def _sign_in(self, shape: PortalSignInShape, path: Path) -> SignInClient:
        self._check_known((*path, "issuer"), shape.issuer, self.issuers, "none of the issuers under `identity.oidc`")
        self._check_line((*path, "client_id"), shape.client_id)
        secret = shape.client_secret
        return SignInClient(
            issuer=shape.issuer,
            client_id=shape.client_id,
            client_secret=None if secret is None else self._secret((*path, "client_secret"), secret, secrets.plain),
        )

    def _saml(self, shape: SamlShape, path: Path) -> SamlProvider:
        if not re.fullmatch(PROVIDER_NAME, shape.name):
            remedy = "use up to 63 small letters, digits and hyphens, the first no hyphen"
            self._add((*path, "name"), f"`{shape.name}` is no usable name of a provider", remedy)
        for key, text in (
            ("entity_id", shape.entity_id),
            ("subject", shape.subject or "x"),
            ("groups", shape.groups),
        ):
            self._check_line((*path, key), text)
        certificates = [
            found
            for position, name in enumerate(shape.certificates)
            for found in self._certificates((*path, "certificates", position), name)
        ]
        return SamlProvider(
            name=shape.name,
            entity_id=shape.entity_id,
            sso_url=self._url((*path, "sso_url"), shape.sso_url, urls.secret),
            certificates=tuple(certificates),
            subject=shape.subject or "",
            groups=shape.groups,
        )

    def _certificates(self, path: Path, name: str) -> list[str]:
        """The certificates in a PEM file; what nobody could rely on is refused in its place."""
        try:
            found = x509.load_pem_x509_certificates(files.read(self.folder / name, _CERTIFICATES_BYTES).data)
        except files.BadFile as error:
            self.credentials.out.elsewhere = True
            self._add(path, str(error), "name a file; a relative path starts at the folder of gateway.yaml")
            return []
        except ValueError:
            self.credentials.out.elsewhere = True
            self._add(path, "the file holds no certificate in PEM", "store the identity provider's signing certificate")
            return []
        if not all(_is_strong(each) for each in found):
            self.credentials.out.elsewhere = True
            remedy = "have the identity provider sign by RSA of 2048 bits or more, P-256, P-384 or P-521"
            self._add(path, "the key of a certificate is too weak, or of a kind that is not taken", remedy)
        return [each.public_bytes(Encoding.PEM).decode() for each in found]

    def _client(self, shape: ClientShape, path: Path) -> PortalClient:
        self._check_line((*path, "client_id"), shape.client_id)
        if shape.client_id == BUILT_IN_CLIENT:
            self._add((*path, "client_id"), f"`{BUILT_IN_CLIENT}` is there anyway", "remove the entry")
        for position, uri in enumerate(shape.redirect_uris):
            self._url((*path, "redirect_uris", position), uri, urls.redirect)
        return PortalClient(shape.client_id, tuple(shape.redirect_uris))

    def _logout(self, shape: LogoutShape, path: Path) -> LogoutSource:
        self._check_known((*path, "issuer"), shape.issuer, self.issuers, "none of the issuers under `identity.oidc`")
        self._check_line((*path, "client_id"), shape.client_id)
        return LogoutSource(shape.issuer, shape.client_id, everywhere=shape.everywhere)

    def _signal(self, shape: SignalShape, path: Path, subjects: Collection[str]) -> SignalSource:
        self._check_known((*path, "subjects_of"), shape.subjects_of, subjects, "nobody whose principals are known here")
        self._check_line((*path, "audience"), shape.audience)
        token = shape.token
        return SignalSource(
            issuer=self._url((*path, "issuer"), shape.issuer, urls.issuer),
            audience=shape.audience,
            subjects_of=shape.subjects_of,
            jwks_url=self._url((*path, "jwks"), shape.jwks, urls.secret),
            token=None if token is None else self._secret((*path, "token"), token, secrets.header_safe),
            everywhere=shape.everywhere,
        )

    def _check_once(self, key: str, texts: list[str]) -> None:
        seen: set[str] = set()
        for index, text in enumerate(texts):
            if text.casefold() in seen:
                self._add((*_ROOT, key, index), f"`{text}` stands twice", "keep one entry for each")
            seen.add(text.casefold())

    def _check_places(self, shapes: list[PortalSignInShape]) -> None:
        seen: dict[str, str] = {}
        for index, shape in enumerate(shapes):
            other = seen.setdefault(place_of(shape.issuer).casefold(), shape.issuer)
            if other.casefold() != shape.issuer.casefold():
                # The answer of one, a code, would be taken to the other.
                what = f"its place in the portal's URLs, `{place_of(shape.issuer)}`, is that of `{other}` as well"
                self._add((*_ROOT, "oidc", index, "issuer"), what, "keep one of them")

    def _check_entities(self, shapes: list[SamlShape]) -> None:
        seen: set[str] = {issuer.casefold() for issuer in self.issuers}
        for index, shape in enumerate(shapes):
            if shape.entity_id.casefold() in seen:
                # Its people would be taken for those of another.
                what = "this entity id is that of another provider, or an issuer's"
                self._add((*_ROOT, "saml", index, "entity_id"), what, "keep one entry for each")
            seen.add(shape.entity_id.casefold())

    def _check_known(self, path: Path, text: str, known: Collection[str], what: str) -> None:
        if text not in known:
            meant = nearest(text, known)
            remedy = f"did you mean {meant}?" if meant else "name one of them, or add it there"
            self._add(path, f"this is {what}", remedy)

    def _check_line(self, path: Path, text: str) -> None:
        if not text.isprintable() or text != text.strip():
            self._add(path, f"unprintable characters, or spaces around, in `{path[-1]}`", "remove them")

    def _seconds(self, bounds: Bounds, text: str, *path: str) -> int:
        return int(bounds.read(text, self.credentials.root.find((*_ROOT, *path)), self.credentials.out))

    def _url(self, path: Path, url: str, check: Callable[[str], str]) -> str:
        try:
            return check(url)
        except urls.BadUrl as error:
            self._add(path, error.what, error.remedy)
            return url

    def _secret(self, path: Path, source: SecretSource, check: Callable[[str], Secret]) -> Secret:
        return self.credentials.read(path, source, check, SecretUse.PORTAL) or Secret.unread()

    def _add(self, path: Path, what: str, remedy: str) -> None:
        self.credentials.out.add(self.credentials.root.find(path).place, what, remedy)


def _is_strong(certificate: x509.Certificate) -> bool:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= _SMALLEST_RSA_BITS
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES)


def variables(shape: PortalShape | None) -> frozenset[str]:
    """The environment variables that the section names for credentials."""
    if shape is None:
        return frozenset()
    found = [*(each.client_secret for each in shape.oidc), *(each.token for each in shape.signals)]
    return frozenset(source.env for source in found if source is not None and source.env)
