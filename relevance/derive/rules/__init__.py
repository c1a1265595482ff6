"""The rules of derivation as data, in the order of their tasks; VIEWS are tables that they share, made in order."""

from relevance.derive.rules import item_item, item_type, query_item, query_query, query_type, type_type

RULES = (
    *query_item.RULES,
    *query_query.RULES,
    *item_item.RULES,
    *query_type.RULES,
    *item_type.RULES,
    *type_type.RULES,
)
VIEWS = item_item.VIEWS | query_query.VIEWS | query_type.VIEWS
