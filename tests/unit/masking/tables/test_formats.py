"""The promise: the cells of a covered column are masked in every kind of table, and nothing beside them."""

from __future__ import annotations

import pytest

from countersign.masking import Masker
from tests.unit.masking.marked import check

TABLES = {
    "comma": "id,ssn,name\n1,<<A-1>>,Bob\n2,<<A 2>>,Al\n",
    "first column": "ssn,name\n<<A-1>>,Bob\n<<A-2>>,Al",
    "tab": "id\tSSN\tname\r\n1\t<<A, 1>>\tBob\r\n2\t\tAl\r\n",
    "semicolon": "Result:\nid; ssn; name\n1; <<A,1>>; Bob\n2;<<A-2>>;Al\n\nThat is all; enjoy, please.\n",
    "pipes": "id|ssn|name\n1|<<A-1>>|Bob\n",
    "carriage returns": "id,ssn\r1,<<A-1>>\r2,<<A-2>>\r",
    "quoted": 'id,"ssn",name\n1,"<<A ""1"", x>>",Bob\n2,"<<A\n2\n\n3>>","B\nob"\n3,"",Al\n',
    "backslash before quotes": 'id,ssn,name\n1,"<<A \\"1\\" x>>",Bob\n',
    "index without header": ",ssn,name\n0,<<A-1>>,Bob\n",
    "byte order mark": "\ufeffssn,id\n<<A-1>>,1\n",
    "blank lines between rows": "id,ssn\n\n1,<<A-1>>\n\n2,<<A-2>>\n",
    "two tables": "id,ssn,x\n1,<<A-1>>,Bob\n\nx,id,ssn\nBob,1,<<A-1>>\nAl,2,<<A-2>>\n",
    "column alone": "ssn\n<<A-1>>\n<<A 2>>\n(2 rows)\n\nDone.",
    "markdown": (
        "Rows:\n\n| id | ssn | n |\n|---:|:---:|---|\n| 1 | <<A-1>> | b \\| c |\n| 2 | <<A\\|2>> | |\n\nx | y\n"
    ),
    "markdown without frame": "ssn | id\n--- | ---\n<<A-1>> | 1\n",
    "markdown in a quote": "> | ssn | id |\n> |---|---|\n> | <<A-1>> | 1 |\n",
    "psql": (
        " id | ssn  | n\n----+------+---\n  1 | <<A-1>> | b\n  2 |      | c\n(2 rows)\n\n id | n\n----+---\n  1 | b\n"
    ),
    "psql with one column": " ssn \n-----\n <<A-1>>\n <<A-2>>\n(2 rows)\n",
    "psql expanded": (
        "-[ RECORD 1 ]--\nid   | 1\nssn  | <<A-1>>\nname | Bob\n-[ RECORD 2 ]--\nid   | 2\n"
        "ssn  | <<A-2   +>>\n     | <<B>>\n"
    ),
    "mysql": (
        "+----+-------+\n| id | ssn   |\n+----+-------+\n|  1 | <<A-1>>   |\n|  2 | <<A 2>>   |\n"
        "+----+-------+\n2 rows in set\n"
    ),
    "mysql, cells of many lines": (
        "+----+-----+----+\n| id | ssn | n  |\n+----+-----+----+\n<<| 1 | A>>\n<<B and C and D>>\n<<E | n |>>\n"
        "| 2 | <<A-2>> | n |\n+----+-----+----+\nAll done here, enjoy.\n"
    ),
    "mysql vertical": "*** 1. row ***\n  id: 1\n ssn: <<A-1>>\n",
    "duckdb": (
        "┌─────┬─────┐\n│ ssn │ id  │\n│ varchar │ int64 │\n├─────┼─────┤\n│ <<Ä-1>> │ 1   │\n└─────┴─────┘\nend"
    ),
    "rich": "┏━━━━━┳━━━━┓\n┃ ssn ┃ id ┃\n┡━━━━━╇━━━━┩\n│ <<A-1>> │ 1  │\n└─────┴────┘\nend",
    "grid": (
        "+-----+----+\n| ssn | id |\n+=====+====+\n| <<A-1>> | 1 |\n+-----+----+\n| <<A-2>> | 2 |\n+-----+----+\n"
    ),
    "rules below headers": "ssn     id\n------  --\n<<A 1>>     1\n        2\n\nssn, or not",
    "pandas": "          ssn  name\n0  <<123-45-67>>   Bob\n1  <<123-45-68>>    Al\n",
    "pandas with narrow gaps": "          ssn name\n0  <<123-45-67>>  Bob\n1  <<123-45-68>>   Al\n",
    "kubectl": "NAME    SSN       AGE\na-b     <<123-45>>    5d\nc-d               6d\n",
    "data frame without index": " id         ssn name\n  1 <<123-45-67>>  Bob\n 22 <<123-45-68>>   Al\n",
    "transposed": "            0         1\nid          1         2\nssn    <<123-45>>    <<123-46>>\n",
    "one fact a line": "id,1\nssn,<<123-45>>\nn,Bob\n",
    "jira": "||id||ssn||n||\n|1|<<A-1>>|b|\n|2|<<A-2>>|c|\n",
    "quoted words": '"id" "ssn"\n"1" "<<A 1>>"\n"2" "<<A-2>>"\n',
    "rules, with blank lines": "id  ssn\n--  -----\n1   <<A-1>>\n\n2   <<A-2>>\n\nAll rows, ssn or not.\n",
    "minimal": "  id │ ssn │ n\n╶────┼─────┼──╴\n  1  │ <<A-1>> │ b\n     │     │ c\n",
    "psql, records of many lines": "* Record 1   \nid   1\nssn  <<123-45 +>>\n     <<678>>\nn    Bob\n",
    "psql, framed records": (
        "+-[ RECORD 1 ]-----+\n| id   | 1         |\n| ssn  | <<123-45 +>>|\n|      | <<678>>   |\n| n    | Bob  |\n"
    ),
    "psql, tight records": "id|1\nssn|<<123-45>>\n<<678>>\nn|Bob\n\nid|2\nssn|<<9>>\n",
    "records of quoted cells": 'id,1\nssn,"<<123-45\n678>>"\nn,Bob\n',
    "copied": "COPY public.u (id, ssn, n) FROM stdin;\n1\t<<A-1>>\tb c d e\n2\t<<A\\n2>>\tc\n\\.\n\nSELECT 1, 2, 3;\n",
    "ps": "id ssn     n\n1  <<123-45>> x\n22 <<123-46>> y\n",
    "names with values": "| field | value |\n|---|---|\n| ssn | <<A-1>> |\n| id | 1 |\n",
    "a path's last key": "id,Home Address,x\n1,<<Elm 1>>,2\n",
    "qualified": 'id,"u"."ssn"\n1,<<A-1>>\n',
    "an expression": "| id | max(u.ssn) |\n|---|---|\n| 1 | <<A-1>> |\n",
    "with its type": "id,ssn::text\n1,<<A-1>>\n",
    "in a fence": "```csv\nid,ssn\n1,<<A-1>>\n```\nThen, some more.\n",
}
UNSURE = {
    "too many cells": "id,ssn,n\n1,<<A-1>>,b\n<<2,A,3,b>>\n3,<<A-4>>,b\n",
    "too few cells": "id,ssn,n\n1,<<A-1>>,b\n<<2,A-2>>\n3,<<A-4>>,b\n",
    "cut off": "ssn,id,n\n<<A-1>>,1,b\n<<A-2>>",
    "cut off within quotes": 'id,ssn,n\n1,<<A-1>>,b\n<<2,"A-2>>\n<<A-3 and on>>',
    "a quote that closes amid a cell": 'id,ssn,n\n<<1,"A"1,b>>\n2,<<A-2>>,b\n',
    "first row": "id,ssn,n\n<<1,A>>\n",
    "markdown": "| id | ssn |\n|---|---|\n<<| 1 | A | 2 |>>\n| 2 | <<A-2>> |\n",
    "markdown cut off": "| id | ssn | n |\n|---|---|---|\n| 1 | <<A-1>> | b |\n<<| 2 | A>>",
    "overflowing columns": "ssn  name  n\n<<A-123456789 Bob  1>>\n",
    "overflowing a rule": "id  ssn  n\n--  ---  -\n1   <<A-1>>  b\n<<2   A-22 b>>\n",
    "wide characters": "name  ssn  n\n<<漢字漢  A1  2>>\n",
    "a remark between rows": "id,ssn\n1,<<A-1>>\n<<and so it goes on>>\n2,<<A-2>>\n",
}
UNTOUCHED = {
    "prose": "Please send your name, address, and ssn.\nOr call us, if you like, at noon.\n",
    "a list": "- id\n- ssn\n- name\n",
    "a heading": "SSN\n===\nIt is a number that people in the United States have.\n",
    "a description of columns": "| column | type |\n|---|---|\n| ssn | text |\n| id | integer |\n",
    "only a header": "id,ssn,name\n\nNo rows, sorry, were found.\n",
    "another name": "id,ssnx\n1,A-1\n",
    "a heading with words": "What the ssn is\n---------------\nSee below, please.\n",
}


