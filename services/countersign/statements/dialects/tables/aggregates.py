"""Aggregates: those that give one value for a table, and those that pack the table's rows into it.

Source: the chapters on aggregate functions of the manuals of MySQL, SQL Server, SQLite, BigQuery and Snowflake.
"""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from countersign.statements.names import names

PACKING: Final = (
    exp.ArrayAgg,
    exp.ArrayConcatAgg,
    exp.ArrayUniqueAgg,
    exp.ArrayUnionAgg,
    exp.GroupConcat,
    exp.JSONArrayAgg,
    exp.JSONObjectAgg,
    exp.JSONBObjectAgg,
    exp.ObjectAgg,
)
PACKING_NAMES: Final = names("""
    ARRAY_AGG ARRAY_CONCAT_AGG ARRAY_UNIQUE_AGG ARRAY_UNION_AGG GROUP_CONCAT JSON_ARRAYAGG JSON_OBJECTAGG
    JSON_GROUP_ARRAY JSON_GROUP_OBJECT JSONB_GROUP_ARRAY JSONB_GROUP_OBJECT STRING_AGG LISTAGG OBJECT_AGG XMLAGG
    APPROX_TOP_COUNT APPROX_TOP_SUM APPROX_TOP_K APPROX_QUANTILES
""")

AGGREGATES: Final = (
    *PACKING,
    exp.AnyValue,
    exp.ApproxDistinct,
    exp.Avg,
    exp.Corr,
    exp.Count,
    exp.CountIf,
    exp.LogicalAnd,
    exp.LogicalOr,
    exp.Max,
    exp.Median,
    exp.Min,
    exp.Stddev,
    exp.StddevPop,
    exp.StddevSamp,
    exp.Sum,
    exp.Variance,
    exp.VariancePop,
)
AGGREGATE_NAMES: Final = PACKING_NAMES | names("""
    TOTAL COUNT_BIG STDEV STDEVP VAR VARP STD STDDEV VARIANCE BIT_AND BIT_OR BIT_XOR CHECKSUM_AGG
""")
