"""From a text for MongoDB, in mongosh's words or as command documents, to a verdict."""

from __future__ import annotations

import re

from countersign.statements.combine import combine
from countersign.statements.mongo.commands import judge
from countersign.statements.mongo.database import helper, on_cluster, on_database
from countersign.statements.mongo.methods import Call, on_collection
from countersign.statements.mongo.reader import PROGRAM_WORDS, Reader
from countersign.statements.mongo.values import NotUnderstoodError, ProgramError, Value, document, name
from countersign.statements.verdict import StatementClass, Verdict, unparsable

SIZE_MAX = 64 * 1024
"""Characters; a longer text is not looked at."""

STATEMENTS_MAX = 200
_PATH_MAX = 16
_C = StatementClass
_HELPER_LINE = re.compile(
    r"(?:use|show|help|it|exit|quit|cls)\b[ \t]*[\w.$-]*[ \t]*[\w.$-]*[ \t]*(?=[;\r\n]|$)", re.ASCII
)


def classify_mongo(text: str) -> Verdict:
    """Say what a text for MongoDB does: mongosh statements, or command documents in (Extended) JSON.

    Never raises. JavaScript that would have to run (functions, variables, templates, operators) is ``code_execution``;
    unparsable: everything else outside the subset, commands, stages and operators that are not known, an empty text,
    more than 64 KiB.

    ``row_bound`` counts documents; ``reads`` and ``writes`` are collections, with the database where one is named.
    """
    if len(text) > SIZE_MAX:
        return unparsable("longer than 64 KiB")
    done: list[Verdict] = []
    try:
        _statements(Reader(text), done)
    except ProgramError as error:
        done.append(Verdict(frozenset({_C.CODE_EXECUTION}), reason=str(error)))
    except NotUnderstoodError as error:
        done.append(unparsable(str(error)))
    except Exception:
        done.append(unparsable("the classifier failed"))
    return combine(done)


def _statements(reader: Reader, done: list[Verdict]) -> None:
    reader.skip()
    while reader.peek():
        if reader.take(";"):
            continue
        if len(done) >= STATEMENTS_MAX:
            raise NotUnderstoodError("too many statements")
        done.append(_statement(reader))
        if reader.peek() and not _line_ended(reader) and not reader.take(";"):
            raise reader.refusal()
    if not done:
        raise NotUnderstoodError("no statement")


def _line_ended(reader: Reader) -> bool:
    """Say whether a line ended in the blanks just passed, which ends a statement as a semicolon does."""
    position = reader.position
    while position and reader.text[position - 1] in " \t\r\n":
        position -= 1
        if reader.text[position] == "\n":
            return True
    return False


def _statement(reader: Reader) -> Verdict:
    if reader.peek() == "{":
        return judge(document(reader.value()))
    line = _HELPER_LINE.match(reader.text, reader.position)
    if line is not None and (verdict := helper(line[0].split())) is not None:
        reader.position = line.end()
        reader.skip()
        return verdict
    word = reader.word()
    reader.skip()
    if word == "db":
        return _on_db(reader)
    if word in ("rs", "sh"):
        return on_cluster(word, _calls(reader))
    if word in PROGRAM_WORDS or (word is not None and reader.peek() in ("(", "=", ".")):
        raise ProgramError("JavaScript that would have to run")
    raise NotUnderstoodError("neither a command nor a statement of mongosh")


def _on_db(reader: Reader) -> Verdict:
    database: str | None = None
    path: list[str] = []
    while len(path) <= _PATH_MAX:
        if reader.peek() == "[":
            reader.take("[")
            path.append(name(reader.value()))
            reader.need("]")
            continue
        reader.need(".")
        step = _identifier(reader)
        if reader.peek() != "(":
            path.append(step)
            continue
        arguments = _arguments(reader)
        if not path and step in ("getSiblingDB", "getSisterDB") and len(arguments) == 1:
            database = name(arguments[0])
        elif not path and step == "getCollection" and len(arguments) == 1:
            path.append(name(arguments[0]))
        else:
            calls = [Call(step, arguments), *_calls(reader)]
            return judge(on_collection(".".join(path), calls), database) if path else on_database(calls, database)
    raise NotUnderstoodError("a collection's name of too many parts")


def _identifier(reader: Reader) -> str:
    word = reader.word()
    if word is None:
        raise reader.refusal()
    reader.skip()
    if word in ("__proto__", "constructor", "prototype"):
        raise ProgramError("JavaScript that would have to run")
    return word


def _arguments(reader: Reader) -> list[Value]:
    reader.need("(")
    return reader.items(")")


def _calls(reader: Reader) -> list[Call]:
    calls: list[Call] = []
    while reader.take("."):
        step = _identifier(reader)
        if reader.peek() != "(":
            raise reader.refusal()
        calls.append(Call(step, _arguments(reader)))
    return calls
