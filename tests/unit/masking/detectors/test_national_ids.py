"""The promise: identifiers are found in the forms that people write, and not when a digit is wrong.

The numbers are those that standards, authorities and python-stdnum print as examples.
"""

from __future__ import annotations

import pytest

from countersign.masking.detectors.national_ids import NATIONAL_IDS
from tests.unit.masking.detectors.finding import found

ANYWHERE = {
    "ar_cuit": ["20-05536168-2"],
    "at_vnr": ["1237 010180"],
    "au_abn": ["83 914 571 673", "83914571673"],
    "au_medicare": ["2123 45670 1"],
    "be_nn": ["85.07.30-033.28", "85073003328"],
    "br_cnpj": ["16.727.230/0001-97", "16727230000197"],
    "br_cpf": ["390.533.447-05", "39053344705"],
    "ca_sin": ["123-456-782"],
    "ch_ahv": ["756.9217.0769.85", "7569217076985"],
    "cl_rut": ["12.531.909-2", "12531909-2"],
    "cn_ric": ["360426199101010071"],
    "cz_rc": ["710319/2745"],
    "de_health_insurance": ["A123456780"],
    "de_idnr": ["36574261809", "36 574 261 809"],
    "de_personalausweis": ["T220001293", "L01X00T47"],
    "de_social_security": ["15 070649 C 103", "15070649C103"],
    "de_tax_number": ["181/815/08155"],
    "dk_cpr": ["211062-5629"],
    "do_cedula": ["001-1391820-5"],
    "ee_ik": ["36805280109"],
    "es_dni": ["54362315K", "54362315-K", "54362315k"],
    "es_nie": ["X2482300W", "X-2482300-W"],
    "eu_vat": ["DE136695976", "ATU13585627", "NL004495445B01"],
    "fi_hetu": ["131052-308T"],
    "fr_nir": ["295109912611193", "2 95 10 99 126 111 93"],
    "hk_id": ["A123456(3"],
    "ie_pps": ["6433435F", "6433435OA"],
    "in_aadhaar": ["2341 2341 2346"],
    "in_gstin": ["27AAPFU0939F1ZV"],
    "in_pan": ["ACUPA7085R"],
    "is_kennitala": ["450401-3150"],
    "it_codicefiscale": ["RCCMNL83S18D969H", "rccmnl83s18d969h"],
    "it_identity_card": ["CA00000AA"],
    "kr_brn": ["116-82-00276"],
    "kr_driver_license": ["11-22-123456-01"],
    "kr_rrn": ["971013-9019902", "900101-5234567"],
    "lt_asmens": ["33309240064"],
    "lv_pk": ["161175-19997"],
    "mx_curp": ["BOXW310820HNERXN09"],
    "mx_rfc": ["GODE561231GR8"],
    "my_nric": ["770305-02-1234"],
    "nl_bsn": ["1112.22.333"],
    "no_fnr": ["15108695088", "151086 95088"],
    "ph_umid": ["0111-2345678-9"],
    "pk_cnic": ["34201-0891231-8"],
    "pl_nip": ["856-734-62-15"],
    "pl_pesel": ["44051401359"],
    "ro_cnp": ["1630615123457"],
    "rs_jmbg": ["0101006500006"],
    "ru_snils": ["112-233-445 95"],
    "se_organisationsnummer": ["556703-7485"],
    "se_personnummer": ["880320-0016", "19880320-0016", "198803200016"],
    "sg_nric": ["S1234567D"],
    "sg_uen": ["00192200M", "T01FC6132D"],
    "th_pin": ["1-2345-67890-12-1", "1234567890121"],
    "tr_tckn": ["17291716060"],
    "tw_id": ["A123456789"],
    "uk_nhs": ["943-476-5870", "943 476 5870"],
    "uk_nino": ["AB123456C", "ab 12 34 56 c"],
    "us_itin": ["912-90-3456"],
    "us_mbi": ["1EG4-TE5-MK73", "1EG4TE5MK73"],
    "us_ssn": ["536-90-4399", "536 90 4399"],
    "za_id": ["7503305044089"],
}
ANNOUNCED = {
    "ar_dni": ("DNI 20.123.456", "20.123.456"),
    "au_acn": ("ACN 004 085 616", "004 085 616"),
    "au_tfn": ("tax file number: 123 456 782", "123 456 782"),
    "bg_egn": ("EGN: 7523169263", "7523169263"),
    "co_nit": ("NIT 213.123.432-1", "213.123.432-1"),
    "de_bsnr": ("BSNR 123456789", "123456789"),
    "de_lanr": ("LANR: 123456601", "123456601"),
    "ec_ci": ("cedula 1714307103", "1714307103"),
    "gr_amka": ("AMKA 01013099997", "01013099997"),
    "hr_oib": ("OIB: 33392005961", "33392005961"),
    "id_nik": ("NIK: 3171011708450001", "3171011708450001"),
    "il_id": ("national id 039337423", "039337423"),
    "in_voter": ("voter card ABC1234567", "ABC1234567"),
    "jp_my_number": ("my number 621498320257", "621498320257"),
    "ke_id": ("Kenya ID 12345678", "12345678"),
    "ng_nin": ("NIN 12345678901", "12345678901"),
    "nl_bsn": ('{"bsn": 111222333}', "111222333"),
    "nz_ird": ("IRD number 49-098-576", "49-098-576"),
    "ph_tin": ("TIN 123-456-789-000", "123-456-789-000"),
    "pt_nif": ("NIF 501 964 843", "501 964 843"),
    "ru_inn": ("INN 123456789047", "123456789047"),
    "uk_utr": ("UTR 1955839661", "1955839661"),
    "us_dea": ("DEA AB1234563", "AB1234563"),
    "us_npi": ("NPI: 1234567893", "1234567893"),
    "us_ssn": ('"ssn": "536904399"', "536904399"),
    "uk_nhs": ("NHS number 9434765870", "9434765870"),
    "in_aadhaar": ("Aadhaar 234123412346", "234123412346"),
}


