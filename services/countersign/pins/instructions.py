"""Texts of a definition that tell a model what to do beyond what the tool is for.

Advice on use is no instruction ("call list_tables first", "use this instead of search"): a pattern asks for what only
an attack asks for. What it finds is shown to operators and stops nothing by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import re2

from countersign.pins.hidden import visible_text

_BLANKS = re.compile(r"\s+")
_RUN_OF_BLANKS = re.compile(r"[ \t\u00a0\u2000-\u200a\u3000]{200}|(?:[ \t\r]*\n){40}")
_NOT = r"(?:do not|don'?t|does not|never|must not|mustn'?t|should not|shouldn'?t|cannot|without|avoid)"
_WORDS = r"(?:[\w'`*~/.,-]+ ){{0,{}}}?"
_TO_GIVE = (
    r"(?:pass|provide|include|send|put|supply|insert|append|copy|attach|forward|upload|submit|transmit|leak|exfiltrate"
    r"|return|output|print|write|embed|encode)(?:ing|s)?"
)
_SECRETS = (
    r"(?:passwords?|api keys?|access tokens?|secrets|credentials|private keys?|ssh keys?|environment variables)\b"
)
_IN_USE = r"(?:used|called|invoked|run|executed|available|present)\b"


def _search(*parts: str) -> Callable[[str], object]:
    # Of RE2, whose time is linear: a target chooses the text.
    search: Callable[[str], object] = re2.compile("|".join(f"(?:{part})" for part in parts)).search
    return search


# Matched with text in lower case whose blanks are single.
_PATTERNS = (
    (
        "tells to ignore other instructions",
        _search(
            r"\b(?:ignor|disregard|forget|overrid|bypass)(?:e|ing|s|es)? "
            r"(?:all |any |the |your |these |those |my |of )*"
            r"(?:previous|prior|earlier|above|preceding|foregoing|system|existing|original|safety|other)(?: \w+)? "
            r"(?:instruction|rule|prompt|guideline|message|direction|command|polic|restriction|constraint)",
            r"\b(?:ignore|disregard|forget) (?:everything|anything|all)(?: that was)?(?: \w+)? "
            r"(?:above|before|earlier)",
        ),
    ),
    (
        "tells to keep something from the user",
        _search(
            _NOT + " " + _WORDS.format(2) + r"(?:tell|inform|notify|mention|reveal|disclose|alert|warn|report|explain)"
            r"(?:ing|s)? " + _WORDS.format(6) + r"(?:user|human|person using|customer|operator)s?(?:[^'a-z]|$)",
            r"\b(?:hide|hidden|conceal|keep|kept) " + _WORDS.format(5) + r"from (?:the |your )?(?:user|human)s?\b",
            _NOT + r" let (?:the |your )?(?:user|human)s? (?:know|see|notice)",
            r"\b(?:user|human)s? (?:must|should|does|do|may|need) (?:not|never|n't) "
            r"(?:know|see|notice|be told|be aware)",
            r"\b(?:silently|secretly|quietly|covertly) "
            r"(?:call|send|read|copy|pass|run|execute|forward|include|add|use)\b",
        ),
    ),
    (
        "poses as instructions of the system",
        _search(
            r"</?(?:important|system|instructions?|secret|critical|hidden|assistant|developer|admin|sys|override)\b[^>]{0,40}>",
            r"<\|[a-z_]{1,30}\|>",
            r"\[/?inst\]|<<sys>>",
            r"<!--",
            r"\b(?:new|updated|real|actual|secret|hidden) (?:system )?(?:instructions?|prompt) ?:",
            r"\byou are now (?:a|an|in|the|no longer)\b|\bfrom now on,? (?:you|always|never|all)\b",
            r"\b(?:system|developer|admin) (?:override|message|note) ?:|\bjailbreak\b|\bdan mode\b",
        ),
    ),
    (
        "asks for files, credentials or the conversation",
        _search(
            _TO_GIVE
            + " "
            + _WORDS.format(6)
            + r"contents? of (?:the |your |any |all |every )?(?:file ?)?[`'\"]?(?:~|/|\.|%|c:)",
            r"(?:~|/home/\w+|/root|\$home)/\.(?:ssh|aws|gnupg|cursor|config|kube|docker|netrc|npmrc|bash_history)\b",
            r"\bid_(?:rsa|ed25519)\b|\.aws/credentials|/etc/(?:passwd|shadow)\b|\bmcp\.json\b|claude_desktop_config",
            _TO_GIVE
            + " "
            + _WORDS.format(6)
            + r"(?:system prompt|(?:conversation|chat|message) history|(?:entire|whole|full|complete"
            r"|previous|prior) (?:conversation|chat|messages|prompt|context)|your (?:instructions|context|memory))\b",
            _TO_GIVE
            + " "
            + _WORDS.format(4)
            + r"(?:(?:the )?user'?s'?|all|any|every|available|stored|known) "
            + _WORDS.format(2)
            + _SECRETS,
            r"\b(?:before|prior to|when) (?:using|calling|invoking|running) (?:this|any|the)(?: other)? tools?,? "
            + _WORDS.format(5)
            + r"(?:read|open|cat|load|access|fetch) "
            + _WORDS.format(4)
            + r"(?:files?|[`'\"]?~|\S*/\S*|\.env|credentials?|keys?|secrets?|tokens?|history)\b",
        ),
    ),
    (
        "tells how to use other tools",
        _search(
            r"\b(?:when|whenever|if|once|each time|every time|before|after|while) "
            + _WORDS.format(5)
            + r"tools? (?:is|are|gets?|was|were|has been|have been) "
            + _IN_USE,
            r"\b(?:must|should|has to|have to|needs? to|always|shall) (?:be )?(?:always |first )?"
            r"(?:called?|used?|invoked?|run|executed?) "
            + _WORDS.format(4)
            + r"(?:before|after|prior to) (?:any|every|all|each)(?: of the)?(?: other)? "
            r"(?:tools?|responses?|answers?|requests?|actions?|messages?|repl(?:y|ies)|operations?|calls?)\b",
            r"\b(?:other|all other|the [\w-]+|any) tools? (?:is|are|has been|have been) (?:now )?"
            r"(?:deprecated|disabled|broken|insecure|compromised|unsafe|malicious|forbidden|replaced)\b",
            r"\b(?:change|replace|set|modify|alter|redirect) "
            + _WORDS.format(3)
            + r"(?:recipients?|address(?:es)?|destination|"
            r"arguments?|parameters?) (?:of|for|in) "
            + _WORDS.format(3)
            + r"(?:other|all|any|every|\S+_\S+) ?(?:tools?|calls?)\b",
        ),
    ),
    (
        "tells to send data somewhere",
        _search(
            r"\b(?:send|post|forward|upload|report|exfiltrate|transmit|bcc|leak)\b[^.;]{0,60}"
            r"\b(?:data|contents?|results?|conversation|messages?|files?|keys?|tokens?|everything|copy|emails?|answers?)\b"
            r"[^.;]{0,40}\bto:? (?:https?://|[\w.+-]{1,64}@[\w-]+\.)",
        ),
    ),
    ("a long text that only a machine reads", _search(r"[a-z0-9+/=_-]{400}")),
)


def instructions(text: str) -> tuple[str, ...]:
    """Name what a text tells a model to do that no description needs; never quotes it."""
    if len(text) < 8:
        return ()
    found = ["a long run of blanks that moves text out of sight"] if _RUN_OF_BLANKS.search(text) else []
    plain = _BLANKS.sub(" ", visible_text(text)).lower().replace("\u2019", "'")
    found += [what for what, search in _PATTERNS if search(plain)]
    return tuple(found)
