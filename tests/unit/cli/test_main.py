"""The group of commands: each is there, and imported only when asked for."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import pytest
import typer
from typer.main import get_group
from typer.testing import CliRunner

import countersign.cli
from countersign.cli.main import app

NAMES = list(get_group(app).commands)


def test_every_module_that_registers_commands_is_in_the_group() -> None:
    registered: set[str] = set()
    for module in pkgutil.iter_modules(countersign.cli.__path__, "countersign.cli."):
        register = getattr(importlib.import_module(module.name), "register", None)
        if register is not None:
            alone = typer.Typer()
            alone.callback()(lambda: None)
            register(alone)
            registered |= set(get_group(alone).commands)
    assert registered == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_each_command_tells_how_it_is_called(name: str) -> None:
    result = CliRunner().invoke(app, [name, "--help"])
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: countersign {name} ")
    assert " ".join(name.split("-")) in CliRunner().invoke(app, ["--help"]).output.replace("-", " ")


def test_a_command_that_there_is_not_is_refused() -> None:
    result = CliRunner().invoke(app, ["clasify"])
    assert result.exit_code == 2
    assert "classify" in result.output


def test_asking_for_one_command_imports_no_other() -> None:
    program = (
        "import sys\n"
        "from typer.main import get_group\n"
        "from countersign.cli.main import app\n"
        "get_group(app).commands['classify']\n"
        "print(*[name for name in sys.modules if name.startswith('countersign.cli.')])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["countersign.cli.main", "countersign.cli.classify"]
