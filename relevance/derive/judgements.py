"""Judgements of query and item → each with the query's text, a known item and a label.

query="usb c cable" item_id="1229111" label="Exact" with grades={Exact: 2} → key="usb c cable" item_id label=2
"""

import pyarrow as pa
import pyarrow.compute as pc

from relevance.data.contract import blank, graded
from relevance.derive.commands import DeriveOptions
from relevance.derive.files import Part, read_inputs
from relevance.derive.quarantine import PLACE, Quarantine, too_long
from relevance.derive.texts import absent, as_ids, folded, near_id, repeats, spaced
from relevance.errors import UserError, did_you_mean

KIND = "judgements"
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("query", "query_id", "key", "item_id")),
        ("label", pa.int8()),
        *((name, pa.int64()) for name in PLACE),
    ]
)
DEFAULT_GRADES = {"0": 0, "1": 1, "2": 2}  # where none are given
JUDGEMENT_NAMES = ("query", "query_id", "item_id", "label")
QUERY_NAMES = ("query_id", "query")
IDS = ("query_id", "item_id")
NO_ID = ("query_id is empty", "give the query its id or remove the row", "query")
NO_TEXT = ("query is empty", "give the query's text or remove the row", "query_id")
OTHER_TEXT = ("query differs from the text of its query_id in the queries", "keep the text that is right", "query")
TWO_TEXTS = ("query_id is given twice, with another text", "keep one of the rows", "query_id")
TWO_QUERIES = ("query_id is that of another query", "give each query an id of its own", "query_id")


def read_judgements(options: DeriveOptions, known: pa.ChunkedArray, quarantine: Quarantine) -> pa.Table:
    """The judgements (SCHEMA) of the items `known`; without a file of them, none. `key` is the query's folded text.

    Raises UserError for a file or a column that is not there, and where no grade of the file has a label.
    """
    if options.judgements is None:
        return SCHEMA.empty_table()
    by_id = bool(options.queries)
    wanted = {"query": not by_id, "query_id": by_id, "item_id": True, "label": True}
    raw = quarantine.take(KIND, _files(options, wanted))
    texts = {name: _tidy(name, raw[name]) for name in wanted if name in raw.column_names}
    columns = {name: texts.get(name, pa.nulls(len(raw), pa.string())) for name in wanted}
    table = pa.table(columns | {name: raw[name] for name in PLACE})
    if options.queries:
        table = _with_queries(table, options, quarantine)
    return _of_one_text(_sound(table, options, known, quarantine), quarantine)


def _files(options: DeriveOptions, wanted: dict[str, bool]) -> dict[str, Part]:
    try:
        return read_inputs(options, KIND, wanted)
    except UserError as error:
        if options.queries is None and "has no column query;" in str(error):
            raise UserError(f"{error}, or give queries=FILE where the judgements name queries by query_id") from error
        raise


