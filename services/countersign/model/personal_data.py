"""The names of the detectors of personal data; together they are the standard set ``pii``."""

PERSONAL_DATA = (
    *("email", "phone", "credit_card", "iban", "bank_account", "swift_bic", "uk_sort_code", "us_routing", "crypto"),
    *("ip", "mac", "passport", "driver_license", "vehicle_plate", "birth_date"),
    *("address_by_key", "birth_date_by_key", "person_by_key", "phone_by_key"),
    # The Americas
    *("ar_cuit", "ar_dni", "br_cnpj", "br_cpf", "ca_sin", "cl_rut", "co_nit", "do_cedula", "ec_ci", "mx_curp"),
    *("mx_rfc", "us_dea", "us_itin", "us_mbi", "us_npi", "us_ssn"),
    # Europe and Turkey
    *("at_vnr", "be_nn", "bg_egn", "ch_ahv", "cz_rc", "de_bsnr", "de_health_insurance", "de_idnr", "de_lanr"),
    *("de_personalausweis", "de_social_security", "de_tax_number", "dk_cpr", "ee_ik", "es_dni", "es_nie", "eu_vat"),
    *("fi_hetu", "fr_nir", "gr_amka", "hr_oib", "ie_pps", "is_kennitala", "it_codicefiscale", "it_identity_card"),
    *("lt_asmens", "lv_pk", "nl_bsn", "no_fnr", "pl_nip", "pl_pesel", "pt_nif", "ro_cnp", "rs_jmbg", "ru_inn"),
    *("ru_snils", "se_organisationsnummer", "se_personnummer", "tr_tckn", "uk_nhs", "uk_nino", "uk_utr"),
    # Africa, Asia and Oceania
    *("au_abn", "au_acn", "au_medicare", "au_tfn", "cn_ric", "hk_id", "id_nik", "il_id", "in_aadhaar", "in_gstin"),
    *("in_pan", "in_voter", "jp_my_number", "ke_id", "kr_brn", "kr_driver_license", "kr_rrn", "my_nric", "ng_nin"),
    *("nz_ird", "ph_tin", "ph_umid", "pk_cnic", "sg_nric", "sg_uen", "th_pin", "tw_id", "za_id"),
)
