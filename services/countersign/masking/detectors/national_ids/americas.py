"""Identifiers that American states give to people, and the forms in which they are written."""

from __future__ import annotations

from countersign.masking.detectors.forms import Identifier, anything, stdnum
from countersign.masking.detectors.national_ids import other_checks as checks

_MBI_LETTER = "[AC-HJKMNP-RT-Y]"
_MBI_EITHER = "[AC-HJKMNP-RT-Y0-9]"
_SSN_WORDS = ("ssn", "ssns", "ss no", "social security", "soc sec", "security number", "tax id", "taxpayer", "tin")
_CEDULA = ("cedula", "c\u00e9dula", "C\u00e9dula")

AMERICAS = {
    "ar_cuit": Identifier(
        "AR_CUIT",
        checks.ar_cuit,
        words=("cuit", "cuil"),
        unnamed=(r"[23][0-9]-[0-9]{8}-[0-9]",),
        beside=(r"[23][0-9]{10}",),
    ),
    "ar_dni": Identifier(
        "AR_DNI", anything, words=("dni", "documento"), beside=(r"[0-9]{1,2}\.[0-9]{3}\.[0-9]{3}", r"[0-9]{7,8}")
    ),
    "br_cnpj": Identifier(
        "BR_CNPJ",
        checks.br_cnpj,
        words=("cnpj",),
        alone=(r"[0-9]{2}\.[0-9]{3}\.[0-9]{3}/[0-9]{4}-[0-9]{2}",),
        unnamed=(r"[0-9]{14}",),
    ),
    "br_cpf": Identifier(
        "BR_CPF",
        checks.br_cpf,
        words=("cpf",),
        alone=(r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}",),
        unnamed=(r"[0-9]{9}-?[0-9]{2}",),
    ),
    "ca_sin": Identifier(
        "CA_SIN",
        checks.luhn_but_zeros,
        words=("sin", "social insurance", "assurance sociale", "nas"),
        unnamed=(r"[1-79][0-9]{2}-[0-9]{3}-[0-9]{3}",),
        beside=(r"[1-79][0-9]{2} ?[0-9]{3} ?[0-9]{3}",),
    ),
    "cl_rut": Identifier(
        "CL_RUT",
        checks.cl_rut,
        words=("rut", "run"),
        unnamed=(r"[0-9]{1,2}\.[0-9]{3}\.[0-9]{3}-[0-9Kk]", r"[0-9]{7,8}-[0-9Kk]"),
        beside=(r"[0-9]{7,8}[0-9Kk]",),
    ),
    "co_nit": Identifier(
        "CO_NIT",
        anything,
        words=("nit", *_CEDULA),
        beside=(r"[0-9]{1,3}\.[0-9]{3}\.[0-9]{3}(?:-[0-9])?", r"[0-9]{8,10}"),
    ),
    "do_cedula": Identifier(
        "DO_CEDULA", checks.luhn_but_zeros, words=_CEDULA, unnamed=(r"[0-9]{3}-[0-9]{7}-[0-9]",), beside=(r"[0-9]{11}",)
    ),
    "ec_ci": Identifier("EC_CI", stdnum("ec.ci"), words=_CEDULA, beside=(r"[0-9]{10}",)),
    "mx_curp": Identifier(
        "MX_CURP", checks.mx_curp, words=("curp",), alone=(r"(?i:[a-z]{4}[0-9]{6}[hmx][a-z]{5}[0-9a-z][0-9])",)
    ),
    "mx_rfc": Identifier(
        "MX_RFC",
        stdnum("mx.rfc"),
        words=("rfc",),
        unnamed=(r"[A-Z&]{4}[0-9]{6}[0-9A-Z]{3}",),
        beside=(r"[A-Z&]{3,4}[ -]?[0-9]{6}[ -]?[0-9A-Z]{3}",),
    ),
    "us_dea": Identifier(
        "US_DEA",
        checks.us_dea,
        words=("dea", "medical", "certificate number", "registration number"),
        beside=(r"[A-Z][A-Z9][0-9]{7}",),
    ),
    "us_itin": Identifier(
        "US_ITIN",
        checks.us_itin,
        whole=False,
        words=("itin", *_SSN_WORDS),
        alone=(r"9[0-9]{2}(?:-[0-9]{2}-| [0-9]{2} )[0-9]{4}",),
        beside=(r"9[0-9]{2}[- ]?[0-9]{2}[- ]?[0-9]{4}",),
    ),
    "us_mbi": Identifier(
        "US_MBI",
        anything,
        words=("mbi", "medicare", "beneficiary"),
        alone=(
            rf"[1-9]{_MBI_LETTER}{_MBI_EITHER}[0-9]-?{_MBI_LETTER}{_MBI_EITHER}[0-9]-?{_MBI_LETTER}{{2}}[0-9]{{2}}",
        ),
    ),
    "us_npi": Identifier(
        "US_NPI",
        checks.us_npi,
        words=("npi", "national provider", "provider id"),
        beside=(r"[12][0-9]{3}[- ]?[0-9]{3}[- ]?[0-9]{3}",),
    ),
    "us_ssn": Identifier(
        "US_SSN",
        checks.us_ssn,
        whole=False,
        words=_SSN_WORDS,
        alone=(r"[0-8][0-9]{2}(?:-[0-9]{2}-| [0-9]{2} )[0-9]{4}",),
        beside=(r"[0-8][0-9]{2}[-. ]?[0-9]{2}[-. ]?[0-9]{4}",),
    ),
}
"""By the names that gateway.yaml uses."""
