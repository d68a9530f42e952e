"""A SAML identity provider: pysaml2 in a process of its own, signing by libxmlsec.

pysaml2 runs the ``xmlsec1`` program, which no package brings; here its place is taken by the library. The gateway's
metadata is read from a file once the first person comes.
"""

from __future__ import annotations

import html
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.support.gateway import free_port
from tests.support.saml_documents import PERSISTENT, Signer

if TYPE_CHECKING:
    from saml2.server import Server

READY_S = 30
PEOPLE = {
    "alice": ("alice@example.com", ["analysts", "engineering"]),
    "bob": ("bob@example.com", ["visitors"]),
    "carl": ("carl@example.com", ["analysts"]),
}
_KEY, _CERTIFICATE, _METADATA = "idp.key", "idp.crt", "gateway.xml"
_CONTEXT = {"class_ref": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport", "authn_auth": "idp"}


@dataclass(frozen=True)
class Idp:
    """A running provider; ``folder`` has its key, its certificate and, once it is written, the gateway's metadata."""

    url: str
    signer: Signer
    folder: Path

    @property
    def entity_id(self) -> str:
        return f"{self.url}/idp"

    def entry(self, name: str = "company") -> dict[str, object]:
        """Return it as gateway.yaml has it."""
        return {
            "name": name,
            "entity_id": self.entity_id,
            "sso_url": f"{self.url}/sso",
            "certificates": [str(self.folder / _CERTIFICATE)],
        }

    def know(self, metadata: bytes) -> None:
        """Take the gateway's metadata, as an administrator would import it."""
        (self.folder / _METADATA).write_bytes(metadata)


@contextmanager
def running_idp(folder: Path, *, sign: str = "assertion", host: str = "127.0.0.1") -> Iterator[Idp]:
    """A provider that answers; it signs the ``assertion``, the ``response`` or ``both``.

    ``host`` is what it calls itself: to a browser, ``localhost`` is another site than 127.0.0.1.
    """
    signer = Signer.made("idp", from_s=time.time() - 3600)
    (folder / _KEY).write_bytes(signer.key_pem)
    (folder / _CERTIFICATE).write_text(signer.certificate_pem)
    port = free_port()
    url = f"http://{host}:{port}"
    command = [sys.executable, "-W", "ignore", "-m", "tests.support.saml_idp", url, str(folder), sign]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield Idp(url, signer, folder)
    finally:
        process.kill()
        process.communicate(timeout=10)


class _Provider:
    """What the process does: a page that asks who it is, and one that posts the answer."""

    def __init__(self, url: str, folder: Path, sign: str) -> None:
        self._url = url
        self._folder = folder
        self._sign = sign
        self._made: Server | None = None

    def server(self) -> Server:
        if self._made is None:
            self._made = _server(self._url, self._folder)
        return self._made

    def ask(self, query: dict[str, str]) -> str:
        request = self.server().parse_authn_request(query["SAMLRequest"]).message
        assert request.destination == f"{self._url}/sso"
        return _form("/sso", query, '<input name="user"><button>Sign in</button>')

    def answer(self, form: dict[str, str]) -> str:
        from saml2 import saml

        server = self.server()
        asked = server.response_args(server.parse_authn_request(form["SAMLRequest"]).message)
        name, groups = PEOPLE[form["user"]]
        document = server.create_authn_response(
            {"groups": groups},
            in_response_to=asked["in_response_to"],
            destination=asked["destination"],
            sp_entity_id=asked["sp_entity_id"],
            name_id=saml.NameID(format=PERSISTENT, text=name),
            authn=_CONTEXT,
            sign_assertion=self._sign in ("assertion", "both"),
            sign_response=self._sign in ("response", "both"),
            sign_alg="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
            digest_alg="http://www.w3.org/2001/04/xmlenc#sha256",
        )
        from tests.support.saml_documents import posted

        fields = {"SAMLResponse": posted(str(document).encode()), "RelayState": form["RelayState"]}
        # As providers do: browsers go on by themselves. What has no scripts submits the form.
        return _form(asked["destination"], fields, "") + "<script>document.forms[0].submit()</script>"


def _server(url: str, folder: Path) -> Server:
    import xmlsec
    from lxml import etree
    from saml2 import BINDING_HTTP_REDIRECT
    from saml2.config import IdPConfig
    from saml2.server import Server
    from saml2.sigver import CryptoBackend

    class LibXmlSec(CryptoBackend):  # type: ignore[misc]  # pysaml2 has no types
        def sign_statement(self, statement: object, node_name: str, key_file: str, node_id: str) -> str:
            root = etree.fromstring(statement if isinstance(statement, bytes) else str(statement).encode())
            xmlsec.tree.add_ids(root, ["ID"])
            element = next(one for one in root.iter() if one.get("ID") == node_id)
            context = xmlsec.SignatureContext()
            context.key = xmlsec.Key.from_file(key_file, xmlsec.KeyFormat.PEM)
            context.sign(next(one for one in element if one.tag == "{http://www.w3.org/2000/09/xmldsig#}Signature"))
            return etree.tostring(root).decode()

    config: dict[str, Any] = {
        "entityid": f"{url}/idp",
        "crypto_backend": "XMLSecurity",
        "key_file": str(folder / _KEY),
        "cert_file": str(folder / _CERTIFICATE),
        "metadata": {"local": [str(folder / _METADATA)]},
        "service": {
            "idp": {
                "endpoints": {"single_sign_on_service": [(f"{url}/sso", BINDING_HTTP_REDIRECT)]},
                "policy": {"default": {"lifetime": {"minutes": 5}}},
            }
        },
    }
    server = Server(config=IdPConfig().load(config))
    server.sec.crypto = LibXmlSec()
    return server


def _form(action: str, fields: dict[str, str], more: str) -> str:
    hidden = "".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
        for name, value in fields.items()
    )
    return f'<form method="post" action="{html.escape(action)}">{hidden}{more}</form>'


def _serve(url: str, folder: Path, sign: str) -> None:
    provider = _Provider(url, folder, sign)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say(provider.ask, urlsplit(self.path).query)

        def do_POST(self) -> None:
            self._say(provider.answer, self.rfile.read(int(self.headers["content-length"])).decode())

        def _say(self, work: Any, text: str) -> None:
            if urlsplit(self.path).path != "/sso":
                self.send_error(404)
                return
            try:
                page, status = work({name: values[0] for name, values in parse_qs(text).items()}), 200
            except Exception as error:
                # The test that asked shows it.
                page, status = json.dumps(repr(error)), 500
            self.send_response(status)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", urlsplit(url).port or 0), Handler) as server:
        print("ready", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    _serve(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
