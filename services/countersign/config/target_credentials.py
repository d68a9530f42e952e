"""What a file says that targets are shown, and of the stores of secrets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from countersign.config import secrets, urls
from countersign.config.credentials import Credentials
from countersign.config.document import Path
from countersign.config.durations import Bounds
from countersign.config.shape_base import SecretSource, Shape
from countersign.config.shape_credentials import (
    HEADER_NAME,
    STORE_NAME,
    SUBJECT_TOKENS,
    AskedShape,
    ClientShape,
    CredentialSource,
    IdJagShape,
    KubernetesShape,
    SecretStoreShape,
    VaultShape,
)
from countersign.config.shape_credentials import Credential as CredentialShape
from countersign.config.types_credentials import (
    Asked,
    Basic,
    Bearer,
    ClientCredentials,
    Credential,
    IdJag,
    Kubernetes,
    OAuthClient,
    SecretFrom,
    SecretStore,
    Stated,
    Stored,
    TokenExchange,
    Vault,
    VaultLogin,
)
from countersign.config.types_secret import Secret, SecretUse
from countersign.config.wording import NEVER_LITERAL, nearest

# What frames a request, names who sends it or whom it is for, or is ours to say (RFC 9110; MCP, streamable HTTP).
_OURS = frozenset(
    {
        *(
            "accept",
            "accept-encoding",
            "allow",
            "alt-svc",
            "connection",
            "cookie",
            "date",
            "expect",
            "forwarded",
            "host",
        ),
        *("http2-settings", "keep-alive", "last-event-id", "max-forwards", "origin", "range", "referer", "set-cookie"),
        *("te", "trailer", "transfer-encoding", "tracestate", "traceparent", "upgrade", "via", "x-real-ip"),
        *("x-request-id", "x-http-method-override", "x-http-method", "x-method-override"),
    }
)
_OUR_PREFIXES = ("content-", "if-", "mcp-", "proxy-", "sec-", "x-countersign-", "x-envoy-", "x-forwarded-")
_URN = "urn:ietf:params:oauth:token-type:"
_PATH = re.compile(r"[A-Za-z0-9_.@+=-]+(?:/[A-Za-z0-9_.@+=-]+)*\Z")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+\Z")  # RFC 6749, section 3.3
_FRESH = Bounds("1s", "24h")
_FRESH_S = 300.0
# One for all, so that what is stated the same is the same after an edit.
_MOUNTED = Secret.unread()


@dataclass(frozen=True, slots=True)
class TargetCredentials:
    """Reads them; what is wrong goes to the credentials' ``out``, and then nothing that it returns may be used."""

    credentials: Credentials
    declared: Mapping[str, SecretStoreShape]
    _stores: dict[str, SecretStore | None] = field(default_factory=dict)

    def check_stores(self) -> None:
        """Read every store, used or not."""
        for name, shape in self.declared.items():
            path: Path = ("secret_stores", name)
            if not re.fullmatch(STORE_NAME, name):
                remedy = "use up to 63 small letters, digits and hyphens, the first no hyphen"
                self.credentials.out.add(
                    self.credentials.root.key_place(path), f"`{name}` is no usable name of a store", remedy
                )
            self._stores[name] = self._store(path, shape)

    def read(self, path: Path, shape: CredentialShape) -> Credential | None:
        """Return what the target with ``credential:`` at ``path`` is shown."""
        ways = [name for name in ("bearer", "basic", "oauth", "exchange", "id_jag") if getattr(shape, name) is not None]
        if len(ways) > 1:
            self._add(path, f"`{ways[0]}` and `{ways[1]}` cannot both authorize", "keep one of them")
        if not ways and not shape.headers:
            self._add(path, "the credential says nothing to show", "give it `bearer`, `headers` or another way")
        headers = self._headers(path, shape.headers or {}, authorized=bool(ways))
        how: Bearer | Basic | ClientCredentials | TokenExchange | IdJag | None = None
        if shape.bearer:
            how = Bearer(self._secret((*path, "bearer"), shape.bearer, secrets.header_safe))
        elif shape.basic:
            name = (*path, "basic", "username")
            self._line(name, shape.basic.username)
            if ":" in shape.basic.username:
                self._add(name, "a user's name cannot hold a colon here (RFC 7617)", "use a name without one")
            password = self._secret((*path, "basic", "password"), shape.basic.password, secrets.plain)
            how = Basic(shape.basic.username, password)
        elif shape.oauth:
            how = ClientCredentials(*self._asking((*path, "oauth"), shape.oauth))
        elif shape.exchange:
            kind = self._subject((*path, "exchange"), shape.exchange.subject_token_type)
            how = TokenExchange(*self._asking((*path, "exchange"), shape.exchange), kind)
        elif shape.id_jag:
            how = self._id_jag((*path, "id_jag"), shape.id_jag)
        return Credential(how, MappingProxyType(headers))

    def _headers(
        self, path: Path, shapes: Mapping[str, CredentialSource], *, authorized: bool
    ) -> dict[str, SecretFrom]:
        headers: dict[str, SecretFrom] = {}
        for written, source in shapes.items():
            name, place = written.lower(), self.credentials.root.key_place((*path, "headers", written))
            if not re.fullmatch(HEADER_NAME, written):
                self.credentials.out.add(place, "this is no name of a header", "write such as X-Api-Key")
            elif name in _OURS or name.startswith(_OUR_PREFIXES):
                self.credentials.out.add(
                    place, f"`{written}` is no header for credentials", "use one such as X-Api-Key"
                )
            elif name in headers or (authorized and name == "authorization"):
                self.credentials.out.add(place, f"`{written}` is said twice", "keep one of the two")
            headers[name] = self._secret((*path, "headers", written), source, secrets.header_value)
        return headers

    def _asking(self, path: Path, shape: AskedShape) -> tuple[OAuthClient, Asked]:
        return self._client(path, shape), self._asked(path, shape.scopes, shape.resource, shape.audience)

    def _id_jag(self, path: Path, shape: IdJagShape) -> IdJag:
        self._url((*path, "issuer"), shape.issuer)
        return IdJag(
            self._client((*path, "identity_provider"), shape.identity_provider),
            self._client((*path, "authorization_server"), shape.authorization_server),
            self._asked(path, shape.scopes, shape.resource, shape.issuer),
            self._subject(path, shape.subject_token_type),
        )

    def _asked(self, path: Path, scopes: Iterable[str] | None, resource: str | None, audience: str | None) -> Asked:
        scopes = tuple(scopes or ())
        for position, scope in enumerate(scopes):
            if not _SCOPE.match(scope):
                self._add((*path, "scopes", position), "this is no scope (RFC 6749)", "write one scope an entry")
        if resource is not None:
            self._url((*path, "resource"), resource)
        if audience is not None:
            self._line((*path, "issuer" if "id_jag" in path else "audience"), audience)
        return Asked(scopes, resource or "", audience or "")

    def _subject(self, path: Path, kind: str) -> str:
        if kind not in SUBJECT_TOKENS:
            meant = nearest(kind, SUBJECT_TOKENS)
            remedy = f"did you mean `{meant}`?" if meant else f"use one of {', '.join(SUBJECT_TOKENS)}"
            self._add((*path, "subject_token_type"), f"`{kind}` is no kind of token", remedy)
        return _URN + kind

    def _client(self, path: Path, shape: ClientShape) -> OAuthClient:
        self._url((*path, "token_url"), shape.token_url)
        self._line((*path, "client_id"), shape.client_id)
        if (shape.client_secret is None) == (shape.private_key is None):
            what = "one of `client_secret` and `private_key` is needed, and not both"
            self._add(path, what, "whoever asks for tokens must prove to be the gateway")
        place = shape.client_secret_in
        if place not in ("header", "form"):
            what = f"a secret cannot go in `{place}`"
            self._add((*path, "client_secret_in"), what, "write `header` or `form`")
        if shape.key_id is not None:
            self._line((*path, "key_id"), shape.key_id)
        secret, key = shape.client_secret, shape.private_key
        return OAuthClient(
            token_url=shape.token_url,
            client_id=shape.client_id,
            secret=self._secret((*path, "client_secret"), secret, secrets.plain) if secret else None,
            in_form=place == "form",
            private_key=self._secret((*path, "private_key"), key, secrets.private_key, whole=True) if key else None,
            key_id=shape.key_id or "",
        )

    def _store(self, path: Path, shape: SecretStoreShape) -> SecretStore | None:
        if (shape.vault is None) == (shape.kubernetes is None):
            self._add(path, "one of `vault` and `kubernetes` is needed, and not both", "keep one of the two")
            return None
        if shape.vault:
            return self._vault((*path, "vault"), shape.vault)
        assert shape.kubernetes is not None
        return self._kubernetes((*path, "kubernetes"), shape.kubernetes)

    def _vault(self, path: Path, shape: VaultShape) -> Vault | None:
        self._url((*path, "address"), shape.address)
        self._steps((*path, "mount"), shape.mount)
        if shape.namespace is not None:
            self._steps((*path, "namespace"), shape.namespace)
        ways = [shape.token, shape.kubernetes, shape.approle]
        if sum(way is not None for way in ways) != 1:
            self._add(path, "one of `token`, `kubernetes` and `approle` is needed, and only one", "keep one")
            return None
        auth: Stated | VaultLogin
        if shape.token:
            auth = self._stated((*path, "token"), shape.token, secrets.header_safe)
        elif shape.kubernetes:
            self._steps((*path, "kubernetes", "mount"), shape.kubernetes.mount)
            proof = self._file((*path, "kubernetes", "token_file"), shape.kubernetes.token_file)
            auth = VaultLogin(shape.kubernetes.mount, shape.kubernetes.role, proof)
        else:
            assert shape.approle is not None
            self._steps((*path, "approle", "mount"), shape.approle.mount)
            proof = self._stated((*path, "approle", "secret_id"), shape.approle.secret_id, secrets.plain)
            auth = VaultLogin(shape.approle.mount, shape.approle.role_id, proof, approle=True)
        ca = str(self.credentials.folder / shape.ca) if shape.ca else ""
        return Vault(shape.address.rstrip("/"), shape.mount, auth, shape.namespace or "", ca)

    def _kubernetes(self, path: Path, shape: KubernetesShape) -> Kubernetes:
        self._url((*path, "api"), shape.api)
        self._steps((*path, "namespace"), shape.namespace, single=True)
        token = self._file((*path, "token_file"), shape.token_file)
        ca = str(self.credentials.folder / shape.ca) if shape.api.startswith("https:") else ""
        return Kubernetes(shape.api.rstrip("/"), shape.namespace, token, ca)

    def _secret(
        self, path: Path, source: CredentialSource, check: Callable[[str], Secret], *, whole: bool = False
    ) -> SecretFrom:
        if source.store is None:
            if source.path is not None or source.key is not None or source.fresh_for is not None:
                self._add(path, "`path`, `key` and `fresh_for` belong to a `store`", "name the store, or remove them")
            return self._stated(path, source, check, whole=whole)
        if source.env is not None or source.file is not None:
            self._add(path, "one of `env` and `file` and `store` is needed, and not several", NEVER_LITERAL)
        unread = Stated(Secret.unread())
        if source.store not in self.declared:
            meant = nearest(source.store, self.declared)
            remedy = f"did you mean `{meant}`?" if meant else "declare it under `secret_stores`"
            # Somebody may have put the credential where a store's name belongs.
            self._add((*path, "store"), "there is no such store", remedy)
            return unread
        if source.path is None or source.key is None:
            self._add(path, "a store wants `path` and `key`", "say where the secret is in it")
            return unread
        store = self._stores.get(source.store)
        self._steps((*path, "path"), source.path, single=isinstance(store, Kubernetes))
        self._line((*path, "key"), source.key)
        node = self.credentials.root.find((*path, "fresh_for"))
        fresh_s = _FRESH_S if source.fresh_for is None else _FRESH.read(source.fresh_for, node, self.credentials.out)
        return unread if store is None else Stored(store, source.path, source.key, fresh_s)

    def _stated(
        self, path: Path, source: SecretSource, check: Callable[[str], Secret], *, whole: bool = False
    ) -> Stated:
        secret = self.credentials.read(path, source, check, SecretUse.TARGETS, whole=whole)
        file = self.credentials.folder / source.file if source.file is not None else None
        return Stated(secret or Secret.unread(), file)

    def _file(self, path: Path, name: str) -> Stated:
        """A service account's token: who mounts it says who may read it, and it may come only once we run there."""
        self._line(path, name)
        return Stated(_MOUNTED, self.credentials.folder / name, mounted=True)

    def _add(self, path: Path, what: str, remedy: str) -> None:
        self.credentials.out.add(self.credentials.root.find(path).place, what, remedy)

    def _url(self, path: Path, url: str) -> None:
        try:
            urls.endpoint(url)
        except urls.BadUrl as error:
            self._add(path, error.what, error.remedy)

    def _line(self, path: Path, text: str) -> None:
        if not text.isprintable() or text != text.strip():
            self._add(path, f"unprintable characters, or spaces around, in `{path[-1]}`", "remove them")

    def _steps(self, path: Path, text: str, *, single: bool = False) -> None:
        steps = text.split("/")
        if not _PATH.match(text) or {".", ".."} & set(steps) or (single and len(steps) > 1):
            what = f"`{path[-1]}` is not {'a name' if single else 'names with slashes between'}"
            self._add(path, what, "use letters, digits and _ . @ + = -")


def variables(credentials: Iterable[CredentialShape | None], stores: Mapping[str, SecretStoreShape]) -> frozenset[str]:
    """Return the environment variables that targets' credentials and the stores name."""
    found: set[str] = set()
    for shape in (*credentials, *stores.values()):
        if shape is not None:
            _collect(shape, found)
    return frozenset(found)


def _collect(shape: Shape, found: set[str]) -> None:
    if isinstance(shape, SecretSource):
        if shape.env:
            found.add(shape.env)
        return
    for _, value in shape:
        if isinstance(value, Shape):
            _collect(value, found)
        elif isinstance(value, Mapping):
            for one in value.values():
                if isinstance(one, Shape):
                    _collect(one, found)
