"""A witness over HTTP, in this process and as a process of its own that is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from countersign.cli.main import app as cli
from countersign.runtime.settings import SettingsError, load_witness_settings
from countersign.runtime.tls import refusal, trusting
from countersign.tlog import KeyKind, parse_signatures
from countersign.witness.asked import MAX_BODY_BYTES
from countersign.witness.errors import Misconfigured, StateUnusable, WitnessError
from countersign.witness.judging import SIZE_TYPE
from countersign.witness.part import WitnessPart, read_logs, read_signer
from tests.support.exporting import Certificates, certificates
from tests.support.gateway import wait_until
from tests.support.logs import SomeLog, signer
from tests.support.recorders import until
from tests.unit.witness.test_judging import body

KEY = signer("witness.example/w1", KeyKind.COSIGNATURE, seed=9)
LOG = SomeLog(400)
DEADLINE_S = 20.0
# Ends by SIGKILL where the answer is made: what is to be cosigned is on disk, and nobody was told.
_KILLED = """
import os, signal
from countersign.witness import judging
judging.cosign = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
"""


class Place:
    """The files of a witness, and the environment that names them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key, self.logs, self.state = folder / "key", folder / "logs", folder / "state"
        self.address = f"unix:{folder / 'socket'}"
        self.state.mkdir()
        self.key.touch(0o600)
        self.key.write_text(KEY.secret_text() + "\n")
        self.logs.write_text(f"# who we watch\n\n{LOG.key.verifier}\n")

    def part(self) -> WitnessPart:
        return WitnessPart(
            key_file=self.key, logs_file=self.logs, state=self.state, listen=self.address, clock_s=lambda: 1
        )

    def client(self) -> httpx.AsyncClient:
        transport = httpx.AsyncHTTPTransport(uds=self.address.removeprefix("unix:"))
        return httpx.AsyncClient(transport=transport, base_url="http://witness", timeout=DEADLINE_S)

    def process(self, before: str = "", **more: str) -> subprocess.Popen[bytes]:
        command = f"{before}\nfrom countersign.cli.main import app\napp()"
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("COUNTERSIGN_")},
            "COUNTERSIGN_WITNESS_KEY_FILE": str(self.key),
            "COUNTERSIGN_WITNESS_LOGS_FILE": str(self.logs),
            "COUNTERSIGN_WITNESS_STATE": str(self.state),
            "COUNTERSIGN_LISTEN_HTTP": self.address,
            **more,
        }
        log = (self.folder / "log").open("ab")
        with log:
            return subprocess.Popen(
                [sys.executable, "-c", command, "serve", "witness"], env=environment, stdout=log, stderr=log
            )

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def wait(self, process: subprocess.Popen[bytes], times: int) -> None:
        def settled() -> bool:
            return process.poll() is not None or self.log().count('"serving"') == times

        wait_until(settled, DEADLINE_S, lambda: AssertionError(self.log()))
        assert process.poll() is None, self.log()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@asynccontextmanager
async def serving(place: Place) -> AsyncIterator[httpx.AsyncClient]:
    part = place.part()
    running = asyncio.ensure_future(part.run())
    try:
        await until(lambda: part.serving)
        async with place.client() as client:
            yield client
    finally:
        part.end()
        await running


async def added(client: httpx.AsyncClient, content: bytes) -> httpx.Response:
    return await client.post("/add-checkpoint", content=content)


async def test_many_at_a_time_are_judged_one_by_one(place: Place) -> None:
    async with serving(place) as client:
        answers = await asyncio.gather(*[added(client, body(LOG, 0, size)) for size in range(1, 61)])
    good = [answer for answer in answers if answer.status_code == 200]
    assert len(good) == 1, "each after the first has an old size that is no longer the last"
    assert {answer.status_code for answer in answers} == {200, 409}
    (size,) = {answer.text for answer in answers if answer.status_code == 409}
    assert parse_signatures(good[0].text)[0].claims(KEY.verifier)
    async with serving(place) as client:
        assert (await added(client, body(LOG, int(size), 100))).status_code == 200


