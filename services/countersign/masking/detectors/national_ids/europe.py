"""Identifiers that European states give to people, and the forms in which they are written."""

from __future__ import annotations

from countersign.masking.detectors.checksums import ean
from countersign.masking.detectors.forms import Identifier, anything, stdnum
from countersign.masking.detectors.national_ids import european_checks as checks

_DDMM = "(?:0[1-9]|[12][0-9]|3[01])(?:0[1-9]|1[0-2])"
_DDMMYY = _DDMM + "[0-9]{2}"
_MMDD = "(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
_DE = "[CFGHJKLMNPRTVWXYZ]"
_DE_OR_DIGIT = "[CFGHJKLMNPRTVWXYZ0-9]"
_IT_DIGIT = "[0-9LMNPQRSTUV]"
_NINO = r"(?i:[a-ceghj-pr-tw-z][a-ceghj-npr-tw-z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[a-d])"
_VAT = (
    r"AT ?U[0-9]{8}|BE ?[01][0-9]{9}|BG ?[0-9]{9,10}|CY ?[0-9]{8}[A-Z]|CZ ?[0-9]{8,10}|"
    r"DE ?[0-9]{3} ?[0-9]{3} ?[0-9]{3}|DK ?[0-9]{8}|EE ?[0-9]{9}|EL ?[0-9]{9}|ES ?[A-Z0-9][0-9]{7}[A-Z0-9]|"
    r"FI ?[0-9]{8}|FR ?[0-9A-Z]{2}[0-9]{9}|"
    r"HR ?[0-9]{11}|HU ?[0-9]{8}|IE ?[0-9]{7}[A-Z]{1,2}|IT ?[0-9]{11}|LT ?[0-9]{9}|LU ?[0-9]{8}|LV ?[0-9]{11}|"
    r"MT ?[0-9]{8}|NL ?[0-9]{9}B[0-9]{2}|PL ?[0-9]{10}|PT ?[0-9]{9}|SE ?[0-9]{12}|SI ?[0-9]{8}|SK ?[0-9]{10}"
)
_SSN_WORDS = ("social security", "social insurance", "sozialversicherung", "security number")

