"""The operators that are known: any other symbol is somebody's own function.

Source: ``pg_operator`` of PostgreSQL 18; the rest are pg_trgm's, pgvector's and PostGIS's, from their documentation.
"""

from __future__ import annotations

from typing import Final

from countersign.statements.names import names

KNOWN: Final = names(
    """
    !! !~ !~* !~~ !~~* # ## #- #> #>> % %> %>> & && &< &<| &> * *< *<= *<> *= *> *>= + - -> ->> -|- / < <#> <% <%> <+>
    <-> <->> << <<% <<-> <<= <<| <= <=> <> <@ <^ <~> = > >= >> >>= >^ ? ?# ?& ?- ?-| ?| ?|| @ @-@ @> @? @@ @@@ ^ ^@ |
    |&> |/ |=| |>> || ||/ ~ ~* ~<=~ ~<~ ~= ~>=~ ~>~ ~~ ~~*
    """
)
