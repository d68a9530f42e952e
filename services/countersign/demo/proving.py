"""Demo only: the steps of the walk in which a session is proved to somebody who trusts nobody here."""

from __future__ import annotations

from pathlib import Path

from countersign.demo.places import Places
from countersign.demo.steps import Step, all_of, as_person, ends, shows


def proofs(places: Places, program: str, session_id: str) -> tuple[Step, ...]:
    """Carol takes alice's session out, with the keys to trust, and checks it offline. What was taken before goes."""
    policy, export = places.state / "trusted.policy", places.state / "alice.jsonl"
    for earlier in (policy, export):
        earlier.unlink(missing_ok=True)
    taken = ("export", "session", session_id, "--out", str(export))
    return (
        Step(
            "carol notes whose signatures to trust (and would compare them with what she was told otherwise)",
            (program, "log", "policy", "--out", str(policy), *as_person("carol", places)),
            check=ends(0),
        ),
        Step(
            "carol exports alice's session, with all that proves it",
            (program, *taken, *as_person("carol", places)),
            check=ends(0),
        ),
        Step(
            "carol checks it, offline: whole, unaltered, in order, and in the log",
            (program, "verify", str(export), "--policy", str(policy)),
            check=all_of(ends(0), shows("VALID")),
        ),
    )


def forgery(places: Places, program: str) -> Step:
    """Somebody changes what alice asked for, and gives carol that."""
    export, forged = places.state / "alice.jsonl", places.state / "forged.jsonl"
    forge(export, forged)
    return Step(
        "somebody changes one word in a copy: it is no proof any more",
        (program, "verify", str(forged), "--policy", str(places.state / "trusted.policy")),
        check=all_of(ends(1), shows("INVALID")),
    )


def forge(export: Path, forged: Path) -> None:
    """Write a copy of an export, if there is one, in which a denied call looks like another."""
    if not export.exists():
        return
    forged.write_bytes(export.read_bytes().replace(b"export_table", b"import_table", 1))
