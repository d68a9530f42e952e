"""Certificates from files: shown while they are sound, read again when changed, believed only from who was named."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from countersign.runtime.tls import BadCertificate, ServerCertificate, refusal, trusting
from tests.support.exporting import Certificates, certificates


def made(folder: Path, name: str = "127.0.0.1") -> Certificates:
    folder.mkdir(exist_ok=True)
    one = certificates(folder, name=name)
    one.key.chmod(0o600)
    return one


def put(new: Certificates, over: Certificates) -> None:
    for source, place in ((new.certificate, over.certificate), (new.key, over.key)):
        aside = place.with_suffix(".aside")
        aside.touch(0o600)
        aside.write_bytes(source.read_bytes())
        aside.replace(place)


@asynccontextmanager
async def serving(shown: ServerCertificate) -> AsyncIterator[int]:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=shown.context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def seen(port: int, trust: ssl.SSLContext, name: str = "127.0.0.1") -> bytes:
    """What a client is shown, which believes it: addresses are asked for without a name (RFC 6066, section 3)."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust, server_hostname=name)
    try:
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        assert isinstance(shown, bytes)
        return shown
    finally:
        writer.transport.abort()


def der(one: Certificates) -> bytes:
    return ssl.PEM_cert_to_DER_cert(one.certificate.read_text())


@pytest.mark.parametrize("name", ["127.0.0.1", "witness.example"])
async def test_a_renewed_certificate_is_shown_to_who_comes_then(tmp_path: Path, name: str) -> None:
    one, other = made(tmp_path / "1", name), made(tmp_path / "2", name)
    before, after = (trusting(each.ca.read_bytes()) for each in (one, other))
    shown = ServerCertificate(one.certificate, one.key)
    async with serving(shown) as port:
        assert await seen(port, before, name) == der(one)
        renewed = der(other)
        put(other, one)
        shown.look()
        assert await seen(port, after, name) == renewed
        with pytest.raises(ssl.SSLCertVerificationError):
            await seen(port, before, name)


@pytest.mark.parametrize("half", ["certificate", "key", "open", "gone", "junk"])
async def test_half_a_renewal_is_told_once_and_the_one_before_is_shown_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, half: str
) -> None:
    one, other = made(tmp_path / "1"), made(tmp_path / "2")
    first = der(one)
    trust = trusting(one.ca.read_bytes())
    shown = ServerCertificate(one.certificate, one.key)
    match half:
        case "certificate":
            one.certificate.write_bytes(other.certificate.read_bytes())
        case "key":
            one.key.write_bytes(other.key.read_bytes())
        case "open":
            one.key.chmod(0o640)
        case "gone":
            one.certificate.unlink()
        case _:
            one.certificate.write_bytes(os.urandom(500))
    async with serving(shown) as port:
        with caplog.at_level(logging.INFO):
            shown.look()
            shown.look()
        assert sum("is not used" in record.getMessage() for record in caplog.records) == 1
        assert await seen(port, trust) == first
        put(other, one)
        shown.look()
        assert await seen(port, trusting(other.ca.read_bytes())) == der(other)


def test_a_key_that_others_may_read_or_that_has_a_passphrase_is_refused(tmp_path: Path) -> None:
    one = made(tmp_path)
    key = serialization.load_pem_private_key(one.key.read_bytes(), None)
    for mode in (0o640, 0o604, 0o620):
        one.key.chmod(mode)
        with pytest.raises(BadCertificate, match=r"others may read .*chmod 600"):
            ServerCertificate(one.certificate, one.key)
    one.key.chmod(0o600)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    one.key.write_bytes(key.private_bytes(*form, serialization.BestAvailableEncryption(b"passphrase")))
    with pytest.raises(BadCertificate, match="without a passphrase"):
        ServerCertificate(one.certificate, one.key)


def test_what_is_no_certificate_with_its_key_is_refused_by_name(tmp_path: Path) -> None:
    one, other = made(tmp_path / "1"), made(tmp_path / "2")
    with pytest.raises(BadCertificate, match="no certificate with its private key"):
        ServerCertificate(one.certificate, other.key)
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(BadCertificate, match=path.name):
            ServerCertificate(path, one.key)
        with pytest.raises(BadCertificate, match=path.name):
            ServerCertificate(one.certificate, path)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(BadCertificate, match="is no file"):
        ServerCertificate(pipe, one.key)


@pytest.mark.parametrize("junk", [b"", b"junk", b"-----BEGIN CERTIFICATE-----\n", "ü".encode()], ids=range(4))
def test_a_file_without_certificates_never_means_the_system_s(junk: bytes) -> None:
    with pytest.raises(BadCertificate, match="no certificates"):
        trusting(junk)


async def test_why_a_certificate_is_refused_is_told(tmp_path: Path) -> None:
    one = made(tmp_path, "witness.example")
    trust = trusting(one.ca.read_bytes())
    async with serving(ServerCertificate(one.certificate, one.key)) as port:
        for believing, name, told in (
            (trust, "other.example", "not valid for 'other.example'"),
            (trust, "127.0.0.1", "not valid for '127.0.0.1'"),
            (trusting(None), "witness.example", "certificate is refused"),
        ):
            with pytest.raises(ssl.SSLError) as refused:
                await seen(port, believing, name)
            assert told in refusal(refused.value)
    assert refusal(OSError()) == ""
