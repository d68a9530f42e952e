"""What a script's own variables can hide: other files, other words, other commands, and credentials."""

from __future__ import annotations

import pytest

from countersign.statements import classify_shell


@pytest.mark.parametrize(
    "text",
    [
        "for f in '. -delete'; do find $f; done",
        "for f in 'a -o b'; do sort $f; done",
        "for f in '/etc/sh*'; do cat $f; done",
        "for f in /etc/sh*; do cat $f; done",
        'for f in /etc/sh*; do cat "$f"; done',
        "for f in ~/.s*/id*; do wc -l < $f; done",
        "for f in x; do read -r f; cat $f; done < list",
        "for f in a; do ls | while read f; do cat $f; done; done",
        "for f in a; do for f in /etc/shadow; do :; done; cat $f; done",
        "for f in a; do for f in $(cat list); do cat $f; done; done",
        "for f in a; do for g in 1 2; do cat $f; f=/etc/shadow; done; done",
        "for c in 'rm x'; do $c; done",
        "for c in r?; do $c x; done",
        "while read f; do cat $f; done < list",
        "while IFS= read -r f; do $f; done < list",
        "while read PATH; do ls; done < list",
        "x='a[$(id)]'; echo $((x))",
        "x=$(cat notes.txt); echo $((x + 1))",
        "for i in 'a[$(id)]'; do echo $((i)); done",
        "while read x; do echo $((x)); done < list",
        "echo $(($(cat notes.txt)))",
        "x=$SECRET; echo $x",
        'x="a ${SECRET}"; echo $x',
        "x=${y:-$SECRET}; echo $x",
        "x=rm; $x y",
        "x=/etc/shadow; cat $x",
        "x='-delete'; find . $x",
        "x=$(rm y)",
        "x=(a $(rm y))",
        "path=/tmp; ls",
        "export",
        "export x=1; ls",
        "declare -i x=1; ls",
        "https_proxy=x; ls",
        "PATH=/tmp; ls",
        "for f in a; do x=$f; cat $x; done",
    ],
)
def test_a_variable_is_never_taken_for_less_than_it_can_hold(text: str) -> None:
    assert not classify_shell(text).only_reads


@pytest.mark.parametrize(
    "text",
    [
        "cat <<EOF\n$SECRET\nEOF",
        "cat <<< $SECRET",
        'cat <<< "a$SECRET"',
        'while read l; do echo $l; done <<< "$SECRET"',
    ],
)
def test_a_variable_in_a_here_document_is_shown(text: str) -> None:
    assert "privilege" in classify_shell(text).classes


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        ("cat ../../../../etc/shadow", "file_access privilege"),
        ("cd ..; cat etc/shadow", "file_access privilege"),
        ("cat ../.ssh/id_rsa", "file_access privilege"),
        ("echo x > ../../../etc/passwd", "file_access privilege write"),
        ("cat ../src/app.py", "read"),
    ],
)
def test_a_path_that_climbs_can_reach_the_root(text: str, classes: str) -> None:
    assert classify_shell(text).classes == set(classes.split())


@pytest.mark.parametrize(
    "text",
    [
        'for f in *.log; do wc -l "$f"; done',
        'for f in *.log; do echo "$(wc -l < "$f")"; done',
        "for i in {1..3}; do echo $i; done",
        'cat notes.txt | while IFS= read -r line; do echo "$line"; done',
        'while read -r a b; do echo "$a"; done < notes.txt',
        "cat <<EOF\nhello $USER\nEOF",
        "x=$(date +%s); echo $x",
        'x=5 y="a b"; echo "$x $y"',
        "for i in 1 2 3; do echo $((i * 2)); done",
        "echo $((RANDOM % 5))",
        "git tag -l 'v*' --sort=-creatordate",
        "git branch --list 'feature/*' --format='%(refname)'",
        "fd -e py . src",
        "bat -p src/app.py",
        "unzip -l kept.zip",
        "gunzip -c kept.gz | head",
        "xz -dc kept.xz | head",
        "ip -br a",
        "node -v",
    ],
)
def test_ordinary_loops_and_looks_only_read(text: str) -> None:
    assert classify_shell(text).classes == {"read"}


@pytest.mark.parametrize(
    "text",
    [
        "git branch feature --format=x",
        "git tag v1 --sort=x",
        "fd -x rm",
        "fd --exec-batch rm",
        "bat --pager 'sh -c id' x",
        "unzip kept.zip",
        "gzip notes.txt",
        "gunzip kept.gz",
        "gunzip -c ~/.ssh/id_rsa",
        "ip -batch x",
        "ip -b x",
        "node -v -e 1 x y",
    ],
)
def test_their_other_sides_do_more(text: str) -> None:
    assert not classify_shell(text).only_reads
