"""Identifiers that states of Africa, Asia and Oceania give to people, and the forms in which they are written."""

from __future__ import annotations

from countersign.masking.detectors.checksums import ean
from countersign.masking.detectors.forms import Identifier, anything, stdnum
from countersign.masking.detectors.national_ids import other_checks as checks

_ID_WORDS = ("national id", "id number", "id no", "identity number", "identity card", "identification")
_MMDD = "(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
_YYMMDD = "[0-9]{2}" + _MMDD

ELSEWHERE = {
    "au_abn": Identifier(
        "AU_ABN",
        checks.au_abn,
        words=("abn", "business number"),
        unnamed=(r"[1-9][0-9] [0-9]{3} [0-9]{3} [0-9]{3}", r"[1-9][0-9]{10}"),
    ),
    "au_acn": Identifier(
        "AU_ACN", checks.au_acn, words=("acn", "company number"), beside=(r"[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{3}",)
    ),
    "au_medicare": Identifier(
        "AU_MEDICARE",
        checks.au_medicare,
        words=("medicare",),
        unnamed=(r"[2-6][0-9]{3} [0-9]{5} [0-9]", r"[2-6][0-9]{3}-[0-9]{5}-[0-9]"),
        beside=(r"[2-6][0-9]{9,10}",),
    ),
    "au_tfn": Identifier(
        "AU_TFN", checks.au_tfn, words=("tfn", "tax file"), beside=(r"[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{3}",)
    ),
    "cn_ric": Identifier(
        "CN_RIC",
        checks.cn_ric,
        words=("shenfenzheng", "resident", *_ID_WORDS),
        alone=(r"[1-8][0-9]{5}(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])[0-3][0-9]{4}[0-9Xx]",),
    ),
    "hk_id": Identifier("HK_ID", checks.hk_id, words=("hkid", *_ID_WORDS), alone=(r"[A-Z]{1,2}[0-9]{6}\([0-9A]",)),
    "id_nik": Identifier("ID_NIK", stdnum("id.nik"), words=("nik", "ktp"), beside=(r"[0-9]{16}",)),
    "il_id": Identifier(
        "IL_ID",
        checks.luhn_but_zeros,
        words=("teudat zehut", "israel", *_ID_WORDS),
        beside=(r"[0-9]{9}", r"[0-9]{8}-[0-9]"),
    ),
    "in_aadhaar": Identifier(
        "IN_AADHAAR",
        checks.in_aadhaar,
        words=("aadhaar", "aadhar", "uidai", "uid"),
        unnamed=(r"[2-9][0-9]{3} [0-9]{4} [0-9]{4}", r"[2-9][0-9]{3}-[0-9]{4}-[0-9]{4}"),
        beside=(r"[2-9][0-9]{11}",),
    ),
    "in_gstin": Identifier(
        "IN_GSTIN",
        anything,
        words=("gst", "gstin"),
        alone=(r"[0-39][0-9][A-Z]{5}[0-9]{4}[A-Z][1-9A-Z]Z[0-9A-Z]",),
    ),
    "in_pan": Identifier(
        "IN_PAN",
        anything,
        words=("pan", "permanent account"),
        unnamed=(r"[A-Z]{3}[ABCFGHLJPT][A-Z][0-9]{4}[A-Z]",),
        beside=(r"(?i:[a-z]{5}[0-9]{4}[a-z])",),
    ),
    "in_voter": Identifier(
        "IN_VOTER",
        anything,
        words=("voter", "epic", "elector", "election"),
        beside=(r"(?i:[a-z]{3} ?[0-9]{7})",),
    ),
    "jp_my_number": Identifier(
        "JP_MY_NUMBER",
        stdnum("jp.in_"),
        words=(
            "my number",
            "individual number",
            "kojin",
            "\u30de\u30a4\u30ca\u30f3\u30d0\u30fc",
            "\u500b\u4eba\u756a\u53f7",
        ),
        beside=(r"[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}",),
    ),
    "ke_id": Identifier("KE_ID", anything, words=("kenya", "huduma"), beside=(r"[0-9]{7,8}",)),
    "kr_brn": Identifier(
        "KR_BRN",
        checks.kr_brn,
        words=("brn", "business registration", "\uc0ac\uc5c5\uc790"),
        unnamed=(r"[0-9]{3}-[0-9]{2}-[0-9]{5}",),
        beside=(r"[0-9]{10}",),
    ),
    "kr_driver_license": Identifier(
        "KR_DRIVER_LICENSE",
        anything,
        words=("driver", "driving", "\uc6b4\uc804\uba74\ud5c8"),
        unnamed=(r"(?:1[1-9]|2[0-68])-[0-9]{2}-[0-9]{6}-[0-9]{2}",),
        beside=(r"(?:1[1-9]|2[0-68])[0-9]{10}",),
    ),
    "kr_rrn": Identifier(
        "KR_RRN",
        checks.year_first,
        whole=False,
        words=("rrn", "frn", "resident registration", "foreigner registration", "\uc8fc\ubbfc", "\uc678\uad6d\uc778"),
        unnamed=(rf"{_YYMMDD}-[0-9]{{7}}",),
        beside=(rf"{_YYMMDD}[0-9]{{7}}",),
        # Not what may be a time in milliseconds of these years.
        bare=(rf"(?:0[0-9]|1[0-2]|[2-9][0-9]){_MMDD}[1-8][0-9]{{6}}",),
        bare_check=checks.kr_rrn_before_2020,
    ),
    "my_nric": Identifier(
        "MY_NRIC",
        checks.year_first,
        whole=False,
        words=("mykad", "nric", *_ID_WORDS),
        unnamed=(rf"{_YYMMDD}-[0-9]{{2}}-[0-9]{{4}}",),
        beside=(rf"{_YYMMDD}[0-9]{{6}}",),
    ),
    "ng_nin": Identifier("NG_NIN", anything, words=("nin", "nimc", "national identi"), beside=(r"[0-9]{11}",)),
    "nz_ird": Identifier(
        "NZ_IRD",
        stdnum("nz.ird"),
        whole=False,
        words=("ird", "inland revenue"),
        beside=(r"[0-9]{2,3}[- ]?[0-9]{3}[- ]?[0-9]{3}",),
    ),
    "ph_tin": Identifier(
        "PH_TIN",
        anything,
        words=("tin", "taxpayer", "bir", "rdo"),
        beside=(r"[0-9]{3}-[0-9]{3}-[0-9]{3}(?:-[0-9]{3,5})?", r"[0-9]{9}(?:[0-9]{3,5})?"),
    ),
    "ph_umid": Identifier(
        "PH_UMID", anything, words=("umid", "crn"), unnamed=(r"[0-9]{4}-[0-9]{7}-[0-9]",), beside=(r"[0-9]{12}",)
    ),
    "pk_cnic": Identifier("PK_CNIC", anything, words=("cnic", "nicop"), unnamed=(r"[1-7][0-9]{4}-[0-9]{7}-[0-9]",)),
    # The form alone is rare enough; the check would only spare invented numbers.
    "sg_nric": Identifier(
        "SG_NRIC",
        anything,
        words=("nric", "fin"),
        unnamed=(r"[STFGM][0-9]{7}[A-Z]",),
        beside=(r"(?i:[stfgm][0-9]{7}[a-z])",),
    ),
    "sg_uen": Identifier(
        "SG_UEN",
        stdnum("sg.uen"),
        words=("uen", "entity number"),
        unnamed=(r"[0-9]{8,9}[A-Z]", r"[TSR][0-9]{2}[A-Z]{2}[0-9]{4}[A-Z]"),
    ),
    "th_pin": Identifier(
        "TH_TNIN",
        checks.th_pin,
        words=("tnin", "thai", "thailand", "\u0e1b\u0e23\u0e30\u0e0a\u0e32\u0e0a\u0e19", *_ID_WORDS),
        unnamed=(
            r"[1-8]-[0-9]{4}-[0-9]{5}-[0-9]{2}-[0-9]",
            r"[1-8] [0-9]{4} [0-9]{5} [0-9]{2} [0-9]",
        ),
        # Not what may be a time in milliseconds of this century.
        bare=(r"(?:1[12]|[2-8][1-9])[0-9]{11}",),
        bare_check=lambda number: checks.th_pin(number) and not ean(number),
        beside=(r"[1-8][0-9]{12}",),
    ),
    "tw_id": Identifier("TW_ID", checks.tw_id, words=("taiwan", *_ID_WORDS), unnamed=(r"[A-Z][1289][0-9]{8}",)),
    "za_id": Identifier(
        "ZA_ID",
        checks.za_id,
        words=("south african", *_ID_WORDS),
        unnamed=(rf"{_YYMMDD} ?[0-9]{{4}} ?[0-2][0-9] ?[0-9]",),
    ),
}
"""By the names that gateway.yaml uses."""
