"""Credentials in URLs: user info, query parameters, and addresses that are credentials themselves."""

from __future__ import annotations

import re

from countersign.masking.detectors.base import Hit, Pattern
from countersign.masking.detectors.looks import is_placeholder, is_random
from countersign.masking.detectors.secrets.part import Part
from countersign.masking.detectors.telling import Telling, classify, holds_secret

_USER_WITH_ANOTHER = r"""://[^\s/?#"'<>@:]*:([^\s/"'<>]+)@"""
_USER_ONLY = r"""://([^\s/?#"'<>@:]{16,})@"""
# Names of data sources that are no URLs: Go's for MySQL, JDBC's for Oracle.
_BEFORE_ADDRESS = r"""[\w.-]{1,64}:([^\s:/"'\x60()]{3,128})@(?:tcp|unix)\("""
_ORACLE = r"""(?i)jdbc:oracle:[a-z0-9]{2,6}:[\w.$#-]{1,64}/(?:\x22([^\x22\n]{1,128})|([^\s/"']{3,128}))\x22?@"""
_TELLING = r"(?:pass|pwd|pw|secret|token|key|cred|auth|jwt|sig|hmac|sid|session|api|sas|code)"
_PARAMETER_NAME = rf"[a-z0-9_.\[\]-]{{0,60}}{_TELLING}[a-z0-9_.\[\]-]{{0,24}}"

_URL_PASSWORD = Pattern(rf"[A-Za-z][A-Za-z0-9+.-]*{_USER_WITH_ANOTHER}")
_URL_USER = Pattern(rf"[A-Za-z][A-Za-z0-9+.-]*{_USER_ONLY}")
_SOURCES = (Pattern(_BEFORE_ADDRESS), Pattern(_ORACLE))
_PARAMETER = Pattern(rf"""(?i)[?&;#](?:amp;)?({_PARAMETER_NAME})=([^&\s"'<>#;\\\x60)]{{4,}})""")
_SIGNATURES = frozenset(
    ("sig", "signature", "xamzsignature", "xgoogsignature", "hmac", "sid", "session", "sessionid", "code")
)
_PLAIN = re.compile(r"[^a-z0-9]+")
_WEBHOOK = Pattern(
    r"""(?i)https?://(?:[a-z0-9.-]*\.?webhook\.office\.com/webhook[a-z0-9]*|outlook\.office(?:365)?\.com/webhook"""
    r"""|hooks\.slack\.com/(?:services|workflows|triggers)|(?:[a-z]+\.)?discord(?:app)?\.com/api/(?:v[0-9]+/)?webhooks"""
    r"""|hooks\.zapier\.com/hooks|maker\.ifttt\.com/(?:use|trigger)|chat\.googleapis\.com/v1/spaces"""
    r"""|api\.telegram\.org/bot|[a-z0-9.-]+\.logic\.azure\.com(?::443)?/workflows|hook\.[a-z0-9.]*make\.com"""
    r"""|open\.(?:feishu\.cn|larksuite\.com)/open-apis/bot/v2/hook|oapi\.dingtalk\.com/robot/send"""
    r"""|qyapi\.weixin\.qq\.com/cgi-bin/webhook/send|hooks\.airtable\.com/workflows"""
    r"""|webhooks\.[a-z0-9.-]+/webhooks?)[/?a-z0-9_]([a-z0-9_./?=&%@:~+-]{16,})"""
)
_WEBHOOK_GATE = (
    r"(?i)https?://[a-z0-9.-]*(?:hook|office|slack|discord|ifttt|googleapis|telegram|azure|feishu|lark|talk|weixin)"
)
_PLACED = re.compile(r"(?s)[*x.•]+|<.*>?|\[.*\]|\$.*|\{.*|%[a-zA-Z_]*[sd%]?|:*")


def find(data: bytes) -> list[Hit]:
    """Where the credentials of URLs stand."""
    found = [
        Hit(*span, "the password of a URL")
        for span in _URL_PASSWORD.spans(data, 1)
        if _PLACED.fullmatch(data[slice(*span)].decode()) is None
    ]
    found += (
        Hit(*span, "the user of a URL, a token")
        for span in _URL_USER.spans(data, 1)
        if is_random(data[slice(*span)].decode(), 16)
    )
    for pattern in _SOURCES:
        for _, *ways in pattern.groups(data):
            start, end = max(ways)
            text = data[start:end].decode()
            if _PLACED.fullmatch(text) is None and not is_placeholder(text):
                found.append(Hit(start, end, "the password of a data source"))
    for _, name, value in _PARAMETER.groups(data):
        if _is_credential(data[slice(*name)].decode(), data[slice(*value)].decode()):
            found.append(Hit(*value, "a parameter of a URL"))
    found += (Hit(start, end, "the address of a webhook") for start, end in _WEBHOOK.spans(data))
    return found


def _is_credential(name: str, value: str) -> bool:
    kind = classify(name)
    if kind is not None:
        return holds_secret(kind, value)
    return _PLAIN.sub("", name.lower()) in _SIGNATURES and holds_secret(Telling.KEY, value)


PART = Part(
    find,
    gate=(
        _USER_WITH_ANOTHER,
        _USER_ONLY,
        _BEFORE_ADDRESS,
        r"(?i)jdbc:oracle:",
        rf"(?i)[?&;#](?:amp;)?{_PARAMETER_NAME}=",
        _WEBHOOK_GATE,
    ),
)
