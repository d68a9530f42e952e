"""Statements of which the kind says everything: the table of their classes.

Source: the chapter "SQL Commands" of PostgreSQL 18's manual. What is not here has a judgement of its own or is unknown.
"""

from __future__ import annotations

from typing import Final

from countersign.statements.verdict import StatementClass as C

_TABLE: Final = (
    (
        (C.DDL,),
        "defines or alters",
        """
        CreateStmt CreateSeqStmt AlterSeqStmt IndexStmt CommentStmt RenameStmt AlterObjectSchemaStmt CompositeTypeStmt
        CreateEnumStmt AlterEnumStmt CreateDomainStmt AlterDomainStmt AlterTypeStmt CreateStatsStmt
        AlterStatsStmt AlterCollationStmt CreatedbStmt AlterDatabaseStmt AlterDatabaseRefreshCollStmt
        AlterObjectDependsStmt AlterTSDictionaryStmt AlterTSConfigurationStmt AlterTableSpaceOptionsStmt
        AlterTableMoveAllStmt
        """,
    ),
    ((C.DDL,), "maintains tables", "VacuumStmt ClusterStmt ReindexStmt"),
    ((C.MASS_WRITE,), "fills a materialized view anew", "RefreshMatViewStmt"),
    (
        (C.DDL, C.CODE_EXECUTION),
        "plants code that runs later",
        """
        CreateTrigStmt CreateEventTrigStmt CreatePLangStmt CreateExtensionStmt AlterExtensionStmt
        CreateCastStmt CreateTransformStmt CreateConversionStmt CreateOpClassStmt CreateOpFamilyStmt AlterOpFamilyStmt
        AlterOperatorStmt CreateAmStmt CreateFdwStmt AlterFdwStmt
        """,
    ),
    ((C.DDL,), "alters an extension", "AlterExtensionContentsStmt"),
    (
        (C.DDL, C.EXPORT),
        "ties the database to another server",
        """
        CreateForeignServerStmt AlterForeignServerStmt ImportForeignSchemaStmt CreatePublicationStmt
        AlterPublicationStmt CreateSubscriptionStmt AlterSubscriptionStmt
        """,
    ),
    ((C.PRIVILEGE, C.EXPORT), "keeps credentials for another server", "CreateUserMappingStmt AlterUserMappingStmt"),
    ((C.PRIVILEGE,), "drops credentials for another server", "DropUserMappingStmt"),
    ((C.DESTRUCTIVE_DDL,), "drops a subscription", "DropSubscriptionStmt"),
    ((C.DDL, C.FILE_ACCESS), "places data in a directory of the server", "CreateTableSpaceStmt"),
    ((C.DESTRUCTIVE_DDL,), "drops a tablespace", "DropTableSpaceStmt"),
    ((C.DESTRUCTIVE_DDL,), "drops a database", "DropdbStmt"),
    ((C.DESTRUCTIVE_DDL, C.MASS_WRITE), "empties tables", "TruncateStmt"),
    ((C.DESTRUCTIVE_DDL, C.PRIVILEGE), "drops everything of a role", "DropOwnedStmt"),
    (
        (C.PRIVILEGE,),
        "changes who may do what",
        """
        GrantStmt GrantRoleStmt AlterDefaultPrivilegesStmt CreateRoleStmt AlterRoleStmt DropRoleStmt ReassignOwnedStmt
        SecLabelStmt
        """,
    ),
    (
        (C.DDL, C.PRIVILEGE),
        "changes who may see or own what, or what watches",
        "CreatePolicyStmt AlterPolicyStmt AlterOwnerStmt AlterEventTrigStmt",
    ),
    ((C.CODE_EXECUTION,), "runs a procedure, which may do anything", "CallStmt"),
    ((C.CODE_EXECUTION,), "runs a prepared statement, which may be anything", "ExecuteStmt"),
    ((C.CODE_EXECUTION, C.FILE_ACCESS), "loads a shared library", "LoadStmt"),
    ((C.EXPORT,), "notifies other sessions", "NotifyStmt"),
    (
        (C.SESSION_CONTROL,),
        "changes how sessions run",
        """
        TransactionStmt ListenStmt UnlistenStmt LockStmt CheckPointStmt DiscardStmt DeallocateStmt ClosePortalStmt
        ConstraintsSetStmt
        """,
    ),
)

KINDS: Final = {kind: (frozenset(classes), reason) for classes, reason, names in _TABLE for kind in names.split()}
"""Classes and reason, by the node type of the statement."""
