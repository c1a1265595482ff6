"""Inputs → the tables that rules are written over.

query(n, id, text, x)  item(n, id, text, x, t)  type(n, id, text, x)    n numbers them, x their folded texts; t a type
judged(q, i, label)    each judged pair once, its label settled
kin(a, b, up, down)    types near one another: up steps from a and down again to b; 0 and 0 where names mean the same
"""

from dataclasses import dataclass

import pyarrow as pa

from relevance.audit.counts import agreement, count_couples, successive
from relevance.data.database import Database
from relevance.derive.catalogue import Types, ancestors, assigned, read_items, read_taxonomy
from relevance.derive.commands import DeriveOptions, RuleOptions, Settle
from relevance.derive.files import check_inputs
from relevance.derive.judgements import KIND, read_judgements
from relevance.derive.quarantine import Quarantine
from relevance.derive.texts import folded, type_name

NUMBERS = """(row_number() OVER (ORDER BY id, folded) - 1)::INTEGER AS n,
    (dense_rank() OVER (ORDER BY folded) - 1)::INTEGER AS x"""
LABEL = {  # of the rows of one pair, which hold a label and its votes each
    Settle.majority: "arg_max(label, votes * 3 + label)",
    Settle.highest: "max(label)",
    Settle.lowest: "min(label)",
    Settle.drop: "min(label)",
}


@dataclass(frozen=True)
class World:
    counts: dict[str, int]
    agreement: dict[str, float | int | None]  # of judgements of the same pair: see audit.counts.agreement


def load_world(options: DeriveOptions, quarantine: Quarantine, database: Database) -> World:
    """Read the inputs into `database`. Raises UserError for what no quarantine mends."""
    check_inputs(options)
    catalogue = read_items(options, quarantine)
    types = read_taxonomy(options, catalogue, quarantine)
    table, joined = assigned(catalogue.table, types, quarantine)
    joined += catalogue.joined + types.writings.joined
    judged = read_judgements(options, table["item_id"], quarantine)
    database.put("arrived", table.append_column("folded", folded(table["text"])))
    database.make("item", f"SELECT {NUMBERS}, id, text, folded, t FROM (SELECT item_id AS id, * FROM arrived)")
    _put_types(types, options.rules, database)
    judgements = _put_judged(judged, options.rules.settle, database)
    quarantine.alike(KIND, judgements.pop("again"))
    typed = database.rows("SELECT count(t) FROM item")[0][0]
    counts = {
        "judged pairs": database.count("judged"),
        **judgements,
        "queries": database.count("query"),
        "items": database.count("item"),
        "typed items": typed,
        "items without a type": database.count("item") - typed,
        "types": database.count("type"),
        "types known as a parent alone": types.added,
        "parents": int((types.parents >= 0).sum()),
    } | ({"writings of types that another one stands for": joined} if joined else {})
    _, couples = count_couples(database, successive("opinion", "q, i", "place"), "q, i")
    return World(counts, agreement(couples))


def _put_types(types: Types, rules: RuleOptions, database: Database) -> None:
    """Sorted by id as they are, their places are the numbers."""
    table = types.table.append_column("folded", folded(types.table["name"]))
    database.put("arrived", table.append_column("named", type_name(table["name"])))
    arrived = "(SELECT type AS id, * FROM arrived)"
    database.make("type", f"SELECT {NUMBERS}, id, name AS text, folded, named FROM {arrived}")
    database.put("ancestor", ancestors(types.parents, rules.far - 1))
    children = "SELECT ancestor FROM ancestor WHERE steps = 1 GROUP BY ALL"
    database.make("broad", f"{children} HAVING count(*) > $broad", {"broad": rules.broad})
    database.make(
        "kin",
        """SELECT a.node::INTEGER AS a, b.node::INTEGER AS b, min(a.steps) AS up, min(b.steps) AS down
        FROM ancestor a JOIN ancestor b USING (ancestor)
        WHERE a.node <> b.node AND a.steps + b.steps < $far
            AND (a.steps = 0 OR b.steps = 0 OR ancestor NOT IN (FROM broad))
        GROUP BY ALL
        UNION ALL SELECT a.n, b.n, 0, 0 FROM type a JOIN type b USING (named) WHERE a.n <> b.n""",
        {"far": rules.far},
    )


def _put_judged(judged: pa.Table, settle: Settle, database: Database) -> dict[str, int]:
    database.put("judgement", judged)
    first = "file * (1::BIGINT << 40) + row"
    database.make(
        "query",
        f"""SELECT {NUMBERS}, id, text, folded FROM (
            SELECT key AS folded, arg_min(query, {first}) AS text, coalesce(arg_min(query_id, {first}), text) AS id
            FROM judgement GROUP BY key)""",
    )
    database.make(
        "opinion",
        f"""SELECT q.n AS q, i.n AS i, label, {first} AS place FROM judgement
        JOIN query q ON q.folded = judgement.key JOIN item i ON i.id = judgement.item_id""",
    )
    database.make("votes", "SELECT q, i, label, count(*) AS votes FROM opinion GROUP BY ALL")
    database.make("judged", f"SELECT q, i, {LABEL[settle]} AS label FROM votes GROUP BY q, i {agreeing(settle)}")
    pairs, several = database.rows("SELECT count(*), coalesce(sum((labels > 1)::INTEGER), 0) FROM "
                                   "(SELECT count(*) AS labels FROM votes GROUP BY q, i)")[0]  # fmt: skip
    ids = "SELECT key FROM judgement GROUP BY key HAVING min(query_id) <> max(query_id)"
    return {
        "again": len(judged) - pairs,
        "judged differently": several,
        "of them left out by rules.settle": pairs - database.count("judged"),
        "queries with several ids": database.rows(f"SELECT count(*) FROM ({ids})")[0][0],
    }


def agreeing(settle: Settle) -> str:
    """What leaves out groups whose rows differ in their label, where that is how they are settled."""
    return "HAVING count(DISTINCT label) = 1" if settle is Settle.drop else ""