async def test_what_http_says_of_it_is_what_the_text_asks_for(place: Place) -> None:
    async with serving(place) as client:
        assert (await added(client, body(LOG, 0, 5))).headers["content-type"] == "text/plain; charset=utf-8"
        conflict = await added(client, body(LOG, 0, 6))
        assert (conflict.status_code, conflict.headers["content-type"], conflict.text) == (409, SIZE_TYPE, "5\n")
        assert "server" not in conflict.headers
        assert (await client.get("/add-checkpoint")).status_code == 405
        for path in ("/", "/add-checkpoint/", "/add-checkpoint/x", "//add-checkpoint"):
            assert (await client.post(path)).status_code == 404
        assert (await added(client, b"")).status_code == 400


async def test_a_body_without_an_end_is_not_read_to_its_end(place: Place) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b"A" * 65_536

    async with serving(place) as client:
        assert (await added(client, b"A" * (MAX_BODY_BYTES + 1))).status_code == 413
        # It may be hung up on while it still sends, before it looks for an answer.
        with suppress(httpx.TransportError):
            assert (await client.post("/add-checkpoint", content=endless())).status_code == 413
        assert sent < 1_000
        assert (await added(client, body(LOG, 0, 5))).status_code == 200


async def test_a_body_that_does_not_come_is_not_waited_for(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("countersign.witness.app.BODY_S", 0.05)

    async with serving(place) as client:
        reader, writer = await asyncio.open_unix_connection(place.address.removeprefix("unix:"))
        writer.write(b"POST /add-checkpoint HTTP/1.1\r\nhost: w\r\ncontent-length: 100\r\n\r\nold 0\n")
        assert b" 408 " in await reader.readline()
        writer.close()
        await writer.wait_closed()
        assert (await added(client, body(LOG, 0, 5))).status_code == 200


async def test_killed_between_disk_and_answer_it_still_knows(place: Place) -> None:
    killed = place.process(_KILLED)
    place.wait(killed, 1)
    async with place.client() as client:
        with pytest.raises(httpx.TransportError):
            await added(client, body(LOG, 0, 300))
    assert killed.wait(DEADLINE_S) == -signal.SIGKILL
    again = place.process()
    place.wait(again, 2)
    async with place.client() as client:
        # It may have told somebody: a smaller tree, or another one, is out of the question.
        assert (await added(client, body(LOG, 0, 299))).text == "300\n"
        assert (await added(client, body(SomeLog(400, salt="b", forked_at=200), 300, 300))).status_code == 409
        assert (await added(client, body(LOG, 300, 301))).status_code == 200
    again.send_signal(signal.SIGTERM)
    assert again.wait(DEADLINE_S) == 0
    assert str(KEY.verifier) in place.log()
    assert KEY.secret_text() not in place.log()


@pytest.mark.parametrize(
    ("file", "content", "why"),
    [
        ("key", "", "not one witness's key"),
        ("key", "nonsense\n", "not a witness's key"),
        ("key", f"{LOG.key.secret_text()}\n", "not one witness's key"),
        ("key", f"{KEY.secret_text()}\n{KEY.secret_text()}\n", "not one witness's key"),
        ("logs", "# none yet\n", "names no log"),
        ("logs", "log.example\n", "not a log's verifier key"),
        ("logs", f"{KEY.verifier}\n", "a witness's, and no log's"),
        ("logs", f"{LOG.key.secret_text()}\n", "not a log's verifier key"),
        ("logs", "\ud800", "not UTF-8"),
    ],
    ids=["empty key", "nonsense", "log's key", "two keys", "no logs", "no vkey", "witness", "secret", "bytes"],
)
def test_files_that_are_wrong_are_told_without_a_key(place: Place, file: str, content: str, why: str) -> None:
    (place.folder / file).write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(Misconfigured, match=why) as refused:
        place.part()
    for secret in (KEY.secret_text(), LOG.key.secret_text()):
        assert secret.rpartition("+")[2] not in str(refused.value)


def test_a_key_that_others_may_read_is_refused(place: Place) -> None:
    place.key.chmod(0o640)
    with pytest.raises(Misconfigured, match="chmod 600"):
        read_signer(place.key)
    for read in (read_signer, read_logs):
        with pytest.raises(WitnessError, match="cannot be read"):
            read(place.folder / "gone")


async def test_a_witness_that_cannot_begin_lets_go_of_its_folder(place: Place) -> None:
    (place.folder / "socket").mkdir()
    with pytest.raises(RuntimeError, match="cannot listen"):
        place.part()
    (place.folder / "socket").rmdir()
    place.state.rename(place.folder / "elsewhere")
    with pytest.raises(StateUnusable):
        place.part()
    (place.folder / "elsewhere").rename(place.state)
    async with serving(place) as client:
        assert (await added(client, body(LOG, 0, 5))).status_code == 200


async def test_over_tls_it_cosigns_and_shows_a_renewed_certificate_to_who_comes_then(place: Place) -> None:
    shown, renewed = (sound(place.folder / name) for name in ("shown", "renewed"))
    before, after = trusting(shown.ca.read_bytes()), trusting(renewed.ca.read_bytes())
    tls = {"COUNTERSIGN_TLS_CERTIFICATE": str(shown.certificate), "COUNTERSIGN_TLS_KEY": str(shown.key)}
    process = place.process(**tls)
    place.wait(process, 1)
    async with place.client() as clear:
        with pytest.raises(httpx.TransportError):
            await added(clear, body(LOG, 0, 5))
    async with over_tls(place, before) as first:
        assert (await added(first, body(LOG, 0, 5))).status_code == 200
        renewed.certificate.replace(shown.certificate)
        renewed.key.replace(shown.key)
        wait_until(lambda: "a new certificate is shown" in place.log(), DEADLINE_S, lambda: AssertionError(place.log()))
        # What is under way goes on.
        assert (await added(first, body(LOG, 5, 6))).status_code == 200
    async with over_tls(place, after) as second:
        assert (await added(second, body(LOG, 6, 7))).status_code == 200
    async with over_tls(place, before) as third:
        with pytest.raises(httpx.ConnectError) as refused:
            await added(third, body(LOG, 7, 8))
    assert "its certificate is refused" in refusal(refused.value)
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE_S) == 0


