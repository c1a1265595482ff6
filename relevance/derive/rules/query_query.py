"""query_query: overlap of the relevant items. A large share 2, some 1; none, and nothing else in common, 0.

The share is of items judged for both queries: those relevant to both over those relevant to either (Jaccard 1912). An
item that was judged for one of them alone says nothing: pools of judgements differ where queries do not. `meeting`
holds at most $judgements queries of an item and a label, so that what fits everything does not pair everything.
"""

from relevance.derive.rules.rule import Rule

VIEWS = {
    "meeting": """SELECT * FROM judged
        QUALIFY row_number() OVER (PARTITION BY i, label ORDER BY hash(i, q, $seed), q) <= $judgements""",
    "met": """SELECT a.q AS l, b.q AS r, count_if(a.label = 2 AND b.label = 2) AS common,
            count_if(a.label = 2 OR b.label = 2) AS either, count_if(a.label > 0 AND b.label > 0) AS fitting,
            count_if(abs(a.label - b.label) = 2) AS opposed
        FROM meeting a JOIN meeting b USING (i) WHERE a.q < b.q GROUP BY ALL""",
}

MUCH = "common >= $shared AND common >= $overlap * either"
# joined from the draws outwards: every query with every type near one of its own would be too many
UNRELATED = """FROM draw JOIN touched a ON a.q = l JOIN touched b ON b.q = r
    LEFT JOIN kin ON kin.a = a.t AND kin.b = b.t
    WHERE task = 'query_query' AND mined = {mined} AND l <> r
    AND NOT EXISTS (FROM met WHERE met.l = least(draw.l, draw.r) AND met.r = greatest(draw.l, draw.r) AND fitting > 0)
    GROUP BY l, r HAVING count(kin.a) = 0 AND count_if(a.t = b.t) = 0"""


def _rule(name: str, label: int, found: str, *needs: str) -> Rule:
    return Rule(name, "query_query", f"SELECT l, r, {label} AS label, 1 AS votes {found}", ("judged pairs", *needs))


RULES = (
    _rule("same items", 2, f"FROM met WHERE {MUCH}"),
    _rule("some items", 1, f"FROM met WHERE common > 0 AND NOT ({MUCH})"),
    _rule("rejected items", 0, "FROM met WHERE fitting = 0 AND opposed >= $rejected"),
    _rule("unrelated types", 0, UNRELATED.format(mined=False), "parents", "typed items"),
    _rule("mined unrelated types", 0, UNRELATED.format(mined=True), "parents", "typed items", "mined"),
)
