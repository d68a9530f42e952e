"""The names of relations, and those among them that are no ordinary data."""

from __future__ import annotations

import unicodedata

from sqlglot import exp

from countersign.statements.dialects.effects import Effects
from countersign.statements.dialects.tables.catalogs import SECRET, SECRET_ANYWHERE, SECRET_SCHEMAS
from countersign.statements.verdict import StatementClass as C


def name_of(table: exp.Expr) -> str:
    """Return the name as written, in lower case, its parts joined by dots."""
    parts = [part.name for part in table.parts if part.name] if isinstance(table, exp.Table) else [table.name]
    return ".".join(parts).lower()


def folded(name: exp.Expr, dialect: str) -> str:
    """Return what names have in common that are surely of one common table expression."""
    if dialect == "snowflake":
        return name.name if name.args.get("quoted") else name.name.upper()
    # Whether case counts is the database's own choice in SQL Server.
    return name.name if dialect == "tsql" else name.name.lower()


def touch(table: exp.Table, dialect: str, effects: Effects) -> None:
    """Note that the table is read."""
    name = name_of(table)
    effects.reads.add(name)
    if is_secret(name, dialect):
        effects.add("a relation shows credentials, secrets or what others run", C.PRIVILEGE)
    if dialect == "tsql" and isinstance(table.this, exp.Dot):
        effects.add("a relation is on a linked server", C.EXPORT)


def change(table: exp.Expr, dialect: str, effects: Effects) -> None:
    """Note that the table is changed."""
    name = name_of(table)
    if not name:
        return
    effects.writes.add(name)
    if is_secret(name, dialect) or is_system(name, dialect):
        effects.add("a relation of the system is changed", C.PRIVILEGE)
    if dialect == "tsql" and isinstance(table, exp.Table) and isinstance(table.this, exp.Dot):
        effects.add("a relation is on a linked server", C.EXPORT)


def is_secret(name: str, dialect: str) -> bool:
    """Whether reading the relation shows credentials, secrets, or what other people run."""
    schema, bare = _parts(name)
    return (
        bare in SECRET_ANYWHERE[dialect]
        or schema in SECRET_SCHEMAS[dialect]
        or f"{schema}.{bare}" in SECRET[dialect]
        or (dialect == "tsql" and bare.startswith("dm_exec_"))
    )


def is_system(name: str, dialect: str) -> bool:
    """Whether changing the relation changes the system itself and not data."""
    schema, bare = _parts(name)
    return (
        (dialect == "mysql" and schema in {"mysql", "sys", "performance_schema"})
        or (dialect == "tsql" and schema in {"sys", "msdb"})
        or (dialect == "sqlite" and bare.startswith("sqlite_"))
    )


def _parts(name: str) -> tuple[str, str]:
    """Return the schema and the bare name as collations see them: without accents, width and spaces at the end."""
    if not name.isascii():
        apart = unicodedata.normalize("NFKD", name)
        name = "".join(each for each in apart if not unicodedata.combining(each)).casefold()
    schema, _, bare = name.rpartition(".")
    return schema.rpartition(".")[2].strip(), bare.strip()


def is_metadata(name: str) -> bool:
    """Whether the table function of this name tells of the schema only, in few rows."""
    return name.startswith("PRAGMA_")
