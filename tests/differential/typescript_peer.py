"""How the official TypeScript SDKs read requests: ``tests/node/differential/peer.mjs``, spoken to over pipes."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.differential.drafts import Case
from tests.differential.readings import UNTOLD, Reading
from tests.support.node import FOLDER, NODE

_PEER = FOLDER / "differential" / "peer.mjs"
_LAST_S = 10


@dataclass(frozen=True, slots=True)
class Both:
    """What the SDKs 1.x and 2.x would act on; nothing where they refused the request."""

    v1: list[Reading]
    v2: list[Reading]


class TypeScriptPeer:
    """One Node.js process. :meth:`send` some cases, do something else meanwhile, then :meth:`receive`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def send(self, cases: Sequence[tuple[Case, Reading]]) -> None:
        """Hand over cases, each with its first message as judged. Only when all that was sent before was received."""
        assert self._process.stdin is not None
        sent = [
            {
                "headers": case.headers,
                "body": base64.b64encode(case.body).decode(),
                "handshake": first.method == "initialize",
                # 1.x refuses the modern era by its header alone: to see that in some of them is enough.
                "known": first.era == "legacy" or case.number % 10 == 0,
            }
            for case, first in cases
        ]
        self._process.stdin.write(json.dumps(sent) + "\n")
        self._process.stdin.flush()

    def receive(self) -> list[Both]:
        """What became of the cases that were sent."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"node ended with {self._process.wait(_LAST_S)}"
        return [
            Both(_readings_of_1(told["v1"]["seen"]), _readings_of_2(told["v2"]["seen"])) for told in json.loads(line)
        ]


@contextmanager
def running_peer() -> Iterator[TypeScriptPeer]:
    """Run it."""
    with subprocess.Popen([NODE, _PEER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield TypeScriptPeer(process)
            assert process.stdin is not None
            process.stdin.close()
            process.wait(_LAST_S)
        finally:
            process.kill()


def _readings_of_1(seen: Sequence[Mapping[str, Any]]) -> list[Reading]:
    """Its transport tells of each message, in order; its handlers, later, of those that they were given."""
    typed = [each for each in seen if each["reader"] == "typed"]
    readings: list[Reading] = []
    for each in seen:
        if each["reader"] != "raw":
            continue
        given = next((one for one in typed if one["id"] == each.get("id", ...)), None)
        kind, method = each["kind"], each.get("method", "")
        readings.append(Reading(kind, method, _defined(each, "id"), _defined(each, "params"), "legacy", _typed(given)))
    return readings


def _readings_of_2(seen: Sequence[Mapping[str, Any]]) -> list[Reading]:
    """Its handlers are given what the schema of the method left; the SDK takes what is its own out of ``_meta``."""
    return [
        Reading(each["kind"], each["method"], _id_of(each), UNTOLD, each["era"], _typed(each) or {}) for each in seen
    ]


def _id_of(told: Mapping[str, Any]) -> Any:
    return _value(told["id"]) if "id" in told else None


def _typed(given: Mapping[str, Any] | None) -> Any:
    return None if given is None else _defined(given, "params")


def _defined(told: Mapping[str, Any], key: str) -> Any:
    value = _value(told.get(key))
    return None if value is Undefined else value


class Undefined:
    """JavaScript's undefined."""


def _value(told: Any) -> Any:
    if isinstance(told, list):
        return [_value(element) for element in told]
    if not isinstance(told, dict):
        return told
    if "$members" in told:
        return {key: _value(value) for key, value in told["$members"]}
    return float(told["$number"].replace("Infinity", "inf")) if "$number" in told else Undefined
