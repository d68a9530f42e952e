"""Keys come from where gateway.yaml says, and from nowhere else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from jwt import PyJWKSet

from countersign.config import Issuer
from countersign.demo.issuer import SigningKey
from countersign.identity.errors import IdentityUnavailable
from countersign.portal.hears.telling_keys import TellersKeys
from tests.support.telling import ISSUER, TRANSMITTER
from tests.unit.portal.hears.world import CONFIG

KEY = SigningKey.new("ES256", "k1")
JWKS = {"keys": [KEY.public_jwk()]}
URL = f"{TRANSMITTER}/keys"


class Web:
    """What is fetched, and answered."""

    def __init__(self) -> None:
        self.fetched: list[str] = []
        self.pages: dict[str, httpx.Response] = {}
        self.client = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))
        self.keys = TellersKeys(lambda: CONFIG, self.client, lambda: 1e6)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.fetched.append(str(request.url))
        return self.pages.get(str(request.url), httpx.Response(404))


async def test_a_transmitters_keys_are_fetched_at_its_url_alone() -> None:
    web = Web()
    web.pages[URL] = httpx.Response(200, json=JWKS)
    for _ in range(2):
        found = await web.keys.at(URL).find("k1")
        assert found is not None
        assert found.key_id == "k1"
    assert await web.keys.at(URL).find("k2") is None
    assert web.fetched == [URL]


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(302, headers={"location": f"{ISSUER}/keys"}),
        httpx.Response(200, content=b"[]"),
        httpx.Response(200, content=b"{}" + b" " * (1 << 20)),
        httpx.Response(500),
    ],
    ids=["redirect", "no keys", "too large", "broken"],
)
async def test_keys_that_are_not_to_be_had_are_looked_for_once(answer: httpx.Response) -> None:
    web = Web()
    web.pages[URL] = answer
    for _ in range(2):
        with pytest.raises(IdentityUnavailable):
            await web.keys.at(URL).find("k1")
    assert web.fetched == [URL]


async def test_an_issuers_keys_are_found_as_those_of_its_tokens() -> None:
    web = Web()
    discovery = f"{ISSUER}/.well-known/openid-configuration"
    web.pages[discovery] = httpx.Response(200, json={"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys"})
    web.pages[f"{ISSUER}/keys"] = httpx.Response(200, json=JWKS)
    assert await web.keys.of_issuer(ISSUER).find("k1") is not None
    assert web.fetched == [discovery, f"{ISSUER}/keys"]


async def test_keys_in_a_file_are_not_fetched(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(httpx.Response(200, json=JWKS).text)
    config = replace(CONFIG, issuers=(Issuer(ISSUER, keys_file=str(path)),))
    web = Web()
    keys = TellersKeys(lambda: config, web.client, lambda: 1e6)
    found = await keys.of_issuer(ISSUER).find("k1")
    assert found is not None
    assert found.key == PyJWKSet.from_dict(JWKS).keys[0].key
    assert web.fetched == []
