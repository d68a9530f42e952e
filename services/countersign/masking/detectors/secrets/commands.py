"""Passwords on command lines: options of clients, statements that set them, and what is piped into a prompt."""

from __future__ import annotations

import re

from countersign.masking.detectors.base import Hit, Pattern
from countersign.masking.detectors.looks import is_placeholder
from countersign.masking.detectors.secrets.part import Part

_USER_FLAG = r"(?:-[a-zA-Z]{0,6}u\s{1,4}|-u|--(?:proxy-)?user(?:\s{1,4}|=))"
_USER_OPTION = Pattern(
    rf"""(?:^|\s){_USER_FLAG}(?:"([^"\n]+)"|'([^'\n]+)'|([^\s"']*:(?:'[^'\n]+'|"[^"\n]+"|[^\s"']+)))"""
    r"""(:"[^"\n]+"|:'[^'\n]+')?"""
)
_WORD = r"""(?:"([^"\n]+)"|'([^'\n]+)'|([^\s"'|;&-][^\s"'|;&]{2,}))"""
_WITHIN = r"[^\n|;&]{0,200}?\s"
# Clients, and the option that each takes a password by.
_CLIENTS: tuple[tuple[str, str], ...] = (
    (
        r"(?:mysql|mysqldump|mysqladmin|mariadb|sshpass|redis-cli|docker login|mongo|mongosh|mongodump|sqlcmd|bcp)",
        r"-[paP][= ]?",
    ),
    (r"ldap(?:search|modify|add|delete|passwd|whoami|compare)", r"-w ?"),
    (r"(?:az|podman|buildah|skopeo|helm) (?:registry )?login", r"-p[= ]"),
    (r"(?:zip|unzip|ipmitool|mosquitto_(?:pub|sub))", r"-P ?"),
    (r"(?:plink|pscp|psftp)", r"-pw "),
    (r"xfreerdp", r"/p:"),
)
_OPTIONS = tuple(Pattern(rf"(?i)\b{client}\b{_WITHIN}(?-i:{option}) ?{_WORD}") for client, option in _CLIENTS)
_STATEMENTS = (
    Pattern(rf"(?i)\bnet1? user [\w.-]{{1,64}} {_WORD}"),
    Pattern(rf"(?i)\bnet use [^\n|;&]{{0,160}}?\\\\\S{{1,120}} {_WORD}"),
    Pattern(rf"(?i)\bhtpasswd -[a-z]{{0,4}}b[a-z]{{0,4}} \S{{1,120}} \S{{1,64}} {_WORD}"),
    Pattern(rf"(?i)\bsmbclient\b{_WITHIN}-U ?[^\s%]{{1,64}}%{_WORD}"),
    # A user, a slash and the password, as all tools of Oracle take them.
    Pattern(
        r"(?i)\b(?:sqlplus|sqlldr|expdp|impdp|rman target)\s{1,4}(?:-[a-z]{1,8}\s{1,4}){0,3}[\w.$#-]{1,64}/"
        r"""(?:"([^"\n]+)"|'([^'\n]+)'|([^\s"'@/]{3,}))"""
    ),
)
_PROMPTS = r"(?:--password-stdin|--stdin\b|sudo\s{1,4}(?:-\w{1,2}\s{1,4})?-S|chpasswd\b)"
_PIPED = Pattern(
    r"""\b(?:echo|printf)\s{1,4}(?:-[a-z]\s{1,4})?(?:"([^"\n]{3,200})"|'([^'\n]{3,200})'|([^\s"'|;&<>]{3,200}))"""
    rf"\s{{0,4}}\|[^\n|;&]{{0,120}}{_PROMPTS}"
)
_PIPED_USER = re.compile(rb"[\w.-]{1,64}:")
_EXAMPLES = re.compile(
    r"(?i)(?:\$[{(]?\w|\{\{|<|\[|%\w).*|(.)\1*|(?:user(?:name)?|pass(?:word)?|token|test|yyy|secret)"
)


def find(data: bytes) -> list[Hit]:
    """Where a user and a password stand behind the option for them."""
    found: list[Hit] = []
    for _, *ways, rest in _USER_OPTION.groups(data):
        start, end = max(ways)
        end = max(end, rest[1])
        user, colon, password = data[start:end].partition(b":")
        secret = password.strip(b"\"'").decode()
        if colon and len(secret) > 2 and secret[0] != ":" and not _is_shown(data[start:end].decode(), secret):
            found.append(Hit(start + len(user) + 1, end, "the password of a user on a command line"))
    return found


def find_of_commands(data: bytes) -> list[Hit]:
    """Where the passwords of commands stand that are known to take one."""
    found: list[Hit] = []
    for pattern in (*_OPTIONS, *_STATEMENTS):
        for _, *ways in pattern.groups(data):
            start, end = max(ways)
            if not _is_shown(data[start:end].decode()) and data[start : start + 1] not in (b"/", b"*"):
                found.append(Hit(start, end, "the password of a command"))
    for _, *ways in _PIPED.groups(data):
        start, end = max(ways)
        user_ends = _PIPED_USER.match(data, start, end)
        start = start if user_ends is None else user_ends.end()
        if start < end and not _is_shown(data[start:end].decode()):
            found.append(Hit(start, end, "a password that is piped into a prompt"))
    return found


def can_be_sent(value: str) -> bool:
    """Whether a value may be a credential rather than what shows where one would stand."""
    return len(value) >= 4 and not is_placeholder(value) and _EXAMPLES.fullmatch(value) is None and "..." not in value


def _is_shown(*texts: str) -> bool:
    """Whether one of the texts only shows where a credential would stand."""
    return any(is_placeholder(text) or _EXAMPLES.fullmatch(text) is not None for text in texts)


PART = Part(find, gate=(rf"{_USER_FLAG}[^\n:]{{0,200}}:",))
COMMANDS_PART = Part(
    find_of_commands,
    gate=(
        *(rf"(?i)\b{client}\b[^\n]{{0,200}}\s{option}" for client, option in _CLIENTS),
        r"(?i)\bnet1? (?:user|use) ",
        r"(?i)\bhtpasswd -",
        r"(?i)\bsmbclient\b",
        r"(?i)\b(?:sqlplus|sqlldr|expdp|impdp|rman target)\s",
        _PROMPTS,
    ),
)
