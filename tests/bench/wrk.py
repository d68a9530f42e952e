"""wrk as the generator: a script for it that sends the plan's request, checks every answer and prints the outcome."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.load import Outcome, Plan, read_outcome, run_to_end

_SCRIPT = """
local expected = %(expected)s
wrk.method = "POST"
wrk.path = %(path)s
wrk.body = %(body)s
%(headers)s

local threads = {}
function setup(thread) table.insert(threads, thread) end

wrong, problem = 0, ""
function response(status, headers, body)
  if status ~= 200 or body ~= expected then
    wrong = wrong + 1
    if problem == "" then problem = status ~= 200 and ("status " .. status) or "the body is not the expected one" end
  end
end

function done(summary, latency, requests)
  local wrong, problem = 0, ""
  for _, thread in ipairs(threads) do
    wrong = wrong + thread:get("wrong")
    if problem == "" then problem = thread:get("problem") end
  end
  local right = summary.requests - wrong
  local broken = summary.errors
  local lost = broken.connect + broken.read + broken.write + broken.timeout
  if lost > 0 then
    wrong = wrong + lost
    if problem == "" then problem = "a connection failed, or an answer did not come" end
  end
  local counts = {}
  for i = 1, #latency do
    local us, count = latency(i)
    counts[i] = string.format('"%%d":%%d', us, count)
  end
  print(string.format('{"calls":%%d,"wrong":%%d,"problem":"%%s","seconds":%%f,"latencies_us":{%%s}}',
    right, wrong, problem, summary.duration / 1e6, table.concat(counts, ",")))
end
"""


class Wrk:
    """wrk, one thread. It abandons the calls that are under way at the end, at most one a client and slice; its
    latencies hold those of wrong answers too, which make the run invalid anyway."""

    name = "wrk"

    def __init__(self, program: str) -> None:
        self._program = program

    def run(self, plan: Plan) -> Outcome:
        """Carry out the plan. Raises ``LoadFailed``."""
        with TemporaryDirectory(prefix="cs-wrk-") as folder:
            # In a file that only we may read, so that the token is in no command line.
            file = Path(folder) / "plan.lua"
            file.touch(mode=0o600)
            file.write_text(script(plan))
            command = [self._program, "-t", "1", "-c", str(plan.clients), "-d", f"{plan.seconds}s", "--timeout", "30s"]
            output = run_to_end([*command, "-s", str(file), f"http://127.0.0.1:{plan.port}"], "", plan.seconds)
        return read_outcome(output)


def script(plan: Plan) -> str:
    """The Lua script of a plan."""
    headers = "\n".join(f"wrk.headers[{lua(name)}] = {lua(value)}" for name, value in plan.headers.items())
    return _SCRIPT % {
        "expected": lua(plan.expected),
        "path": lua(plan.path),
        "body": lua(plan.body),
        "headers": headers,
    }


def lua(text: str) -> str:
    """Text as a Lua string of the same bytes."""
    return '"' + "".join(f"\\{byte:03d}" if _unsafe(byte) else chr(byte) for byte in text.encode()) + '"'


def _unsafe(byte: int) -> bool:
    return byte < 32 or byte > 126 or byte in b'\\"'
