"""Commands that speak to other machines, judged by what they send and where they put what comes back.

Source: the manuals of curl, wget and rsync.
"""

from __future__ import annotations

import re

from countersign.statements.names import names
from countersign.statements.shell.command import FETCHES, Command, options, verdict
from countersign.statements.shell.paths import write_classes
from countersign.statements.shell.words import Word
from countersign.statements.verdict import StatementClass, Verdict

_C = StatementClass
_SENDS = verdict("it sends data to another server", _C.EXPORT)
_CURL_VALUED = "XHAebcmouxwrCEtyYzDKFdTQUPq"
_CURL_PLAIN = names(
    """-s -S -L -f -k -i -I -v -g -4 -6 -# -G -H -A -m -w -o -O -J --silent --show-error --location --fail --insecure
    --include --head --verbose --max-time --connect-timeout --retry --retry-delay --compressed --http1.1 --http2
    --header --user-agent --output --remote-name --no-progress-meter --progress-bar --fail-with-body --write-out
    --create-dirs --proto --tlsv1.2 --url --globoff --retry-connrefused"""
)
_WGET_PLAIN = names(
    """-q -O -c -nv -nc -N -P -T -t -v -n -d -S -r -l -k -p --quiet --output-document --continue --no-verbose
    --timeout --tries --no-check-certificate --show-progress --spider --server-response --directory-prefix --header
    --user-agent"""
)
_INSIDE = re.compile(
    r"^(?:[a-z]+://)?(?:[^/@]*@)?(?:169\.254\.|metadata\.|\[?fd00:ec2|100\.100\.100\.200|2852039166|0xa9fea9fe)",
    re.IGNORECASE,
)
_URL_PLAIN = re.compile(r"^(?:https?://)?[A-Za-z0-9.-]+(?::\d+)?(?:/[^?#]*)?$")


def judge_curl(command: Command) -> Verdict:
    """``curl``: a request for a page is ``export`` (another server is asked); sending, saving, and more add to that."""
    texts = command.texts
    if texts is None:
        return _SENDS
    given = options(
        texts, _CURL_VALUED, _CURL_PLAIN & names("--max-time --header --output --user-agent --write-out --url")
    )
    classes = {_C.EXPORT}
    if any(text.lower().startswith("file:") for text in texts):
        classes = {_C.FILE_ACCESS}
    if any(_INSIDE.match(text) for text in texts):
        classes.add(_C.PRIVILEGE)
    target = given.values.get("-o") or given.values.get("--output")
    if target is not None and target != "-":
        classes |= write_classes(Word(target), command.folder)
    if {"-O", "--remote-name"} & given.given:
        classes.add(_C.WRITE)
    if {"-K", "--config"} & given.given:
        classes.add(_C.CODE_EXECUTION)
    plain = given.given <= _CURL_PLAIN and "@" not in "".join(given.values.get(key, "") for key in ("-H", "--header"))
    if classes == {_C.EXPORT} and plain and all(_URL_PLAIN.match(text) for text in given.operands):
        return FETCHES
    return verdict("it sends data to another server, or saves what comes back", *classes)


def judge_wget(command: Command) -> Verdict:
    """``wget``: asks another server and saves the answer, unless that goes to the standard output."""
    texts = command.texts
    if texts is None:
        return _SENDS
    given = options(texts, "OPTtloUQewXID", names("--output-document --directory-prefix --timeout --tries --header"))
    target = given.values.get("-O") or given.values.get("--output-document")
    classes = {_C.EXPORT}
    if any(_INSIDE.match(text) for text in given.operands):
        classes.add(_C.PRIVILEGE)
    if any(option.startswith(("--use-askpass", "--config", "-e", "--execute")) for option in given.given):
        classes.add(_C.CODE_EXECUTION)
    if target == "-" or "--spider" in given.given:
        plain = given.given <= _WGET_PLAIN and all(_URL_PLAIN.match(text) for text in given.operands)
        return FETCHES if plain and classes == {_C.EXPORT} else verdict("it sends data to another server", *classes)
    classes |= write_classes(Word(target), command.folder) if target else {_C.WRITE}
    return verdict("it saves what another server sends", *classes)


def judge_rsync(command: Command) -> Verdict:
    """``rsync``: writes, and carries data out when a side is on another machine."""
    texts = command.texts
    if texts is None:
        return _SENDS
    given = options(texts, "e", names("--rsh --rsync-path --exclude --include --files-from"))
    classes = {_C.WRITE}
    if any(re.match(r"^(?:rsync://|[\w.@-]+:)", text) for text in given.operands):
        classes = {_C.EXPORT}
    if any(option in ("-e", "--rsh", "--rsync-path") for option in given.given):
        classes.add(_C.CODE_EXECUTION)
    if any(option.startswith("--del") for option in given.given):
        classes.add(_C.MASS_WRITE)
    return verdict("it copies files", *classes)
