"""What tricks are made of."""

from __future__ import annotations

from typing import Any

from tests.differential.honest import LEGACY, MODERN

LONG_S, KELVIN, DIVISION_SLASH = "\u017f", "\u212a", "\u2215"
ZERO_WIDTH = ("\u200b", "\u200c", "\u200d", "\ufeff", "\u2060", "\u00ad", "\u034f", "\U000e0001", "\u180e")
SPACES = (" ", "\t", "\n", "\u00a0", "\u2003", "\u3000", "\u0085", "\x0b", "\x0c", "\x00", "\x1f", "\x7f")
# Letters of Cyrillic, and ASCII in full width.
LOOK_ALIKES = str.maketrans("aeopcxyijs", "\u0430\u0435\u043e\u0440\u0441\u0445\u0443\u0456\u0458\u0455")
WIDE = str.maketrans({chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)})
LITERALS = (
    *("NaN", "Infinity", "-Infinity", "undefined", "True", "None", "nan", "inf", "'a'", "0x10", "0b1", "0o7", "1_000"),
    *(".5", "5.", "+1", "01", "-01", "1e", "1e+", "--1", "1n", "1.e1", "-", "nul", "nulll", "TRUE", "`a`", "/a/"),
)
NUMERALS = (
    *("1e0", "1.0", "-0", "-0.0", "0e0", "1E2", "1e+2", "10e-1", "9007199254740992", "9007199254740993", "1e400"),
    *("18446744073709551616", "1e-400", "0.1", "0.1000000000000000055511151231257827", "-1e400", "1e22", "1.5"),
    *("1" + "0" * 400, "4.9e-324", "2.2250738585072011e-308", "9223372036854775807", "-9223372036854775808"),
    *("1" * 4301, "0." + "3" * 200, "1.7976931348623159e308", "2147483648", "100000000000000000000000.0"),
    "123456789012345678901234567890",
)
TYPES: tuple[Any, ...] = (None, True, False, 0, 1, "", "x", [], {}, [{}], ["x"], "{}", "null")
JAVASCRIPT_KEYS = (
    *("__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "valueOf", "__defineGetter__", "toJSON"),
    *("then", "length", "__lookupGetter__", "isPrototypeOf"),
)
SNAKE_KEYS = (
    *("request_state", "input_responses", "task_id", "protocol_version", "client_info", "progress_token"),
    *("request_id", "meta", "jsonRpc", "json_rpc", "parameters", "args", "arg", "input", "tool", "toolName"),
)
VERSIONS = (
    *(*LEGACY, MODERN, "2024-11-05", "2030-01-01", "", " ", "2026-07-28 ", "2026-07-28,2025-11-25"),
    *("DRAFT-2026-v1", "x" * 40),
)
STRINGS = (
    *('"\\ud800"', '"\\udc00\\ud800"', '"\\ud83e\\udd8a"', '"\\uD83E\\uDD8A"', '"\\u0000"', '"a\\u0000b"', '"\\/"'),
    *('"\\x41"', '"\\\'"', '"\\u{41}"', '"\\U00000041"', '"\\0"', '"\\a"', '"\\u004"', '"a\nb"', '"a\tb"'),
    *('"a\x00b"', '"\ud800"', '"\\u2028"', '"\u2028"', '"\\ud800\\u0041"', '"\\ufffe"', '"\uffff"', '"\\\\u0041"'),
    '"unterminated',
)
CODECS = (
    *("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "utf-8-sig", "utf-7", "latin-1"),
    *("cp1252", "cp037"),
)
# Bytes of UTF-8 in more of them than it takes, and such as are none.
OVERLONG = {
    b"n": b"\xc1\xae",
    b'"': b"\xc0\xa2",
    b"/": b"\xc0\xaf",
    b"{": b"\xc1\xbb",
    b":": b"\xc0\xba",
    b"a": b"\xe0\x81\xa1",
}
NOT_UTF8 = (
    *(b"\xff", b"\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc3", b"\xed\xa0\xbd\xed\xb8\x80"),
    b"\xf8\x88\x80\x80\x80",
)
TRAILING = (
    *(b"\x00", b"}", b",", b"]", b"garbage", b"\n", b"  \t\r\n", b"\x0c", b"\xc2\xa0", b"\xef\xbb\xbf"),
    *(b"\xe2\x80\xa8", b"\x1a", b"//x", b"/* x */", b"#x", b"\x00\x00{}", b"\n\n", b";", b"null", b"{}", b"0"),
)
REMARKS = (*("/**/", '/*"name":"x"*/', "//x\n", "#x\n", ",", "<!-- -->", "\u00a0", "\x0c", "\ufeff", "\u2028"),)
DEPTHS = (8, 30, 58, 59, 60, 61, 62, 63, 64, 65, 120, 199, 200, 201, 600, 3000)
TYPES_OF_CONTENT = (
    *("application/json; charset=utf-8", "application/json;charset=UTF-8", 'application/json; charset="utf-8"'),
    *("application/json; charset=utf-16", "application/json; charset=latin-1", "application/json; charset=utf-7", ""),
    *("application/json, application/json", "text/plain", "application/json; boundary=x", "APPLICATION/JSON"),
    *("multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "application/json-rpc", "text/json"),
    *("application/json; charset=utf-8; charset=utf-16", "application/json\t; charset=utf8", "application/*"),
    *("application/json;", "application/vnd.api+json"),
)