BESIDE_THEIR_OWN_SCRIPT = (
    ("bg_egn", "\u0415\u0413\u041d: 7523169263", "7523169263"),
    ("ru_inn", "\u0418\u041d\u041d 123456789047", "123456789047"),
    ("ec_ci", "c\u00e9dula 1714307103", "1714307103"),
    ("do_cedula", "C\u00e9dula: 00113918205", "00113918205"),
    ("cl_rut", "RUT 125319092", "125319092"),
    ("mx_rfc", "RFC GODE 561231 GR8", "GODE 561231 GR8"),
    ("se_personnummer", "pnr 8803200016", "8803200016"),
)


@pytest.mark.parametrize(("name", "text", "number"), BESIDE_THEIR_OWN_SCRIPT, ids=lambda value: ascii(value))
def test_words_are_known_as_their_own_country_writes_them(name: str, text: str, number: str) -> None:
    assert found(name, text) == [number]


def test_an_offset_in_hexadecimal_digits_is_no_identity_card() -> None:
    assert found("es_dni", "0000739a: 1b34 2395") == []


@pytest.mark.parametrize(("name", "number"), [(name, number) for name, all_ in ANYWHERE.items() for number in all_])
@pytest.mark.parametrize("template", ["{}", "It is {}, she said.", '{{"value": "{}"}}', "a\t{}\tb", "x_{}"])
def test_numbers_that_show_what_they_are_are_found_anywhere(name: str, number: str, template: str) -> None:
    assert number in found(name, template.format(number))


@pytest.mark.parametrize(("name", "text", "number"), [(name, *rest) for name, rest in ANNOUNCED.items()])
def test_numbers_that_could_be_anything_are_found_beside_their_words(name: str, text: str, number: str) -> None:
    assert number in found(name, text)
    assert number not in found(name, f"we sold {number} of them")


def test_every_identifier_is_tried() -> None:
    assert {*ANYWHERE, *ANNOUNCED} == set(NATIONAL_IDS)


CHECKED = sorted(
    set(ANYWHERE)
    - {"de_tax_number", "de_personalausweis", "eu_vat", "in_gstin", "in_pan", "it_identity_card", "kr_driver_license"}
    - {"kr_rrn", "my_nric", "ph_umid", "pk_cnic", "uk_nino", "us_itin", "us_mbi", "us_ssn", "sg_nric", "mx_rfc"}
    - {"se_organisationsnummer", "au_medicare", "is_kennitala"}
)


@pytest.mark.parametrize("name", CHECKED)
def test_a_wrong_digit_is_no_identifier(name: str) -> None:
    number = ANYWHERE[name][0]
    at = max(index for index, character in enumerate(number) if character.isdigit())
    wrong = [number[:at] + digit + number[at + 1 :] for digit in "0123456789" if digit != number[at]]
    assert sum(other in found(name, other) for other in wrong) <= 1


@pytest.mark.parametrize("name", ["pl_pesel", "tr_tckn", "br_cpf", "au_abn", "de_idnr", "za_id", "no_fnr"])
@pytest.mark.parametrize(
    "template",
    [
        *(
            "Order {}",
            "order number: {}",
            '{{"order_id": {}}}',
            '{{"userId": "{}"}}',
            '{{"id": {}}}',
            "tracking no. {}",
        ),
        *("ISBN {}", "SKU-{}", "build {}", "0.{}", "${}", "{}-8f2e", "a{}b", "{}0", "ticket #{}", "created_at={}"),
    ],
)
def test_what_is_named_otherwise_stays(name: str, template: str) -> None:
    digits = ANYWHERE[name][-1].replace(" ", "")
    assert found(name, template.format(digits)) == []


@pytest.mark.parametrize("name", ["pl_pesel", "br_cpf"])
def test_its_own_word_says_more_than_any_other(name: str) -> None:
    number = ANYWHERE[name][-1]
    assert found(name, f"{name[3:]} on order {number}") == [number]
