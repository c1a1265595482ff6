"""type_type: steps in the tree. Names that mean the same, parent and child 2; siblings, grandparents 1; far ones 0."""

from relevance.derive.rules.rule import Rule

DRAWN = "QUALIFY row_number() OVER (PARTITION BY l ORDER BY hash(l, r, $seed), r) <= $beside"
FAR = (
    "FROM draw WHERE task = 'type_type' AND mined = {mined} AND l <> r AND NOT EXISTS (FROM kin WHERE a = l AND b = r)"
)


def _rule(name: str, label: int, found: str, *needs: str) -> Rule:
    return Rule(name, "type_type", f"SELECT l, r, {label} AS label, 1 AS votes {found}", ("parents", *needs))


def _kin(name: str, label: int, steps: str, drawn: str = "") -> Rule:
    return _rule(name, label, f"FROM (SELECT a AS l, b AS r FROM kin WHERE {steps}) {drawn}")


RULES = (
    _kin("names that mean the same", 2, "up = 0 AND down = 0 AND a < b"),
    _kin("parent and child", 2, "up = 1 AND down = 0"),
    _kin("siblings", 1, "up = 1 AND down = 1", DRAWN),
    _kin("grandparent", 1, "up = 2 AND down = 0", DRAWN),
    _rule("far types", 0, FAR.format(mined=False)),
    _rule("mined far types", 0, FAR.format(mined=True), "mined"),
)
