"""item_type: an item's own type 2, a sibling or the parent of it 1, types far from it 0."""

from relevance.derive.rules.rule import Rule

FAR = """FROM draw JOIN item ON n = l WHERE task = 'item_type' AND mined = {mined} AND t IS NOT NULL AND t <> r
    AND NOT EXISTS (FROM kin WHERE a = t AND b = r)"""


def _rule(name: str, label: int, found: str, *needs: str) -> Rule:
    query = f"SELECT l, r, {label} AS label, 1 AS votes {found}"
    return Rule(name, "item_type", query, ("parents", "typed items", *needs))


RULES = (
    _rule("own type", 2, "FROM (SELECT n AS l, t AS r FROM item WHERE t IS NOT NULL)"),
    _rule(
        "beside the own type",
        1,
        """FROM (SELECT n AS l, b AS r FROM item JOIN kin ON a = t WHERE up = 1 AND down <= 1)
        QUALIFY row_number() OVER (PARTITION BY l ORDER BY hash(l, r, $seed), r) <= $beside""",
    ),
    _rule("far from the own type", 0, FAR.format(mined=False)),
    _rule("mined far from the own type", 0, FAR.format(mined=True), "mined"),
)
