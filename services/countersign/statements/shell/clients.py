"""Clients of databases: the text that one is handed is judged as what it is, in the database's own language.

Source: the manuals of psql, mysql, sqlite3, sqlcmd, bq, snowsql, mongosh and redis-cli.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from countersign.statements.mongo import classify_mongo
from countersign.statements.names import names
from countersign.statements.redis.classify import classify_words
from countersign.statements.shell.command import READS, RUNS, UNTOLD, Command, options, verdict
from countersign.statements.verdict import StatementClass, Verdict

_C = StatementClass

CLIENTS = names("psql mysql mariadb sqlite3 mongosh mongo redis-cli sqlcmd duckdb bq snowsql")

ClassifySql = Callable[[str, str], Verdict]
"""What says of an SQL text in a dialect what it does."""


@dataclass(frozen=True, slots=True)
class _Client:
    """A client that takes SQL in an option; every option that is not named here could run, read or write something."""

    dialect: str
    takes: frozenset[str]
    """The options whose value is SQL."""
    valued: str
    plain: frozenset[str]
    own_commands: re.Pattern[str]
    """What the client takes for a command of its own, and not for SQL."""
    attached: re.Pattern[str] = re.compile(r"(?!)")
    """Words that are one option with its value, which is no letter."""


_MYSQL = _Client(
    "mysql",
    names("-e --execute"),
    "eDhPuS",
    names(
        """-e --execute -D --database -h --host -P --port -u --user -S --socket -p --password -A -B -N -t -s -r -E -H -X
        -w -q --batch --skip-column-names --silent --raw --table --vertical --quick --default-character-set"""
    ),
    re.compile(r"\\(?!G\s*;?\s*$)"),
    re.compile(r"-p.+"),
)
_SQL_CLIENTS = {
    "psql": _Client(
        "postgres",
        names("-c --command"),
        "cdhpUFRPTvofL",
        names(
            """-c --command -d --dbname -h --host -p --port -U --username -A -t -q -x -X -w -W -1 -E -F -P --no-align
            --tuples-only --quiet --expanded --no-psqlrc --single-transaction --csv --no-password --field-separator"""
        ),
        re.compile(r"^\\"),
    ),
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "sqlcmd": _Client(
        "tsql",
        names("-Q -q"),
        "QqSdUPiotlhwsvHrmK",
        names("-Q -q -S -d -U -P -E -C -N -W -b -h -s -w -t -l"),
        re.compile(r"^\s*(?::|!!)|\$\(", re.MULTILINE),
    ),
    "snowsql": _Client(
        "snowflake",
        names("-q --query"),
        "qaudswrhfoD",
        names("-q --query -a --accountname -u --username -d --dbname -s --schemaname -w --warehouse -r --rolename"),
        re.compile(r"^\s*!|&", re.MULTILINE),
    ),
}
_PSQL_LISTS = re.compile(r"\\(?:d[tvimsnufdE+S]*|l\+?|conninfo|encoding|timing|x)(?:\s+[\w.*]+)?\s*")
_MONGO_ADDRESS = re.compile(r"mongodb(?:\+srv)?://\S+|[\w-]+")
_VALUELESS = names(
    """--no-align --tuples-only --quiet --expanded --no-psqlrc --single-transaction --csv --no-password --batch --raw
    --skip-column-names --silent --table --vertical --quick --password"""
)
_SQLITE_PLAIN = names(
    "-readonly -json -csv -column -header -noheader -line -list -box -table -markdown -html -batch -bail -quote -safe"
)
_BQ_STANDARD = names("--use_legacy_sql=false --nouse_legacy_sql")
_BQ_PLAIN = re.compile(r"--(?:format|max_rows|project_id|location|dataset_id)=[\w:.-]+|--(?:quiet|headless|dry_run)")


def judge_client(command: Command, sql: ClassifySql | None) -> Verdict:
    """Say what a command of :data:`CLIENTS` does; without ``sql``, whatever runs SQL runs code."""
    texts = command.texts
    if texts is None:
        return UNTOLD
    if texts in (["--version"], ["-V"], ["--help"]):
        return READS
    match command.name:
        case "redis-cli":
            return _redis(texts)
        case "mongosh" | "mongo":
            return _mongo(texts)
        case "sqlite3" if sql is not None:
            return _sqlite(texts, sql)
        case "bq" if sql is not None:
            return _bq(texts, sql)
    if sql is None or command.name not in _SQL_CLIENTS:
        return RUNS
    return _sql(command.name, texts, sql)


def _sql(name: str, texts: list[str], sql: ClassifySql) -> Verdict:
    client = _SQL_CLIENTS[name]
    texts = [text for text in texts if not client.attached.fullmatch(text)]
    long = frozenset(option for option in client.plain if option.startswith("--"))
    if name == "psql" and texts in (["-l"], ["--list"]):
        return READS
    given = options(texts, client.valued, long - _VALUELESS)
    statements = [given.values[key] for key in client.takes if key in given.values]
    if len(statements) != 1 or given.repeated or not given.given <= client.plain:
        return RUNS
    if client.own_commands.search(statements[0]):
        return READS if name == "psql" and _PSQL_LISTS.fullmatch(statements[0]) else RUNS
    # Only at the end, where it closes the statement as a semicolon does.
    text = statements[0].replace("\\G", ";") if client.dialect == "mysql" else statements[0]
    return _foreign(sql(text, client.dialect))


def _sqlite(texts: list[str], sql: ClassifySql) -> Verdict:
    operands = [text for text in texts if not text.startswith("-")]
    plain = all("-" + text.lstrip("-") in _SQLITE_PLAIN for text in texts if text not in operands)
    if not plain or len(operands) != 2 or operands[1].lstrip().startswith("."):
        return RUNS
    return _foreign(sql(operands[1], "sqlite"))


def _bq(texts: list[str], sql: ClassifySql) -> Verdict:
    rest = [text for text in texts if not _BQ_PLAIN.fullmatch(text)]
    if rest[:1] in (["ls"], ["show"]) and not any(text.startswith("-") for text in rest):
        return READS
    # The other dialect, BigQuery's own of before, is what it takes when nothing is said.
    if rest[:1] != ["query"] or not _BQ_STANDARD & set(rest):
        return RUNS
    statements = [text for text in rest[1:] if text not in _BQ_STANDARD]
    return _foreign(sql(statements[0], "bigquery")) if len(statements) == 1 and statements[0][:1] != "-" else RUNS


def _mongo(texts: list[str]) -> Verdict:
    given = options(texts, "hup", names("--eval --host --port --username --password"))
    known = given.given <= names("--eval --quiet --host --port --username --password --json -h -u -p")
    plain = known and not given.repeated and all(_MONGO_ADDRESS.fullmatch(each) for each in given.operands)
    return _foreign(classify_mongo(given.values["--eval"])) if plain and "--eval" in given.values else RUNS


def _redis(texts: list[str]) -> Verdict:
    index = 0
    while index < len(texts) and texts[index].startswith("-"):
        if texts[index] in ("-h", "-p", "-n", "-a", "-u", "--user", "--pass"):
            index += 2
        elif texts[index] in ("--raw", "--no-raw", "--json", "--tls", "-3", "--no-auth-warning", "-c"):
            index += 1
        else:
            return verdict("it scans or copies the whole server", _C.BULK_READ, _C.EXPORT)
    return _foreign(classify_words(texts[index:])) if index < len(texts) else RUNS


def _foreign(judged: Verdict) -> Verdict:
    """Take another language's verdict; what that did not understand, the client still runs."""
    if _C.UNPARSABLE not in judged.classes:
        return judged
    return Verdict(
        (judged.classes - {_C.UNPARSABLE}) | {_C.CODE_EXECUTION}, judged.reads, judged.writes, None, RUNS.reason
    )