def sound(folder: Path) -> Certificates:
    folder.mkdir()
    made = certificates(folder, name="witness.example")
    made.key.chmod(0o600)
    return made


def over_tls(place: Place, trust: ssl.SSLContext) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(uds=place.address.removeprefix("unix:"), verify=trust)
    return httpx.AsyncClient(transport=transport, base_url="https://witness.example", timeout=DEADLINE_S)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (("--tls-certificate", "c.pem"), "a TLS certificate without its key"),
        (("--tls-key", "c.pem"), "a TLS key without its certificate"),
        (("--tls-certificate", "nowhere", "--tls-key", "c.pem"), "nowhere cannot be read"),
        (("--tls-certificate", "127.0.0.1.pem", "--tls-key", "127.0.0.1.key"), "others may read"),
    ],
    ids=["no key", "no certificate", "no file", "an open key"],
)
def test_it_does_not_begin_with_half_of_tls(
    place: Place, monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...], why: str
) -> None:
    monkeypatch.chdir(place.folder)
    certificates(place.folder).key.chmod(0o644)
    for name, value in (("KEY_FILE", place.key), ("LOGS_FILE", place.logs), ("STATE", place.state)):
        monkeypatch.setenv(f"COUNTERSIGN_WITNESS_{name}", str(value))
    monkeypatch.setenv("COUNTERSIGN_LISTEN_HTTP", place.address)
    told = CliRunner().invoke(cli, ["serve", "witness", *given])
    assert (told.exit_code, why in told.stderr) == (1, True), told.output


def test_tls_is_had_from_the_environment_unless_it_is_given(place: Place) -> None:
    env = {
        "COUNTERSIGN_WITNESS_KEY_FILE": str(place.key),
        "COUNTERSIGN_WITNESS_LOGS_FILE": str(place.logs),
        "COUNTERSIGN_WITNESS_STATE": str(place.state),
    }
    assert load_witness_settings(env).tls is None
    tls = {"COUNTERSIGN_TLS_CERTIFICATE": "c.pem", "COUNTERSIGN_TLS_KEY": "k.pem"}
    assert load_witness_settings(env | tls).tls == (Path("c.pem"), Path("k.pem"))
    assert load_witness_settings(env | tls, tls_key="other.pem").tls == (Path("c.pem"), Path("other.pem"))
    for name, value in tls.items():
        with pytest.raises(SettingsError, match="without its"):
            load_witness_settings({**env, name: value})
