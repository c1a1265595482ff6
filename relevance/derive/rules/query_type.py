"""query_type: the types of a query's relevant items 2, a sibling or the parent of one 1, types far from all of them 0.

`wanted` holds types of at least $type_share of the relevant items; one of fewer, or of partially relevant items, is
`touched`: neither near nor far.
"""

from relevance.derive.rules.rule import Rule

VIEWS = {
    "touched": """SELECT q, t, sum((label = 2)::INTEGER) AS relevant FROM judged JOIN item ON n = i
        WHERE label > 0 AND t IS NOT NULL GROUP BY ALL""",
    "wanted": "FROM touched WHERE relevant > 0 QUALIFY relevant / sum(relevant) OVER (PARTITION BY q) >= $type_share",
}

FAR = """FROM draw JOIN touched ON q = l LEFT JOIN kin ON a = t AND b = r
    WHERE task = 'query_type' AND mined = {mined} GROUP BY l, r HAVING count(a) = 0 AND count_if(t = r) = 0"""


def _rule(name: str, label: int, found: str, *needs: str) -> Rule:
    query = f"SELECT l, r, {label} AS label, 1 AS votes {found}"
    return Rule(name, "query_type", query, ("judged pairs", "parents", "typed items", *needs))


RULES = (
    _rule("wanted type", 2, "FROM (SELECT q AS l, t AS r FROM wanted)"),
    _rule(
        "beside a wanted type",
        1,
        """FROM (SELECT DISTINCT q AS l, b AS r FROM wanted JOIN kin ON a = t WHERE up = 1 AND down <= 1) near
        WHERE NOT EXISTS (FROM touched WHERE q = l AND t = r)
        QUALIFY row_number() OVER (PARTITION BY l ORDER BY hash(l, r, $seed), r) <= $beside""",
    ),
    _rule("far from wanted types", 0, FAR.format(mined=False)),
    _rule("mined far from wanted types", 0, FAR.format(mined=True), "mined"),
)
