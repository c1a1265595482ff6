"""The rules of derivation as data: each names a task and a query over the tables of relevance.derive.world.

A task's rules stand together below; VIEWS are tables that they share, made in order.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """`query` finds l, r (numbers of the left and the right entity), label and votes (how often that was seen).

    A pair of a symmetric task may come in either order. $name in the query is a setting of derive's rules and caps, or
    its seed; `needs` are inputs without which the rule finds nothing.
    """

    name: str
    task: str
    query: str
    needs: tuple[str, ...]

    @property
    def drawn(self) -> bool:
        """Whether its rows are draws of which nothing is known but that they are far: a fact outweighs them."""
        return "FROM draw" in self.query


def _rules(task: str, *needs: str) -> Callable[..., Rule]:
    """What makes rules of a task, whose rows have one label and one vote; `source` is the query from FROM on."""

    def rule(name: str, label: int, source: str, *more: str) -> Rule:
        return Rule(name, task, f"SELECT l, r, {label} AS label, 1 AS votes {source}", (*needs, *more))

    return rule


# query_item: what people judged, as they judged it.

QUERY_ITEM = (Rule("judged", "query_item", "SELECT q AS l, i AS r, label, 1 AS votes FROM judged", ("judged pairs",)),)


# query_query: overlap of the relevant items. A large share 2, some 1; none, and nothing else in common, 0.
#
# The share is of items judged for both queries: those relevant to both over those relevant to either (Jaccard 1912). An
# item that was judged for one of them alone says nothing: pools of judgements differ where queries do not. `meeting`
# holds at most $judgements queries of an item and a label, so that what fits everything does not pair everything.

QUERY_QUERY_VIEWS = {
    "meeting": """SELECT * FROM judged
        QUALIFY row_number() OVER (PARTITION BY i, label ORDER BY hash(i, q, $seed), q) <= $judgements""",
    "met": """SELECT a.q AS l, b.q AS r, count_if(a.label = 2 AND b.label = 2) AS common,
            count_if(a.label = 2 OR b.label = 2) AS either, count_if(a.label > 0 AND b.label > 0) AS fitting,
            count_if(abs(a.label - b.label) = 2) AS opposed
        FROM meeting a JOIN meeting b USING (i) WHERE a.q < b.q GROUP BY ALL""",
}
MUCH = "common >= $shared AND common >= $overlap * either"
# joined from the draws outwards: every query with every type near one of its own would be too many
UNRELATED_TYPES = """FROM draw JOIN touched a ON a.q = l JOIN touched b ON b.q = r
    LEFT JOIN kin ON kin.a = a.t AND kin.b = b.t
    WHERE task = 'query_query' AND mined = {mined} AND l <> r
    AND NOT EXISTS (FROM met WHERE met.l = least(draw.l, draw.r) AND met.r = greatest(draw.l, draw.r) AND fitting > 0)
    GROUP BY l, r HAVING count(kin.a) = 0 AND count_if(a.t = b.t) = 0"""

_query_query = _rules("query_query", "judged pairs")
QUERY_QUERY = (
    _query_query("same items", 2, f"FROM met WHERE {MUCH}"),
    _query_query("some items", 1, f"FROM met WHERE common > 0 AND NOT ({MUCH})"),
    _query_query("rejected items", 0, "FROM met WHERE fitting = 0 AND opposed >= $rejected"),
    _query_query("unrelated types", 0, UNRELATED_TYPES.format(mined=False), "parents", "typed items"),
    _query_query("mined unrelated types", 0, UNRELATED_TYPES.format(mined=True), "parents", "typed items", "mined"),
)


# item_item: co-relevance. Two items relevant to one query 2, one of them partially 1, one of them not 0.
#
# A vote is a query; `paired` holds at most $judgements items of a query and a label.

ITEM_ITEM_VIEWS = {
    "paired": """SELECT * FROM judged
        QUALIFY row_number() OVER (PARTITION BY q, label ORDER BY hash(q, i, $seed), i) <= $judgements"""
}
MINED_ITEMS = """FROM draw JOIN item a ON a.n = l JOIN item b ON b.n = r
    WHERE task = 'item_item' AND mined AND l <> r AND a.t IS NOT NULL AND b.t IS NOT NULL AND a.t <> b.t
    AND NOT EXISTS (FROM kin WHERE kin.a = a.t AND kin.b = b.t)"""


def _together(name: str, label: int, other: str) -> Rule:
    query = f"""SELECT least(a.i, b.i) AS l, greatest(a.i, b.i) AS r, {label} AS label, count(*) AS votes
        FROM paired a JOIN paired b USING (q) WHERE a.label = 2 AND {other} GROUP BY ALL"""
    return Rule(name, "item_item", query, ("judged pairs",))


ITEM_ITEM = (
    _together("both relevant", 2, "b.label = 2 AND a.i < b.i"),
    _together("relevant and partial", 1, "b.label = 1"),
    _together("relevant and irrelevant", 0, "b.label = 0"),
    _rules("item_item")("mined of far types", 0, MINED_ITEMS, "parents", "typed items", "mined"),
)


# query_type: the types of a query's relevant items 2, a sibling or the parent of one 1, types far from all of them 0.
#
# `wanted` holds types of at least $type_share of the relevant items; one of fewer, or of partially relevant items, is
# `touched`: neither near nor far.

QUERY_TYPE_VIEWS = {
    "touched": """SELECT q, t, sum((label = 2)::INTEGER) AS relevant FROM judged JOIN item ON n = i
        WHERE label > 0 AND t IS NOT NULL GROUP BY ALL""",
    "wanted": "FROM touched WHERE relevant > 0 QUALIFY relevant / sum(relevant) OVER (PARTITION BY q) >= $type_share",
}
NEAR_WANTED = """FROM (SELECT DISTINCT q AS l, b AS r FROM wanted JOIN kin ON a = t WHERE up = 1 AND down <= 1) near
        WHERE NOT EXISTS (FROM touched WHERE q = l AND t = r)"""
FAR_FROM_WANTED = """FROM draw JOIN touched ON q = l LEFT JOIN kin ON a = t AND b = r
    WHERE task = 'query_type' AND mined = {mined} GROUP BY l, r HAVING count(a) = 0 AND count_if(t = r) = 0"""
A_FEW = "QUALIFY row_number() OVER (PARTITION BY l ORDER BY hash(l, r, $seed), r) <= $beside"

_query_type = _rules("query_type", "judged pairs", "parents", "typed items")
QUERY_TYPE = (
    _query_type("wanted type", 2, "FROM (SELECT q AS l, t AS r FROM wanted)"),
    _query_type("beside a wanted type", 1, f"{NEAR_WANTED} {A_FEW}"),
    _query_type("far from wanted types", 0, FAR_FROM_WANTED.format(mined=False)),
    _query_type("mined far from wanted types", 0, FAR_FROM_WANTED.format(mined=True), "mined"),
)


# item_type: an item's own type 2, a sibling or the parent of it 1, types far from it 0.

NEAR_OWN = "FROM (SELECT n AS l, b AS r FROM item JOIN kin ON a = t WHERE up = 1 AND down <= 1)"
FAR_FROM_OWN = """FROM draw JOIN item ON n = l WHERE task = 'item_type' AND mined = {mined} AND t IS NOT NULL AND t <> r
    AND NOT EXISTS (FROM kin WHERE a = t AND b = r)"""

_item_type = _rules("item_type", "parents", "typed items")
ITEM_TYPE = (
    _item_type("own type", 2, "FROM (SELECT n AS l, t AS r FROM item WHERE t IS NOT NULL)"),
    _item_type("beside the own type", 1, f"{NEAR_OWN} {A_FEW}"),
    _item_type("far from the own type", 0, FAR_FROM_OWN.format(mined=False)),
    _item_type("mined far from the own type", 0, FAR_FROM_OWN.format(mined=True), "mined"),
)


# type_type: steps in the tree. Names that mean the same, parent and child 2; siblings, grandparents 1; far ones 0.

KIN = "FROM (SELECT a AS l, b AS r FROM kin WHERE {steps})"
FAR_TYPES = """FROM draw WHERE task = 'type_type' AND mined = {mined} AND l <> r
    AND NOT EXISTS (FROM kin WHERE a = l AND b = r)"""

_type_type = _rules("type_type", "parents")
TYPE_TYPE = (
    _type_type("names that mean the same", 2, KIN.format(steps="up = 0 AND down = 0 AND a < b")),
    _type_type("parent and child", 2, KIN.format(steps="up = 1 AND down = 0")),
    _type_type("siblings", 1, KIN.format(steps="up = 1 AND down = 1") + f" {A_FEW}"),
    _type_type("grandparent", 1, KIN.format(steps="up = 2 AND down = 0") + f" {A_FEW}"),
    _type_type("far types", 0, FAR_TYPES.format(mined=False)),
    _type_type("mined far types", 0, FAR_TYPES.format(mined=True), "mined"),
)

RULES = (*QUERY_ITEM, *QUERY_QUERY, *ITEM_ITEM, *QUERY_TYPE, *ITEM_TYPE, *TYPE_TYPE)
VIEWS = ITEM_ITEM_VIEWS | QUERY_QUERY_VIEWS | QUERY_TYPE_VIEWS
