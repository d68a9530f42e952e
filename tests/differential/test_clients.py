"""What real clients send passes, and every target reads it as it was judged."""

from __future__ import annotations

import base64
import json
import subprocess

from tests.differential.cases import HONEST
from tests.differential.drafts import Case
from tests.differential.readings import judged
from tests.differential.runs import PEERS, tried
from tests.support.node import FOLDER, NODE


def test_all_that_the_typescript_clients_send_passes_and_is_read_alike() -> None:
    printed = subprocess.run(
        [NODE, FOLDER / "differential" / "clients.mjs"], capture_output=True, check=True, timeout=60
    )
    sent = [json.loads(line) for line in printed.stdout.splitlines()]
    cases = [
        Case(number, (HONEST,), tuple((name, value) for name, value in one["headers"]), base64.b64decode(one["body"]))
        for number, one in enumerate(sent)
    ]
    done = tried(cases)
    assert done.false_refusals == []
    assert done.disagreements == []
    assert done.let_pass == len(cases) > 60
    assert set(done.acted) == set(PEERS)
    read = [one for case in cases for one in judged(case) or ()]
    assert {one.era for one in read} == {"legacy", "modern"}
    assert {"initialize", "server/discover", "tools/call", "resources/read", "completion/complete", "ping"} <= {
        one.method for one in read
    }
