"""query_item: what people judged, as they judged it."""

from relevance.derive.rules.rule import Rule

RULES = (
    Rule(
        "judged",
        "query_item",
        "SELECT q AS l, i AS r, label, 1 AS votes FROM judged",
        ("judged pairs",),
    ),
)
