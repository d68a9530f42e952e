"""Credentials that their own form gives away: the prefixes and structures that providers publish."""

from __future__ import annotations

import re

from countersign.masking.detectors.base import Hit, Pattern
from countersign.masking.detectors.looks import is_placeholder
from countersign.masking.detectors.secrets.part import Part

_AWS_KEY_ID = r"(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16,}"
_JWT = r"eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*){1,3}"

# Each prefix, the characters that follow it, and the fewest of them.
_PREFIXED: tuple[tuple[str, str, int], ...] = (
    # code hosts, registries and builds
    (r"gh[pousr]_", r"[A-Za-z0-9_]", 20),
    (r"github_pat_", r"[A-Za-z0-9_]", 20),
    (r"gl(?:pat|dt|rt|ptt|ft|imt|agent|oas|cbt|soat|ffct|wt)-", r"[A-Za-z0-9_.-]", 16),
    (r"GR1348941", r"[A-Za-z0-9_-]", 16),
    (r"ATATT3|ATCTT3|ATBB|ATOA|BBDC-", r"[A-Za-z0-9_=+/-]", 16),
    (r"npm_", r"[A-Za-z0-9]", 30),
    (r"pypi-AgE", r"[A-Za-z0-9_-]", 30),
    (r"rubygems_", r"[0-9a-f]", 32),
    (r"oy2", r"[a-z0-9]", 43),
    (r"CLOJARS_", r"[a-z0-9]", 40),
    (r"dckr_(?:pat|oat)_", r"[A-Za-z0-9_-]", 20),
    (r"AKCp|cmVmd", r"[A-Za-z0-9]", 56),
    (r"CCI(?:PAT|PRJ)_", r"[A-Za-z0-9_]", 30),
    (r"bk(?:ua|at|ct)_", r"[A-Za-z0-9]", 30),
    (r"sq[upa]_", r"[0-9a-f]", 40),
    (r"sgp_|slk_", r"[A-Za-z0-9_]", 40),
    (r"pul-", r"[0-9a-f]", 40),
    (r"HRKU-", r"[A-Za-z0-9_-]", 30),
    # clouds and databases
    (r"AIza", r"[A-Za-z0-9_-]", 35),
    (r"ya29\.", r"[A-Za-z0-9_-]", 20),
    (r"GOCSPX-", r"[A-Za-z0-9_-]", 20),
    (r"ABSK", r"[A-Za-z0-9+/]", 40),
    (r"LTAI|AKID", r"[A-Za-z0-9]", 16),
    (r"do[opr]_v1_", r"[0-9a-f]", 40),
    (r"dapi", r"[0-9a-f]", 32),
    (r"dose", r"[0-9a-f]", 32),
    (r"pscale_(?:tkn|pw|pass|oauth|id)_", r"[A-Za-z0-9_.=-]", 20),
    (r"mdb_sa_(?:sk|id)_", r"[A-Za-z0-9_-]", 20),
    (r"sb[p]_|sb_secret_", r"[A-Za-z0-9_-]", 20),
    (r"napi_", r"[a-z0-9]", 40),
    (r"hv[sbr]\.", r"[A-Za-z0-9_-]", 20),
    (r"dp\.(?:pt|st|ct|sa|scim|audit)\.", r"[A-Za-z0-9._-]", 30),
    (r"ops_eyJ", r"[A-Za-z0-9+/_=-]", 50),
    (r"tskey-(?:auth|api|client|scim|webhook)-", r"[A-Za-z0-9-]", 16),
    (r"f[mo][12][ar]?_", r"[A-Za-z0-9+/_=,-]", 40),
    (r"rnd_", r"[A-Za-z0-9]", 28),
    (r"v1\.0-", r"[0-9a-f]{24}-[0-9a-f]", 40),
    (r"LS0tLS1CRUdJTi", r"[A-Za-z0-9+/=]", 40),
    (r"1//0", r"[A-Za-z0-9_-]", 40),
    (r"vercel_blob_rw_", r"[A-Za-z0-9_]", 40),
    (r"nf[pckouba]_", r"[A-Za-z0-9]", 36),
    (r"hca(?:ik|lk|mk)_", r"[a-z0-9]", 40),
    (r"cio", r"[A-Za-z0-9]", 32),
    (r"st\.", r"[0-9a-f]{24}\.[0-9a-f]{32}\.[0-9a-f]", 32),
    (r"y[0-3]_Ag", r"[A-Za-z0-9_-]", 40),
    (r"sk\.eyJ", r"[A-Za-z0-9_.-]", 40),
    (r"e2b_", r"[0-9a-f]", 40),
    # chat, mail and people
    (r"xox[a-z](?:\.xox[a-z])?-", r"[A-Za-z0-9-]", 16),
    (r"xapp-", r"[A-Za-z0-9-]", 30),
    (r"SG\.", r"[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]", 16),
    (r"key-", r"[0-9a-f]", 32),
    (r"xkeysib-", r"[A-Za-z0-9-]", 40),
    (r"pat-[a-z]{2}[0-9]-", r"[0-9a-f-]", 30),
    (r"lin_(?:api|oauth)_", r"[A-Za-z0-9]", 30),
    (r"ntn_", r"[A-Za-z0-9]", 40),
    (r"secret_", r"[A-Za-z0-9]", 43),
    (r"fig[dou]r?_", r"[A-Za-z0-9_-]", 40),
    (r"fio-u-", r"[A-Za-z0-9_-]", 40),
    (r"PMAK-", r"[0-9a-f-]", 50),
    (r"rdme_", r"[a-z0-9]", 60),
    (r"tfp_", r"[A-Za-z0-9_.=-]", 50),
    (r"EAA[A-Za-z]", r"[A-Za-z0-9]", 60),
    (r"IGQ[VW]", r"[A-Za-z0-9_-]", 100),
    (r"dG9rO", r"[A-Za-z0-9+/=]", 54),
    (r"re_", r"[A-Za-z0-9]{8}_[A-Za-z0-9]", 20),
    (r"BBFF-", r"[A-Za-z0-9]", 30),
    (r"pk_[0-9]{6,9}_", r"[A-Z0-9]", 32),
    # money
    (r"access-(?:sandbox|development|production)-", r"[0-9a-f-]", 36),
    (r"(?:sk|rk)_(?:live|test|prod)_", r"[A-Za-z0-9]", 16),
    (r"whsec_", r"[A-Za-z0-9+/=]", 24),
    (r"sq0[a-z]{3}-|sandbox-sq0[a-z]{3}-", r"[A-Za-z0-9_-]", 22),
    (r"EAAA", r"[A-Za-z0-9_+/-]", 56),
    (r"shp(?:at|ca|pa|ss|ua|tka)_", r"[0-9a-fA-F]", 32),
    (r"shippo_(?:live|test)_", r"[0-9a-fA-F]", 40),
    (r"EZ[AT]K", r"[A-Za-z0-9]", 54),
    (r"FLWSECK(?:_TEST)?-", r"[A-Za-z0-9-]", 12),
    (r"rzp_(?:live|test)_", r"[A-Za-z0-9]", 14),
    (r"access_token\$(?:production|sandbox)\$", r"[0-9a-z$]", 40),
    (r"(?:live|test)_(?:pub_)?", r"[0-9a-f]", 35),
    # models
    (r"sk-(?:ant-|proj-|or-|svcacct-|admin-|lf-|None-)", r"[A-Za-z0-9_-]", 20),
    (r"sk-", r"[A-Za-z0-9]", 32),
    (r"sk_", r"[0-9a-f]", 48),
    (r"fc-", r"[0-9a-f]", 32),
    (r"hf_|api_org_", r"[A-Za-z0-9]", 30),
    (r"r8_", r"[A-Za-z0-9]", 30),
    (r"gsk_|xai-|pplx-|nvapi-|csk-|fw_|tgp_v1_|esecret_", r"[A-Za-z0-9_-]", 24),
    (r"lsv2_(?:pt|sk)_", r"[0-9a-f_]", 32),
    # watching and measuring
    (r"gls?[ac]_|glc_", r"[A-Za-z0-9+/_=]", 32),
    (r"NR(?:AK|JS|II|RA)-", r"[A-Za-z0-9-]", 20),
    (r"sntry[su]_", r"[A-Za-z0-9+/_=]", 40),
    (r"dt0[a-z][0-9]{2}\.", r"[A-Z0-9]{24}\.[A-Z0-9]", 40),
    (r"ph[cxs]_", r"[A-Za-z0-9]", 32),
    (r"pylf_v[0-9]_[a-z]{2}_", r"[A-Za-z0-9]", 32),
    (r"dd[pa]_", r"[A-Za-z0-9]", 34),
    # secrets of tools
    (r"AGE-SECRET-KEY-1", r"[A-Z0-9]", 40),
    (r"A3-", r"[A-Z0-9]{6}-[A-Z0-9-]", 20),
    (r"CFPAT-", r"[A-Za-z0-9_-]", 40),
    (r"waka_", r"[0-9a-f-]", 36),
    (r"tkn\.v1_", r"[A-Za-z0-9+/=]", 40),
    (r"NF-", r"[A-Za-z0-9]", 32),
    (r"AIK_(?:SECRET|CI)_", r"[A-Za-z0-9]", 32),
    (r"cnvca", r"[A-Za-z0-9_-]", 50),
    (r"ramp_(?:sec|tok)_", r"[A-Za-z0-9]", 32),
    (r"4b1d", r"[A-Za-z0-9]", 38),
    (r"EXO", r"[A-Za-z0-9]{8}[A-Za-z0-9_-]", 16),
    (r"STS\.", r"[A-Za-z0-9]", 20),
    (r"Fe26\.2\*\*", r"[A-Za-z0-9_*-]", 40),
)  # fmt: skip
_STRUCTURED = (
    r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{40,}",  # Terraform Cloud
    r"pat[A-Za-z0-9]{14}\.[0-9a-f]{60,}",  # Airtable
    r"(?:sat|pat)\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9.]{40,}",  # Harness
    r"[A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}",  # client secrets of Microsoft Entra
    r"[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,40}",  # bots of Discord
    r"[0-9]{8,10}:[A-Za-z0-9_-]{34,36}",  # bots of Telegram
    r"[0-9]{15,16}(?:\||%7C)[A-Za-z0-9_-]{27,40}",  # applications of Facebook
    r"[0-9a-f]{32}-us[0-9]{1,2}",  # Mailchimp
    r"\$(?:1|5|6|7|y|apr1|2[abxy]|argon2(?:id?|d)|scrypt|pbkdf2-sha[0-9]+)\$[./A-Za-z0-9$=,+-]{20,}",  # crypt(3)
    r"pbkdf2_sha(?:1|256|512)\$[0-9]+\$[A-Za-z0-9]+\$[A-Za-z0-9+/=]{20,}",  # Django's
    r"[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk",  # MaxMind
    r"[12]/[0-9]{15,16}:[0-9a-f]{32}",  # Asana
    r"secret-token:[A-Za-z0-9._~%!$&()*+,;=:@/-]{12,}",  # RFC 8959
    r"AQE[A-Za-z0-9+/]{40,64}-[A-Za-z0-9+/=]{20,64}-[A-Za-z0-9]{8,}",  # Adyen
    r"cloudinary://[0-9]{10,20}:[A-Za-z0-9_-]{20,}@[a-z0-9_-]+",
    r"v1\.[0-9a-f]{8,40}-[0-9a-f]{16,}",
    r"00[A-Za-z0-9]{13}![A-Za-z0-9_.-]{80,128}",  # sessions of Salesforce
    r"[A-Za-z0-9+/]{22}==:[A-Za-z0-9]{32}",  # Tableau
    r"(?:launchdarkly-)?(?:sdk|mob|api)-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
)
# RE2 finds what may be one by its prefix alone: the exact forms of so many kinds would be too large an automaton.
_CANDIDATE = Pattern(rf"(?:{'|'.join(prefix for prefix, _, _ in _PREFIXED)}|eyJ)[A-Za-z0-9_.=+/|$*-]{{12,}}")
_FORMS = tuple(rf"(?:{prefix}){characters}{{{fewest},}}" for prefix, characters, fewest in _PREFIXED)
_FORM = re.compile("|".join((*_FORMS, _JWT)).encode())
_STRUCTURES = tuple(map(Pattern, (*_STRUCTURED, _AWS_KEY_ID)))
# Fewer make a sequence of bases, or a run of fillers.
_FEWEST_DIFFERENT = 5
_WHY = "the form of a provider's token"


