"""T-SQL without semicolons: where one statement ends and the next begins.

A parser that takes ``SELECT 1 DELETE FROM t`` for an alias misses the second statement. The words that begin one are
reserved in T-SQL, so bare they can be no alias; each of them begins a statement unless the grammar has a place for it
there. A place that is not listed here cuts, and the halves then fail to parse: that is ``unparsable``, never reading.

Source: "Reserved Keywords (Transact-SQL)" and the syntax of each statement in Microsoft's reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from countersign.statements.dialects.piece import Piece, statements
from countersign.statements.names import names

_STARTERS: Final = names("""
    SELECT INSERT UPDATE DELETE MERGE EXEC EXECUTE DROP CREATE ALTER TRUNCATE GRANT REVOKE DENY DECLARE SET IF ELSE
    WHILE BEGIN END COMMIT ROLLBACK SAVE WAITFOR USE PRINT RAISERROR BACKUP RESTORE DUMP LOAD BULK DBCC KILL SHUTDOWN
    RECONFIGURE OPEN FETCH CLOSE DEALLOCATE RETURN BREAK CONTINUE GOTO CHECKPOINT READTEXT WRITETEXT UPDATETEXT SETUSER
    REVERT
""")
_ALONE: Final = names("BEGIN END ELSE BREAK CONTINUE")
_TRANSACTION: Final = names("TRAN TRANSACTION DISTRIBUTED")
_OF_BLOCKS: Final = names("TRY CATCH")
_BODIES: Final = names("PROC PROCEDURE FUNCTION TRIGGER")
_GRANTS: Final = names("GRANT REVOKE DENY")
_DEFINES: Final = names("CREATE ALTER DROP")
_SET_OPERATORS: Final = names("UNION EXCEPT INTERSECT")
_PARTS_OF_TABLES: Final = names("COLUMN CONSTRAINT MEMBER INDEX PARTITION PERIOD FILE MASKED CREDENTIAL")


def batch(piece: Piece) -> Iterator[Piece]:
    """Yield the statements of a T-SQL text; ``IF``, ``WHILE`` with their conditions, and ``BEGIN``, are pieces, too."""
    for part in _between_go(piece):
        for each in statements(part):
            yield from _cut(each)


def _between_go(piece: Piece) -> Iterator[Piece]:
    """Cut at lines of nothing but ``GO`` and a count: clients send what is between them one by one."""
    start = index = 0
    while index < len(piece):
        last = index
        if piece.words[index] == "GO" and _first_of_line(piece, index):
            if piece.word(index + 1).isdigit() and not _first_of_line(piece, index + 1):
                last = index + 1
            if last + 1 == len(piece) or _first_of_line(piece, last + 1):
                yield piece.part(start, index)
                start = last + 1
        index = last + 1
    yield piece.part(start)


def _first_of_line(piece: Piece, index: int) -> bool:
    return index == 0 or piece.tokens[index - 1].line < piece.tokens[index].line


def _cut(piece: Piece) -> Iterator[Piece]:
    start = depth = cases = 0
    index = 1
    while start < len(piece):
        if _has_body(piece, start):
            break
        # What stands alone ends with itself, whatever follows.
        length = _length_alone(piece, start)
        if length:
            yield piece.part(start, start + length)
            start += length
            index = start + 1
            continue
        inside = [piece.words[start]]
        while index < len(piece):
            word = piece.words[index]
            if word == "(":
                depth += 1
            elif word == ")":
                depth -= 1
            elif word == "CASE":
                cases += 1
            elif word == "END" and cases:
                cases -= 1
            elif depth <= 0:
                if word in _STARTERS and not cases and not _continues(piece, start, index, inside):
                    break
                inside.append(word)
            index += 1
        yield piece.part(start, index)
        start, index, depth, cases = index, index + 1, 0, 0
    if start < len(piece):
        yield piece.part(start)


def _length_alone(piece: Piece, start: int) -> int:
    word, after = piece.words[start], piece.word(start + 1)
    if word not in _ALONE or (word == "BEGIN" and after in _TRANSACTION):
        return 0
    return 2 if after in _OF_BLOCKS and word in {"BEGIN", "END"} else 1


def _has_body(piece: Piece, start: int) -> bool:
    """Whether the rest of the text is the body of a routine that is being defined."""
    if piece.words[start] not in {"CREATE", "ALTER"}:
        return False
    after = piece.words[start + 1 : start + 4]
    return bool(after) and (after[0] in _BODIES or (after[:2] == ["OR", "ALTER"] and after[-1] in _BODIES))


def _continues(piece: Piece, start: int, index: int, inside: Sequence[str]) -> bool:
    """Whether the starter at ``index`` belongs to the statement that begins at ``start``.

    ``inside``: the words of it so far that are in no parentheses.
    """
    words, head = piece.words, piece.words[start]
    word, before, after = words[index], words[index - 1], piece.word(index + 1)
    if head in _GRANTS and not {"TO", "FROM"} & set(inside):
        return True
    if head == "WITH":
        head = next((each for each in inside if each in {"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"}), "WITH")
        if head == "WITH":
            return word in {"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"} and before == ")"
    if word == "SELECT":
        return _select_continues(inside, head, before)
    if word in {"INSERT", "UPDATE", "DELETE"}:
        return (
            (before == "THEN" and head == "MERGE")
            or (before == "ON" and head in {"CREATE", "ALTER"})
            or (word == "INSERT" and head == "BULK" and index == start + 1)
            or (word == "UPDATE" and before == "FOR" and head == "DECLARE")
        )
    if word == "SET":
        return (
            (head in {"UPDATE", "ALTER"} and "SET" not in inside)
            or (head == "MERGE" and before == "UPDATE")
            or (head in {"CREATE", "ALTER"} and before in {"UPDATE", "DELETE"})
        )
    if word in {"EXEC", "EXECUTE"}:
        return head == "INSERT" and not {"SELECT", "VALUES", "EXEC", "EXECUTE"} & set(inside)
    if word == "IF":
        return head in _DEFINES and after in {"EXISTS", "NOT"}
    if word == "FETCH":
        return before in {"ROWS", "ROW"}
    if word == "MERGE":
        return after == "JOIN"
    if word in {"DROP", "ALTER"}:
        return (head == "ALTER" and after in _PARTS_OF_TABLES) or (head == "CREATE" and before == "OR")
    return (word == "ROLLBACK" and before == "WITH" and head == "ALTER") or (
        word == "OPEN" and head == "ALTER" and before == "KEY"
    )


def _select_continues(inside: Sequence[str], head: str, before: str) -> bool:
    words = set(inside)
    if before in _SET_OPERATORS or (before == "ALL" and "UNION" in words):
        return True
    if head == "INSERT":
        return not {"SELECT", "VALUES", "EXEC", "EXECUTE"} & words
    return (head in {"CREATE", "ALTER"} and before == "AS") or (head == "DECLARE" and before == "FOR")
