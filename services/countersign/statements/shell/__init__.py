"""Shell scripts: what each does."""

from countersign.statements.shell.classify import classify_shell

__all__ = ["classify_shell"]