def find(data: bytes) -> list[Hit]:
    """Where tokens stand that begin as no other text does."""
    found: list[Hit] = []
    for start, end in _CANDIDATE.spans(data):
        match = None if _goes_on_before(data, start) else _FORM.match(data, start, end)
        if match is not None and not _is_example(match[0].decode()):
            found.append(Hit(start, match.end(), _WHY))
    return found


def find_structured(data: bytes) -> list[Hit]:
    """Where tokens stand whose parts, not whose beginnings, tell them; and AWS key ids, whatever stands before."""
    return [
        Hit(start, end, _WHY)
        for pattern in _STRUCTURES
        for start, end in pattern.spans(data)
        if (pattern is _STRUCTURES[-1] or not _goes_on_before(data, start))
        and not _is_example(data[start:end].decode())
    ]


def _goes_on_before(data: bytes, start: int) -> bool:
    return data[max(start - 1, 0) : start].isalnum()


def _is_example(value: str) -> bool:
    tail = value[8:]
    return is_placeholder(value) or len(set(tail)) < _FEWEST_DIFFERENT or "XXXXXXXX" in tail.upper()


_SHORT_FORMS = tuple(rf"(?:{prefix}){characters}{{{min(fewest, 16)},}}" for prefix, characters, fewest in _PREFIXED)
PART = Part(find, gate=(*_SHORT_FORMS, _JWT))
STRUCTURED_PART = Part(find_structured, gate=(*_STRUCTURED, _AWS_KEY_ID))
