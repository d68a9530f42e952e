"""Whether a process holds a text anywhere in its memory: a secret that it has no use for should not be there."""

from __future__ import annotations

from pathlib import Path

_STEP_BYTES = 1024 * 1024


def holds(pid: int, text: str) -> bool:
    """Whether ``text`` is in memory of its own that the process can write to, its environment among that.

    Raises:
        OSError: when the process is gone, or may not be looked into.
    """
    sought = text.encode()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for start, end in _writable(pid):
            before = b""
            for at in range(start, end, _STEP_BYTES):
                try:
                    memory.seek(at)
                    data = memory.read(min(_STEP_BYTES, end - at))
                except (OSError, OverflowError):  # given back meanwhile, or the kernel's own
                    break
                if sought in before + data:
                    return True
                before = data[-len(sought) :]
    return False


def _writable(pid: int) -> list[tuple[int, int]]:
    found = []
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        place, rights, *_ = line.split()
        if rights.startswith("rw") and rights.endswith("p"):
            start, _, end = place.partition("-")
            found.append((int(start, 16), int(end, 16)))
    return found
