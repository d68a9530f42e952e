"""A server on standard input and output, honest or not as its tools are called: a program, standard library only.

``python stdio_server.py [stubborn] [legacy] [crash]``: ``stubborn`` ignores SIGTERM and the end of its input,
``legacy`` knows no ``server/discover``, ``crash`` ends at once.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

TOOLS = (
    *("echo", "pid", "environment", "descriptors", "progress", "log", "ask", "die", "flood", "big", "twice"),
    *(
        "other_id",
        "noise",
        "half_line",
        "orphan",
        "slow",
        "doubled_key",
        "bad_id",
        "changed",
        "memory",
        "files",
        "deaf",
    ),
)
_LOCK = threading.Lock()
_SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"
_LISTENING: list[object] = []
_CANCELLED: set[object] = set()


def write(text: str) -> None:
    with _LOCK:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def send(message: dict[str, Any]) -> None:
    write(json.dumps({"jsonrpc": "2.0", **message}, separators=(",", ":")))


def text(value: object) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": value if isinstance(value, str) else json.dumps(value)}]}


def tool(name: str, arguments: dict[str, Any], request: dict[str, Any]) -> dict[str, Any] | None:
    """Return the result; ``None`` when something else was answered, or nothing."""
    number, token = request["id"], request["params"].get("_meta", {}).get("progressToken")
    match name:
        case "echo":
            return text(arguments.get("text", ""))
        case "pid":
            return text({"pid": os.getpid(), "cwd": os.getcwd()})
        case "environment":
            return text(dict(os.environ))
        case "descriptors":
            return text(sorted(int(each) for each in os.listdir("/proc/self/fd") if int(each) > 2))
        case "progress":
            for step in range(3):
                params = {"progressToken": token, "progress": step, "message": f"step {step}"}
                send({"method": "notifications/progress", "params": params})
            send({"method": "notifications/progress", "params": {"progressToken": "of nobody", "progress": 1}})
            return text("done")
        case "log":
            send({"method": "notifications/message", "params": {"level": "info", "data": arguments["text"]}})
            return text("logged")
        case "ask":
            send({"id": "q1", "method": "roots/list"})
            return text("asked")
        case "die":
            os._exit(7)
        case "flood":
            for _ in range(2_000):
                write("x" * 1_000)
                sys.stderr.write("y" * 1_000 + "\n")
            return text("flooded")
        case "big":
            size = int(arguments["bytes"])
            with _LOCK:
                for _ in range(size // 65_536):
                    sys.stdout.write("z" * 65_536)
                sys.stdout.write("\n")
                sys.stdout.flush()
            return None
        case "twice":
            send({"id": number, "result": text("first")})
            send({"id": number, "result": text("second")})
            return None
        case "other_id":
            send({"id": number + 1, "result": text("not yours")})
            send({"id": str(number), "result": text("not yours")})
            send({"id": None, "result": text("not yours")})
            return text("yours")
        case "noise":
            for line in ("hello", "{", "[]", "null", '{"jsonrpc":"1.0","id":1,"result":{}}', "\x00\x01", "", "   "):
                write(line)
            return text("after noise")
        case "half_line":
            with _LOCK:
                sys.stdout.write('{"jsonrpc":"2.0","id":')
                sys.stdout.flush()
            time.sleep(0.2)
            with _LOCK:
                sys.stdout.write(f'{number},"result":{json.dumps(text("whole"))}}}\n')
                sys.stdout.flush()
            return None
        case "orphan":
            child = subprocess.Popen(
                ["sh", "-c", "trap '' TERM HUP; while :; do sleep 1; done"],
                start_new_session=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            return text({"pid": child.pid})
        case "slow":
            for _ in range(600):
                if number in _CANCELLED:
                    sys.stderr.write("cancelled\n")
                    open(arguments["mark"], "w").close()
                    return None
                time.sleep(0.05)
            return text("waited")
        case "doubled_key":
            write(f'{{"jsonrpc":"2.0","id":{number},"result":{{"content":[],"content":[{{}}]}}}}')
            return None
        case "bad_id":
            write(f'{{"jsonrpc":"2.0","id":{number}.0,"result":{{"content":[]}}}}')
            return None
        case "changed":
            for about in ({}, *({"_meta": {_SUBSCRIPTION: each}} for each in _LISTENING)):
                send({"method": "notifications/tools/list_changed", "params": about})
            return text("changed")
        case "memory":
            kept = bytearray(int(arguments["bytes"]))
            time.sleep(30)
            return text(str(len(kept)))
        case "deaf":
            os.close(1)
            time.sleep(30)
            return None
        case "files":
            opened = []
            try:
                while True:
                    opened.append(os.open("/dev/null", os.O_RDONLY))
            except OSError:
                return text(str(len(opened)))
    return {"isError": True, **text("no such tool")}


def handle(request: dict[str, Any], *, legacy: bool) -> None:
    method, params = request["method"], request.get("params", {})
    result: dict[str, Any] | None
    if method == "initialize":
        capabilities = {"tools": {"listChanged": True}, "logging": {}}
        info = {"name": "scripted", "version": str(os.getpid())}
        result = {"protocolVersion": "2025-11-25", "capabilities": capabilities, "serverInfo": info}
    elif method == "server/discover" and not legacy:
        result = {"resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}
        result |= {"cacheScope": "private", "ttlMs": 0}
        result["_meta"] = {"io.modelcontextprotocol/serverInfo": {"name": "scripted", "version": "1"}}
    elif method == "subscriptions/listen":
        _LISTENING.append(request["id"])
        about = {"_meta": {_SUBSCRIPTION: request["id"]}}
        send({"method": "notifications/subscriptions/acknowledged", "params": about})
        return
    elif method == "tools/list":
        result = {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in TOOLS]}
    elif method == "tools/call":
        result = tool(params["name"], params.get("arguments", {}), request)
    else:
        send({"id": request["id"], "error": {"code": -32601, "message": "Method not found"}})
        return
    if result is not None:
        if "io.modelcontextprotocol/protocolVersion" in params.get("_meta", {}):
            result |= {"resultType": "complete"} | ({"cacheScope": "private", "ttlMs": 0} if "tools" in result else {})
        send({"id": request["id"], "result": result})


def main(words: list[str]) -> None:
    if "crash" in words:
        os._exit(3)
    if "stubborn" in words:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for line in sys.stdin:
        message = json.loads(line)
        if message.get("method") == "notifications/cancelled":
            _CANCELLED.add(message["params"]["requestId"])
        elif "method" in message and "id" in message:
            threading.Thread(target=handle, args=[message], kwargs={"legacy": "legacy" in words}, daemon=True).start()
        elif "result" in message or "error" in message:
            send({"method": "notifications/message", "params": {"level": "info", "data": {"answered": message["id"]}}})
    while "stubborn" in words:
        time.sleep(1)


if __name__ == "__main__":
    main(sys.argv[1:])
