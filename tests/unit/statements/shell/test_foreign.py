"""What is beyond ASCII is read as it stands, and never reaches the parser's scanner."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from countersign.statements import classify_shell

# In a process of its own: a crash would take the tests along.
MANY = """
import random
from countersign.statements import classify_shell
rng = random.Random(7)
signs = "ls rm-f/$(){}`'\\"\\\\;&|<>#*?~\\n=!,"
for _ in range(20_000):
    classify_shell("".join(rng.choice(signs) if rng.random() < 0.4 else chr(rng.randrange(0x80, 0x110000))
                   for _ in range(rng.randrange(60))).encode("utf-8", "replace").decode())
"""


def test_no_character_crashes_the_parser() -> None:
    subprocess.run([sys.executable, "-c", MANY], check=True, timeout=120)


@pytest.mark.parametrize("text", ["grep Müller orte.txt", "cat 'bücher/größe.txt'", "echo \\é", "ls 名前 | wc -l"])
def test_words_in_any_script_are_words(text: str) -> None:
    assert classify_shell(text).only_reads


@pytest.mark.parametrize(
    "text", ["é=1 ls", "echo $é", "echo ${é}", "x=é; é=2", "echo QQ00002dQQ", "ls QQ0000e9QQ é", "üd=1; $üd"]
)
def test_names_that_are_none_and_letters_that_stand_for_others_are_not_read(text: str) -> None:
    assert not classify_shell(text).only_reads


@pytest.mark.parametrize("inner", ["SELECT * FROM übersicht", "SELECT 'é' FROM übersicht"])
def test_a_relation_is_told_by_its_own_name(inner: str) -> None:
    assert classify_shell(f'psql -c "{inner}"').reads == {"übersicht"}


def test_a_command_of_other_letters_is_no_command_that_is_known() -> None:
    rng = random.Random(3)
    for name in ("ls", "cat", "head"):
        at = rng.randrange(len(name))
        assert not classify_shell(name[:at] + chr(ord(name[at]) - ord("a") + 0xFF41) + name[at + 1 :]).only_reads
