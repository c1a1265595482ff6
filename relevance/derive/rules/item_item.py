"""item_item: co-relevance. Two items relevant to one query 2, one of them partially 1, one of them not 0.

A vote is a query; `paired` holds at most $judgements items of a query and a label.
"""

from relevance.derive.rules.rule import Rule

VIEWS = {
    "paired": """SELECT * FROM judged
        QUALIFY row_number() OVER (PARTITION BY q, label ORDER BY hash(q, i, $seed), i) <= $judgements""",
}

MINED = """SELECT l, r, 0 AS label, 1 AS votes FROM draw JOIN item a ON a.n = l JOIN item b ON b.n = r
    WHERE task = 'item_item' AND mined AND l <> r AND a.t IS NOT NULL AND b.t IS NOT NULL AND a.t <> b.t
    AND NOT EXISTS (FROM kin WHERE kin.a = a.t AND kin.b = b.t)"""


def _together(name: str, label: int, other: str) -> Rule:
    query = f"""SELECT least(a.i, b.i) AS l, greatest(a.i, b.i) AS r, {label} AS label, count(*) AS votes
        FROM paired a JOIN paired b USING (q) WHERE a.label = 2 AND {other} GROUP BY ALL"""
    return Rule(name, "item_item", query, ("judged pairs",))


RULES = (
    _together("both relevant", 2, "b.label = 2 AND a.i < b.i"),
    _together("relevant and partial", 1, "b.label = 1"),
    _together("relevant and irrelevant", 0, "b.label = 0"),
    Rule("mined of far types", "item_item", MINED, ("parents", "typed items", "mined")),
)