EUROPE = {
    "at_vnr": Identifier(
        "AT_VNR",
        checks.at_vnr,
        words=("svnr", "versicherungsnummer", *_SSN_WORDS),
        unnamed=(rf"[1-9][0-9]{{3}} {_DDMMYY}",),
        beside=(r"[1-9][0-9]{9}",),
    ),
    "be_nn": Identifier(
        "BE_NN",
        checks.be_nn,
        words=("rijksregister", "registre national", "national number", "insz", "niss"),
        unnamed=(r"[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}\.[0-9]{2}", r"[0-9]{11}"),
    ),
    "bg_egn": Identifier(
        "BG_EGN", stdnum("bg.egn"), words=("egn", "uniform civil", "\u0415\u0413\u041d"), beside=(r"[0-9]{10}",)
    ),
    "ch_ahv": Identifier(
        "CH_AHV",
        ean,
        words=("ahv", "avs", *_SSN_WORDS),
        alone=(r"756\.[0-9]{4}\.[0-9]{4}\.[0-9]{2}",),
        unnamed=(r"756[0-9]{10}",),
    ),
    "cz_rc": Identifier(
        "CZ_RC",
        stdnum("cz.rc"),
        whole=False,
        words=("rodne cislo", "rodn\u00e9", "Rodn\u00e9", "birth number"),
        unnamed=(r"[0-9]{2}[0-8][0-9][0-3][0-9]/[0-9]{3,4}",),
        beside=(r"[0-9]{2}[0-8][0-9][0-3][0-9]{4,5}",),
    ),
    "de_bsnr": Identifier(
        "DE_BSNR", anything, words=("bsnr", "betriebsst", "betriebstst", "praxisnummer"), beside=(r"[0-9]{9}",)
    ),
    "de_health_insurance": Identifier(
        "DE_HEALTH_INSURANCE",
        checks.de_health,
        words=("kvnr", "krankenversicher", "versichertennummer", "krankenkasse", "health insurance"),
        unnamed=(r"[A-Za-z][0-9]{9}",),
    ),
    "de_lanr": Identifier("DE_LANR", checks.de_doctor, words=("lanr", "arztnummer", "arzt nr"), beside=(r"[0-9]{9}",)),
    "de_personalausweis": Identifier(
        "DE_ID_CARD",
        checks.de_document,
        words=("personalausweis", "ausweis", "identity card", "id card", "reisepass"),
        unnamed=(rf"{_DE}{_DE_OR_DIGIT}{{8}}[0-9]?",),
    ),
    "de_social_security": Identifier(
        "DE_SOCIAL_SECURITY",
        checks.de_pension,
        words=("rentenversicher", "rvnr", *_SSN_WORDS),
        unnamed=(rf"[0-9]{{2}} ?{_DDMMYY} ?[A-Z] ?[0-9]{{2}} ?[0-9]",),
    ),
    "de_idnr": Identifier(
        "DE_TAX_ID",
        checks.de_tax_id,
        words=("steuer", "idnr", "identifikationsnummer", "tax id", "tin"),
        unnamed=(r"[1-9][0-9]{10}", r"[1-9][0-9] [0-9]{3} [0-9]{3} [0-9]{3}"),
    ),
    "de_tax_number": Identifier(
        "DE_TAX_NUMBER",
        anything,
        words=("steuer", "stnr", "st nr", "tax number", "tax id", "idnr", "identifikationsnummer"),
        unnamed=(r"[0-9]{2,3}/[0-9]{3}/[0-9]{5}",),
        beside=(r"[0-9]{2,3}[ /][0-9]{3,4}[ /][0-9]{4,5}", r"[0-9]{10,13}"),
    ),
    "dk_cpr": Identifier(
        "DK_CPR",
        checks.dk_cpr,
        words=("cpr", "personnummer"),
        unnamed=(rf"{_DDMMYY}-[0-9]{{4}}",),
        beside=(rf"{_DDMMYY}[0-9]{{4}}",),
    ),
    "ee_ik": Identifier("EE_IK", checks.baltic, words=("isikukood",), unnamed=(r"[3-8][0-9]{10}",)),
    "es_dni": Identifier(
        "ES_DNI", checks.es_dni, words=("dni", "nif"), unnamed=(r"(?i:[0-9]{7,8}[ -]?[a-hj-np-tv-z])",)
    ),
    "es_nie": Identifier(
        "ES_NIE", checks.es_nie, words=("nie",), unnamed=(r"(?i:[xyz][ -]?[0-9]{7}[ -]?[a-hj-np-tv-z])",)
    ),
    "eu_vat": Identifier("VAT_ID", stdnum("eu.vat"), words=("vat", "ust", "tva", "iva"), unnamed=(_VAT,)),
    "fi_hetu": Identifier(
        "FI_HETU",
        checks.fi_hetu,
        words=("hetu", "henkil"),
        alone=(rf"{_DDMMYY}[-+A-FU-Y][0-9]{{3}}[0-9A-Y]",),
    ),
    "fr_nir": Identifier(
        "FR_NIR",
        stdnum("fr.nir"),
        words=("nir", "securite sociale", "social security"),
        alone=(r"[12] ?[0-9]{2} ?[0-9]{2} ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}",),
    ),
    "gr_amka": Identifier(
        "GR_AMKA", stdnum("gr.amka"), words=("amka", "\u0391\u039c\u039a\u0391"), beside=(r"[0-9]{11}",)
    ),
    "hr_oib": Identifier("HR_OIB", stdnum("hr.oib"), words=("oib",), beside=(r"[0-9]{11}",)),
    "ie_pps": Identifier("IE_PPS", checks.ie_pps, words=("pps", "ppsn"), unnamed=(r"[0-9]{7}[A-W][A-ITW]?",)),
    "is_kennitala": Identifier(
        "IS_KENNITALA", checks.is_kennitala, words=("kennitala",), unnamed=(r"[0-7][0-9][01][0-9]{3}-[0-9]{4}",)
    ),
    "it_codicefiscale": Identifier(
        "IT_FISCAL_CODE",
        stdnum("it.codicefiscale"),
        words=("codice fiscale",),
        alone=(rf"(?i:[a-z]{{6}}{_IT_DIGIT}{{2}}[a-ehlmprst]{_IT_DIGIT}{{2}}[a-z]{_IT_DIGIT}{{3}}[a-z])",),
    ),
    "it_identity_card": Identifier(
        "IT_ID_CARD",
        anything,
        words=("carta d identit", "carta identit", "identity card", "id card"),
        unnamed=(r"C[A-Z][0-9]{5}[A-Z]{2}",),
        beside=(r"[A-Z]{2} ?[0-9]{7}", r"[0-9]{7}[A-Z]{2}"),
    ),
    "lt_asmens": Identifier("LT_ASMENS", checks.baltic, words=("asmens kodas",), unnamed=(r"[3-6][0-9]{10}",)),
    "lv_pk": Identifier("LV_PK", stdnum("lv.pvn"), words=("personas kods",), unnamed=(rf"{_DDMMYY}-[0-9]{{5}}",)),
    "nl_bsn": Identifier(
        "NL_BSN",
        checks.nl_bsn,
        words=("bsn", "burgerservice", "sofinummer", "citizen service"),
        unnamed=(r"[0-9]{4}\.[0-9]{2}\.[0-9]{3}",),
        beside=(r"[0-9]{8,9}",),
    ),
    "no_fnr": Identifier(
        "NO_FNR", checks.no_fnr, words=("fnr", "dselsnummer", "personnummer"), unnamed=(r"[0-7][0-9]{5} ?[0-9]{5}",)
    ),
    "pl_nip": Identifier(
        "PL_NIP",
        checks.pl_nip,
        whole=False,
        words=("nip",),
        unnamed=(r"[0-9]{3}-[0-9]{3}-[0-9]{2}-[0-9]{2}", r"[0-9]{3}-[0-9]{2}-[0-9]{2}-[0-9]{3}"),
        beside=(r"[0-9]{10}",),
    ),
    "pl_pesel": Identifier("PL_PESEL", checks.pl_pesel, words=("pesel",), unnamed=(r"[0-9]{11}",)),
    "pt_nif": Identifier(
        "PT_NIF", checks.pt_nif, words=("nif", "contribuinte"), beside=(r"[0-9]{3} ?[0-9]{3} ?[0-9]{3}",)
    ),
    "ro_cnp": Identifier(
        "RO_CNP",
        checks.ro_cnp,
        words=("cnp", "cod numeric"),
        unnamed=(rf"[1-8][0-9]{{2}}{_MMDD}(?:0[1-9]|[1-4][0-9]|5[12])[0-9]{{4}}",),
    ),
    "rs_jmbg": Identifier(
        "JMBG",
        checks.yugoslav,
        words=("jmbg", "emso", "EM\u0160O", "\u0408\u041c\u0411\u0413"),
        unnamed=(rf"{_DDMM}[09][0-9]{{8}}",),
    ),
    "ru_inn": Identifier(
        "RU_INN", stdnum("ru.inn"), whole=False, words=("inn", "\u0418\u041d\u041d"), beside=(r"[0-9]{12}|[0-9]{10}",)
    ),
    "ru_snils": Identifier(
        "RU_SNILS",
        checks.ru_snils,
        words=("snils", "\u0421\u041d\u0418\u041b\u0421"),
        unnamed=(r"[0-9]{3}-[0-9]{3}-[0-9]{3}[ -][0-9]{2}",),
    ),
    "se_organisationsnummer": Identifier(
        "SE_ORGANISATIONSNUMMER",
        checks.se_organisation,
        words=("organisationsnummer", "orgnr", "org nr", "organisation number"),
        unnamed=(r"[0-9]{6}-[0-9]{4}",),
        beside=(r"[0-9]{10}",),
    ),
    "se_personnummer": Identifier(
        "SE_PERSONNUMMER",
        checks.se_personnummer,
        words=("personnummer", "personnr", "pnr", "person number", "personal number", "samordningsnummer"),
        alone=(r"1[89][0-9]{6}[-+]?[0-9]{4}",),
        # Days of later years, with a number behind them, are more often orders and tickets.
        unnamed=(r"(?:16)?[0-9]{6}[-+][0-9]{4}", r"20(?:0[0-9]|1[0-2])[0-9]{4}[-+][0-9]{4}", r"(?:16|20)[0-9]{10}"),
        beside=(r"(?:20)?[0-9]{6}[-+]?[0-9]{4}",),
    ),
    "tr_tckn": Identifier(
        "TR_TCKN", checks.tr_tckn, words=("tckn", "kimlik", "tc no", "t c"), unnamed=(r"[1-9][0-9]{10}",)
    ),
    "uk_nhs": Identifier(
        "UK_NHS",
        checks.uk_nhs,
        words=("nhs", "health service"),
        unnamed=(r"[0-9]{3}[ -][0-9]{3}[ -][0-9]{4}",),
        beside=(r"[0-9]{10}",),
    ),
    "uk_nino": Identifier("UK_NINO", checks.uk_nino, words=("nino", "national insurance"), unnamed=(_NINO,)),
    "uk_utr": Identifier(
        "UK_UTR", stdnum("gb.utr"), whole=False, words=("utr", "taxpayer reference"), beside=(r"[0-9]{5} ?[0-9]{5}",)
    ),
}
"""By the names that gateway.yaml uses."""
