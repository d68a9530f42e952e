"""The kinds of nodes that mean nothing by themselves: what they hold is looked at, and that is all.

Source: the raw parse tree's node types in PostgreSQL 18's ``parsenodes.h`` and ``primnodes.h``. Statements are not
here: each has a judgement of its own.
"""

from __future__ import annotations

from typing import Final

from countersign.statements.names import names

PLAIN: Final = names(
    """
    A_ArrayExpr A_Const A_Indices A_Star AccessPriv Alias ATAlterConstraint BitString Boolean BoolExpr BooleanTest
    CTECycleClause CTESearchClause CaseExpr CaseWhen CoalesceExpr CollateClause ColumnDef CommonTableExpr Constraint
    CreateOpClassItem CurrentOfExpr DefElem Float FunctionParameter GroupingFunc GroupingSet IndexElem InferClause
    Integer IntoClause JoinExpr JsonAggConstructor JsonArgument JsonArrayAgg JsonArrayConstructor
    JsonArrayQueryConstructor JsonBehavior JsonFormat JsonFuncExpr JsonIsPredicate JsonKeyValue JsonObjectAgg
    JsonObjectConstructor JsonOutput JsonParseExpr JsonReturning JsonScalarExpr JsonSerializeExpr JsonTable
    JsonTableColumn JsonTablePathSpec JsonValueExpr List MergeSupportFunc MergeWhenClause MinMaxExpr MultiAssignRef
    NamedArgExpr NullTest ObjectWithArgs OnConflictClause ParamRef PartitionBoundSpec PartitionCmd PartitionElem
    PartitionRangeDatum PartitionSpec PublicationObjSpec PublicationTable RangeFunction RangeSubselect RangeTableFunc
    RangeTableFuncCol ReplicaIdentityStmt ResTarget ReturningClause ReturningOption RoleSpec RowExpr SQLValueFunction
    SetToDefault SortBy StatsElem String TableLikeClause TriggerTransition TypeCast TypeName VacuumRelation WindowDef
    WithClause XmlExpr XmlSerialize
    """
)