def _tidy(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    return as_ids(column) if name in IDS else spaced(column)


def _with_queries(table: pa.Table, options: DeriveOptions, quarantine: Quarantine) -> pa.Table:
    """The table with the texts of its queries, which stand in a file of their own."""
    raw = quarantine.take("queries", read_inputs(options, "queries", dict.fromkeys(QUERY_NAMES, True)))
    queries = pa.table({name: _tidy(name, raw[name]) for name in QUERY_NAMES} | {name: raw[name] for name in PLACE})
    rules = (lambda t: blank(t["query_id"]), NO_ID), (lambda t: blank(t["query"]), NO_TEXT)
    queries = quarantine.without("queries", queries, *rules)
    queries = quarantine.first_rows("queries", queries, "query_id", (("query",), TWO_TEXTS))
    at = pc.index_in(table["query_id"], queries["query_id"].combine_chunks())
    remedy = _absent(table, "query_id", queries["query_id"], options.queries)
    fault = ("query_id is not in the queries", remedy, "query_id")
    table = quarantine.without(KIND, table, (lambda t: pc.is_null(at), fault))
    table = table.append_column("text", queries["query"].take(pc.drop_null(at)))
    table = quarantine.without(KIND, table, (_differs_from_text, OTHER_TEXT))
    return table.set_column(0, "query", table["text"]).drop_columns(["text"])


def _differs_from_text(table: pa.Table) -> pa.ChunkedArray:
    """Whether a judgement names its query otherwise than the queries, by text or by id, do."""
    named = pc.and_(pc.invert(blank(table["query"])), pc.not_equal(table["query"], table["query_id"]))
    return pc.fill_null(pc.and_(named, pc.not_equal(folded(table["query"]), folded(table["text"]))), False)


def _sound(table: pa.Table, options: DeriveOptions, known: pa.ChunkedArray, quarantine: Quarantine) -> pa.Table:
    label = _labels(table["label"], options)
    allowed = ", ".join(options.grades or DEFAULT_GRADES)
    unmapped = (f"grade is none of {allowed}", "mend it, or give it a label with grades={grade: 0|1|2}", "label")
    table = quarantine.without(KIND, table, (lambda t: pc.is_null(label), unmapped))
    table = table.set_column(table.column_names.index("label"), "label", pc.drop_null(label))
    ids, longest = known.combine_chunks(), options.read.longest
    remedy = _absent(table, "item_id", known, options.items)
    table = quarantine.without(
        KIND,
        table,
        (lambda t: blank(t["query"]), (*NO_TEXT[:2], "item_id")),
        (lambda t: pc.greater(pc.utf8_length(t["query"]), longest), too_long(longest, "query")),
        (lambda t: absent(t["item_id"]), ("item_id is empty", "give the item's id or remove the row", "query")),
        (lambda t: pc.invert(pc.is_in(t["item_id"], ids)), ("item_id is not in the items", remedy, "item_id")),
    )
    return table.append_column("key", folded(table["query"]))


def _absent(table: pa.Table, name: str, known: pa.ChunkedArray, file: str | None) -> str:
    """What to do about ids that are not `known`, from `file`."""
    wrong = table[name].filter(pc.invert(pc.is_in(table[name], known.combine_chunks())))
    hint = near_id(wrong, known, str(file)) if len(wrong) else ""
    return f"{hint}add it to {file}, mend it where it is at fault there, or remove the row"


def _of_one_text(table: pa.Table, quarantine: Quarantine) -> pa.Table:
    """The table (SCHEMA) without rows whose query_id is that of another text in an earlier row."""
    ids = pc.if_else(blank(table["query_id"]), None, table["query_id"])
    table = table.set_column(table.column_names.index("query_id"), "query_id", ids)
    if table["query_id"].null_count < len(table):
        _, other = repeats(table, "query_id", ("key",))
        other &= pc.is_valid(table["query_id"]).to_numpy()
        table = quarantine.without(KIND, table, (lambda t: other, TWO_QUERIES))
    return table.select(SCHEMA.names).cast(SCHEMA)


def _labels(column: pa.ChunkedArray, options: DeriveOptions) -> pa.ChunkedArray:
    """The label [N] of each grade, null where the map knows none; UserError where it knows none at all."""
    grades = options.grades or DEFAULT_GRADES
    label = graded(column, grades)
    if len(column) and label.null_count == len(column):
        seen = [str(value) if value is not None else "null" for value in pc.unique(column).to_pylist()[:10]]
        labels = ", ".join(f"{grade}: {value}" for grade, value in grades.items())
        why = f"none of its grades ({', '.join(seen)}) is in grades={{{labels}}}"
        remedy = f"{did_you_mean(seen[0], grades)}give each a label: grades={{Exact: 2, Partial: 1, Irrelevant: 0}}"
        raise UserError(f"judgements={options.judgements}: {why}; {remedy}")
    return label.cast(pa.int8())