@pytest.mark.parametrize("name", TABLES)
def test_cells_of_a_field_are_masked_and_nothing_else(fields: Masker, name: str) -> None:
    check(fields, TABLES[name])


@pytest.mark.parametrize("name", UNSURE)
def test_rows_that_cannot_be_cut_surely_are_masked_whole(fields: Masker, name: str) -> None:
    check(fields, UNSURE[name])


@pytest.mark.parametrize("name", UNTOUCHED)
def test_text_that_is_no_table_is_left_alone(fields: Masker, name: str) -> None:
    check(fields, UNTOUCHED[name])


TELLING = {
    "comma": "user,password,n\nbob,<<hunter-1>>,1\nal,<<xyz>>,2\n",
    "placeholders": "user,password\nbob,********\nal,<<xyz>>\n",
    "markdown": "| user | api key |\n|---|---|\n| bob | <<abc-def>> |\n",
    "kubectl": "NAME    PASSWORD   AGE\na-b     <<xyz123>>     5d\n",
    "psql": " id | db_password \n----+-------------\n  1 | <<xyz 1>>\n",
}
SAID = {
    "help": "  password   required\n  user       optional\n",
    "arguments": "connect(\n    user, password,\n    host, port,\n)\n",
    "prose": "You need a user, a token, and a key.\nGet them, they say, from us.\n",
    "imports": "import {\n  token,\n  username1,\n} from x\n",
}


@pytest.mark.parametrize("name", TELLING)
def test_columns_whose_names_tell_of_secrets_are_masked(names: Masker, name: str) -> None:
    check(names, TELLING[name], "SECRET")


@pytest.mark.parametrize("name", SAID)
def test_telling_words_in_prose_and_code_head_no_column(names: Masker, name: str) -> None:
    check(names, SAID[name], "SECRET")
