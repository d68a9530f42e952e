"""One witness, and what is asked of it (c2sp.org/tlog-witness). It may lie, hang, or answer without an end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import httpx

from countersign.config.types import Witness
from countersign.recorder.log.ports import Prove, WitnessView
from countersign.recorder.witnesses.way import TIMEOUT_S, NoWay, Way
from countersign.runtime.postgres import DatabaseError
from countersign.runtime.tls import refusal
from countersign.tlog import (
    BadSignature,
    TlogError,
    VerifierKey,
    check_signature,
    parse_note,
    parse_number,
    parse_signatures,
    parse_verifier,
    to_base64,
)

log = logging.getLogger(__name__)

MAX_ANSWER_BYTES: Final = 64 * 1024
CLOCKS_APART_S: Final = 300
"""More than an auditor bears, too (``TrustPolicy.open``)."""
SIZE_TYPE: Final = "text/x.tlog.size"


class NotCosigned(Exception):
    """The witness did not cosign; the message says why, and holds nothing of what it answered."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    kind: str
    body: bytes


class OneWitness:
    """Asks one witness, about one checkpoint at a time, by ``way``. ``clock_s`` gives POSIX seconds."""

    def __init__(self, witness: Witness, way: Way, clock_s: Callable[[], int]) -> None:
        self.witness = witness
        self._key: VerifierKey = parse_verifier(witness.key)
        self._url = f"{witness.url.rstrip('/')}/add-checkpoint"
        self._way = way
        self._clock_s = clock_s
        # What it saw last, as far as we know: it says so itself where that is wrong.
        self._seen_size = 0
        self._cosigned_size = 0
        self._problem = ""

    @property
    def view(self) -> WitnessView:
        """What is known of it."""
        return WitnessView(self.witness.name, self._cosigned_size, self._problem)

    async def close(self) -> None:
        """Let go of its connections; nothing may be asked then."""
        await self._way.close()

    async def ask(self, note: str, size: int, prove: Prove) -> str:
        """Return the line of its cosignature over ``note``, a checkpoint of ``size``; empty when it gives none.

        Raises nothing, and ends within ``TIMEOUT_S``.
        """
        try:
            async with asyncio.timeout(TIMEOUT_S):
                line = await self._asked(note, size, prove)
        except NotCosigned as error:
            self._complain(str(error))
        except TimeoutError:
            self._complain(f"it did not answer within {TIMEOUT_S:g} s")
        except NoWay as error:
            self._complain(str(error))
        except httpx.HTTPError as error:
            self._complain(refusal(error) or f"it cannot be reached ({type(error).__name__})")
        except DatabaseError:
            self._complain("the proof for it could not be made: the database does not answer")
        except Exception as error:
            # Whatever it is: what one witness does must not keep the others from cosigning.
            self._complain(f"it could not be asked ({type(error).__name__})")
        else:
            if self._problem:
                log.info("a witness cosigns again", extra={"witness": self.witness.name})
            self._problem = ""
            self._cosigned_size = self._seen_size = size
            return line
        return ""

    async def _asked(self, note: str, size: int, prove: Prove) -> str:
        old = self._seen_size if self._seen_size <= size else 0
        answer = await self._post(old, await prove(old), note)
        if _says_size(answer):
            old = self._seen_size = _size(answer.body)
            if old > size:
                raise NotCosigned(f"it says that it saw the log at size {old} before, and the log has {size}")
            answer = await self._post(old, await prove(old), note)
        if answer.status == httpx.codes.OK:
            return self._checked(answer.body, note)
        if _says_size(answer):
            raise NotCosigned("it does not keep to what it says that it saw")
        raise NotCosigned(_WHY.get(answer.status, f"it answered {answer.status}"))

    async def _post(self, old: int, proof: Sequence[bytes], note: str) -> _Answer:
        lines = "".join([f"{to_base64(one)}\n" for one in proof])
        content = f"old {old}\n{lines}\n{note}".encode()
        # What is compressed would have no bound; a redirection is not followed.
        headers = {"accept-encoding": "identity", "content-type": "text/plain; charset=utf-8"}
        client = await self._way.client()
        async with client.stream("POST", self._url, content=content, headers=headers) as response:
            body = bytearray()
            async for part in response.aiter_raw():
                body += part
                if len(body) > MAX_ANSWER_BYTES:
                    raise NotCosigned("its answer has no end")
            kind = response.headers.get("content-type", "").partition(";")[0].strip()
            return _Answer(response.status_code, kind, bytes(body))

    def _checked(self, body: bytes, note: str) -> str:
        """Return the one line of the answer that is this witness's. Raises ``NotCosigned``."""
        try:
            lines = [line for line in parse_signatures(body.decode()) if line.claims(self._key)]
            if not lines:
                raise NotCosigned("its answer has no cosignature of the key that gateway.yaml names")
            signed = check_signature(parse_note(note).text, lines[0], self._key)
        except BadSignature:
            raise NotCosigned("its cosignature is not over the checkpoint that it was sent") from None
        except (TlogError, UnicodeDecodeError):
            raise NotCosigned("its answer is no cosignature") from None
        if signed.time_s is None or abs(signed.time_s - self._clock_s()) > CLOCKS_APART_S:
            raise NotCosigned(f"its clock and ours are more than {CLOCKS_APART_S} s apart")
        return str(lines[0])

    def _complain(self, problem: str) -> None:
        if problem != self._problem:
            log.warning("a witness did not cosign: %s", problem, extra={"witness": self.witness.name})
        self._problem = problem


_WHY: Final = {
    403: "it does not know the key that signs for the log (403): its operator adds it",
    404: "it does not know the log (404): its operator adds the log's key",
    409: "it cosigned another tree of this size (409): the log it saw is not this one",
    422: "it does not accept that the log only grew (422): the log it saw is not this one",
}


def _says_size(answer: _Answer) -> bool:
    return answer.status == httpx.codes.CONFLICT and answer.kind == SIZE_TYPE


def _size(body: bytes) -> int:
    try:
        text = body.decode("ascii")
        return parse_number(text.removesuffix("\n"))
    except (TlogError, UnicodeDecodeError):
        raise NotCosigned("it does not say what it saw of the log") from None
