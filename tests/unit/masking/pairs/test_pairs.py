"""The promise: what stands beside or below a field's name in text goes, whole, and nothing else does."""

from __future__ import annotations

import json
import re

import pytest

from countersign.masking import Masker
from tests.unit.masking.marked import check

PAIRS = {
    "prose": "His SSN: <<A-1>>, she said; ssn=<<A-2>> name=Bob",
    "arrow": "'ssn' => '<<A-1>>', :ssn => \"<<A-2>>\"",
    "index": "row['ssn'] = '<<A-1>>'\nrow[\"ssn\"] = <<5>>",
    "quotes within quotes": "ssn='<<A\\'1>>' x\nssn='<<A''1>>' x\nssn=\"<<A\\\"1>>\" x",
    "an escaped text": '{\\"ssn\\": \\"<<A-1>>\\", \\"name\\": \\"Bob\\"} and {\\\\\\"ssn\\\\\\": \\\\\\"<<A>>\\\\\\"}',
    "bold": "- **SSN:** <<A-1>>\n- **ssn**: <<A-2>>\n- `ssn`: <<A-3>>\n",
    "rows of Python": "[{'ssn': '<<A-1>>', 'n': 1}, {'n': 2, 'ssn': <<Decimal('1.5')>>}, {'ssn': <<None>>, 'n': 3}]",
    "named tuples": "[Row(ssn='<<A-1>>', n=1), Row(n=2, ssn=<<UUID('a-b')>>, born=datetime.date(1990, 1, 2))]",
    "values of values": "{'ssn': <<['A-1', {'x': 'A-2'}]>>, 'n': ['B']}",
    "cut off": "{'n': 1, 'ssn': <<['A-1', {'x': 'A-2>>",
    "cut off in quotes": "{'n': 1, 'ssn': '<<A-1>>",
    "templates": "f'ssn: {ssn}' and ssn={{ user.ssn }} and ssn: {}",
    "masked before": "ssn: [SSN], ssn=[SSN]",
    "address in lines": "name: Bob\nhome_address: <<Elm Street 1, Springfield; IL>>\nage: 7\n",
    "properties": "name = Bob\nhome_address = <<Elm Street 1, Springfield>>\n",
    "below a heading": "SSN:\n<<123-45>>\n",
    "logfmt": 'level=info ssn=<<A-1>> msg="x y"',
    "query": "https://x.example/?a=1&ssn=<<A-1>>&b=2",
}
YAML = {
    "mappings": "people:\n  - name: Bob\n    ssn: <<A-1>>\n  - ssn: '<<A-2>>'\n    name: Al\n",
    "comment": "ssn: <<A 1>> # known\nname: Bob\n",
    "literal": "ssn: |\n  <<A-1>>\n\n  <<B: 2>>\nname: Bob\n",
    "folded": "- ssn: >-\n    <<A-1>>\n    <<- B>>\n  name: Bob\n",
    "list": "ssn:\n  - <<A-1>>\n  - <<'A-2'>>\nname: Bob\n",
    "list at the key": "ssn:\n- <<A-1>>\n- <<A-2>>\nname: Bob\n",
    "mapping below": "ssn:\n  no: <<A-1>>\n  more:\n    of: <<A-2>>\nname: Bob\n",
    "flow": "people: [{name: Bob, ssn: <<A-1>>}, {ssn: <<A-2>>, name: Al}]\n",
    "flow below": "ssn: <<[A-1, {x: A-2}]>>\nname: Bob\n",
    "goes on": "ssn: <<A-1>>\n  <<and B>>\nname: Bob\n",
    "quoted, goes on": 'x:\n  ssn: "<<A-1>>\n\n    <<and B>>"\n  name: Bob\n',
    "anchor and tag": "ssn: &a <<A-1>>\nx: {ssn: !!str <<A-2>>, b: 1}\ny:\n  ssn: !!str '<<A-3>>'\n",
    "quoted keys": "\"ssn\": <<A-1>>\n'ssn': <<A-2>>\n",
    "commas": "ssn: <<A, B, C>>\nname: Bob, Jr\n",
    "documents": "---\nssn: <<A-1>>\n---\nssn: <<A-2>>\n",
}


@pytest.mark.parametrize("name", PAIRS)
def test_values_beside_names_are_masked(fields: Masker, name: str) -> None:
    check(fields, PAIRS[name])


@pytest.mark.parametrize("name", YAML)
def test_values_in_yaml_are_masked(fields: Masker, name: str) -> None:
    check(fields, YAML[name])


PERSONAL = {
    "lines": "First name: <<Bob>>\nHome address: <<12 Elm Street, Springfield>>\nPhone: <<555-0199-22>>\nstate: 1\n",
    "yaml": "users:\n  - first_name: <<Bob>>\n    address:\n      street: <<12 Elm Street>>\n      city: Springfield\n",
    "rows of code": "[{'last_name': '<<Smith>>', 'n': 1}]",
    "prose": "IP address: 10.0.0.1, line number: 7",
    "code": "address: str\nfirst_name: None\n",
}


@pytest.mark.parametrize("name", PERSONAL)
def test_values_beside_names_of_personal_data_are_masked(persons: Masker, name: str) -> None:
    text = PERSONAL[name].replace("<<", "").replace(">>", "")
    masked = persons.text(text.encode()).data.decode()
    kept = re.sub(r"<<.*?>>", "*", PERSONAL[name])
    assert re.sub(r"\[(PERSON|ADDRESS|PHONE)\]", "*", masked) == kept


def test_strings_of_one_line_are_looked_at_for_personal_data(persons: Masker) -> None:
    masked = persons.json(json.dumps({"name": "x", "rows": ["First name: Bob", "status: open"]}).encode())
    assert json.loads(masked.data) == {"name": "x", "rows": ["First name: [PERSON]", "status: open"]}
