"""Names of keys and columns that tell that the values are of a person: they have no form that a detector could know."""

from __future__ import annotations

import re

from countersign.jsontext import JsonValue

_NOT_A_LETTER = re.compile(r"[^a-z]+")
_LONGEST_NAME = 128
_FEWEST_PHONE_DIGITS = 5
_MACHINE = re.compile(r"\S{0,64}(?:\d[.:]\d|://)|[0-9A-Fa-f]{2}:")
_PLACEHOLDER = re.compile(
    r"(?i)[<{\[(].*[>}\])]|none|null|nil|undefined|unknown|n/a|string|str|text|varchar.*|true|false"
)

ENDS = (
    r"names?|vorname|prenom|apellidos?|cognome|nome|naam|holder|patient|forename|signatory|"
    r"address(?:es)?|addr|adresse|line|street|strasse|residence|direccion|domicilio|indirizzo|"
    r"dob|birth|birth[ _]?da(?:te|y)|b_?da(?:te|y)|geburtsdatum|naissance|nacimiento|nascita|nascimento|"
    r"phone|telephone|tel|mobile|cell|fax|telefon|telefono|number|num|no"
)
"""A pattern of the ends of the names that :func:`classify` may know, but for a digit; RE2, without regard to case."""

PERSON, ADDRESS, BIRTH_DATE, PHONE = "PERSON", "ADDRESS", "BIRTH_DATE", "PHONE"

_EXACTLY = {
    PERSON: (
        *("firstname", "lastname", "fullname", "middlename", "surname", "givenname", "familyname", "forename", "fname"),
        *("lname", "maidenname", "birthname", "legalname", "nickname", "personname", "realname", "nameoncard"),
        *("cardholdername", "cardholder", "accountholder", "accountholdername", "holdername", "patientname", "patient"),
        *("customername", "clientname", "employeename", "contactname", "contactperson", "recipientname", "sendername"),
        *("beneficiaryname", "payeename", "payername", "buyername", "membername", "studentname", "guestname"),
        *("passengername", "drivername", "ownername", "subscribername", "insuredname", "applicantname", "spousename"),
        *("mothersmaidenname", "mothermaidenname", "mothername", "fathername", "signatory", "nextofkin", "vorname"),
        *("nachname", "familienname", "prenom", "nomdefamille", "nombrecompleto", "apellido", "apellidos", "cognome"),
        *("voornaam", "achternaam", "sobrenome", "nomecompleto", "shiptoname", "billtoname", "givennames", "lastnames"),
        *("firstnames", "custname", "empname", "emergencycontactname", "doctorname", "physicianname", "authorname"),
    ),
    ADDRESS: (
        *(
            "street",
            "streetaddress",
            "streetname",
            "streetline",
            "address",
            "addr",
            "addressline",
            "addresses",
            "addrline",
        ),
        *("homeaddress", "mailingaddress", "postaladdress", "billingaddress", "shippingaddress", "residentialaddress"),
        *("deliveryaddress", "permanentaddress", "currentaddress", "residence", "workaddress", "fulladdress"),
        *("housenumber", "houseno", "apartment", "apartmentnumber", "aptnumber", "custaddress", "customeraddress"),
        *(
            "patientaddress",
            "employeeaddress",
            "contactaddress",
            "physicaladdress",
            "strasse",
            "hausnummer",
            "anschrift",
        ),
        *("adresse", "direccion", "domicilio", "indirizzo", "endereco", "adres", "straat", "shiptoaddress"),
        *("billtoaddress", "legaladdress", "registeredaddress", "personaladdress", "thoroughfare", "postbox", "pobox"),
    ),
    BIRTH_DATE: (
        *("dob", "dateofbirth", "birthdate", "birthday", "birthdt", "dtofbirth", "birthdatetime", "bdate", "bday"),
        *("geburtsdatum", "geburtstag", "datedenaissance", "datenaissance", "fechanacimiento", "fechadenacimiento"),
        *("datadinascita", "datanascita", "datanascimento", "datadenascimento", "geboortedatum", "borndate", "bornon"),
        *("patientdob", "customerdob", "memberdob", "employeedob"),
    ),
    PHONE: (
        *("phone", "phoneno", "phonenumber", "phonenum", "telephone", "telephonenumber", "telephoneno", "tel", "telno"),
        *("mobile", "mobileno", "mobilenumber", "mobilephone", "cell", "cellphone", "cellnumber", "fax", "faxnumber"),
        *("homephone", "workphone", "officephone", "msisdn", "contactnumber", "contactphone", "customerphone"),
        *(
            "daytimephone",
            "eveningphone",
            "whatsapp",
            "telefon",
            "telefonnummer",
            "handynummer",
            "telefono",
            "telefone",
        ),
        *("phonehome", "phonework", "phonemobile", "landline", "businessphone", "emergencyphone"),
    ),
}
_LABELS = {name: label for label, names in _EXACTLY.items() for name in names}
# What may stand around such a name without changing what it says.
_PREFIXES = (
    *(
        "user",
        "customer",
        "client",
        "patient",
        "employee",
        "contact",
        "billing",
        "shipping",
        "member",
        "person",
        "cust",
    ),
    *(
        "emergency",
        "primary",
        "secondary",
        "home",
        "work",
        "owner",
        "recipient",
        "sender",
        "guest",
        "student",
        "account",
    ),
    *("applicant", "insured", "beneficiary", "cardholder", "legal", "preferred", "driver", "passenger", "emp", "usr"),
    *("buyer", "seller", "subscriber", "payer", "payee", "spouse", "mother", "father", "child", "guardian", "partner"),
)


def classify(name: str) -> str | None:
    """Say which label the values under a key or in a column deserve; ``None`` for most names.

    Case, separators and digits do not count (``first_name``, ``FirstName``, ``ADDRESS-LINE-1``). ``name`` alone is
    nobody's: too many things have one.
    """
    plain = _NOT_A_LETTER.sub("", name[-_LONGEST_NAME:].lower())
    label = _LABELS.get(plain)
    if label is not None:
        return label
    for prefix in _PREFIXES:
        if plain.startswith(prefix):
            label = _LABELS.get(plain[len(prefix) :])
            if label is not None:
                return label
    return None


def holds(label: str, value: JsonValue) -> bool:
    """Whether a value under such a key is to be taken for a person's, not for a setting or a machine's address."""
    if not isinstance(value, str):
        # What stands in an object has keys of its own.
        return False
    digits = sum(map(str.isdigit, value))
    letters = sum(map(str.isalpha, value))
    if label == PHONE:
        return digits >= _FEWEST_PHONE_DIGITS
    if label == BIRTH_DATE:
        return digits > 0
    if label == PERSON:
        return letters > 0 and _PLACEHOLDER.fullmatch(value.strip()) is None
    return letters > 0 and any(map(str.isspace, value.strip())) and _MACHINE.match(value) is None
