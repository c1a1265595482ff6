"""What people said of query and item → each with the query's text, a known item and a label.

query="usb c cable" item_id="1229111" label="Exact" with grades={Exact: 2} → key="usb c cable" item_id label=2
"""

import difflib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.data.pairs import as_text, blank, present
from relevance.derive import files
from relevance.derive.items import too_long
from relevance.derive.normal import folded, spaced
from relevance.derive.options import DeriveOptions
from relevance.derive.quarantine import PLACE, Quarantine
from relevance.errors import UserError

KIND = "judgements"
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("query", "query_id", "key", "item_id")),
        ("label", pa.int8()),
        *((name, pa.int64()) for name in PLACE),
    ]
)
GRADES = {0: 0, 1: 1, 2: 2}  # where none are given


def read(options: DeriveOptions, known: pa.ChunkedArray, quarantine: Quarantine) -> pa.Table:
    """The judgements (SCHEMA) of the items `known`; without a file of them, none.

    `key` is the query's text without differences of case. Raises UserError for a file or a column that is not there,
    and where no grade of the file has a label; rows at fault go to `quarantine`.
    """
    if options.judgements is None:
        return SCHEMA.empty_table()
    wanted = ("query", "query_id", "item_id", "label")
    raw = quarantine.take(KIND, files.read(options.judgements, KIND, options.read.judgements, wanted))
    name = options.judgements
    present(raw.column_names, ["query_id" if options.queries else "query", "item_id", "label"], name, SETTING)
    texts = {column: spaced(as_text(raw, column, name)) for column in wanted if column in raw.column_names}
    table = pa.table({column: texts.get(column, pa.nulls(len(raw), pa.string())) for column in wanted})
    for column in PLACE:
        table = table.append_column(column, raw[column])
    if options.queries:
        table = _with_queries(table, options, quarantine)
    return _sound(table, options, known, quarantine)


SETTING = "read.judgements.columns"


def _with_queries(table: pa.Table, options: DeriveOptions, quarantine: Quarantine) -> pa.Table:
    """The table with the texts of its queries, which stand in a file of their own."""
    raw = quarantine.take("queries", files.read(options.queries, "queries", options.read.queries, WORDS))
    present(raw.column_names, WORDS, str(options.queries), "read.queries.columns")
    ids, texts = (spaced(as_text(raw, column, options.queries)) for column in WORDS)
    codes = ids.combine_chunks().dictionary_encode("encode").indices.to_numpy()
    _, first, place = np.unique(codes, return_index=True, return_inverse=True)
    again = first[place] != np.arange(len(place))
    quarantine.note("queries", raw, again, ("query_id is given twice", "keep one of the rows", "query_id"))
    at = pc.index_in(table["query_id"], ids.take(pa.array(first)).combine_chunks())
    told = ("query_id is not in the queries", f"add it to {options.queries} or remove the row", "query_id")
    table = quarantine.without(KIND, table, pc.is_null(at).to_numpy(), told)
    at = pc.drop_null(at)
    return table.set_column(0, "query", texts.take(pa.array(first)).take(at))


WORDS = ("query_id", "query")


def _sound(table: pa.Table, options: DeriveOptions, known: pa.ChunkedArray, quarantine: Quarantine) -> pa.Table:
    label = _labels(table["label"], options)
    allowed = ", ".join(map(str, options.grades or GRADES))
    unmapped = (f"grade is none of {allowed}", "mend it, or give it a label with grades={grade: 0|1|2}", "label")
    table = quarantine.without(KIND, table, pc.is_null(label).to_numpy(), unmapped)
    table = table.set_column(3, "label", pc.drop_null(label).cast(pa.int8()))
    ids = known.combine_chunks()
    strange = ("item_id is not in the items", f"add the item to {options.items} or remove the row", "item_id")
    for bad, told in (
        (lambda t: blank(t["query"]), ("query is empty", "give the query's text or remove the row", "item_id")),
        (
            lambda t: pc.greater(pc.utf8_length(t["query"]), options.read.longest),
            too_long(options.read.longest, "query"),
        ),
        (lambda t: pc.invert(pc.is_in(t["item_id"], ids)), strange),
    ):
        table = quarantine.without(KIND, table, bad(table).to_numpy(), told)
    return table.append_column("key", folded(table["query"])).select(SCHEMA.names).cast(SCHEMA)


def _labels(column: pa.ChunkedArray, options: DeriveOptions) -> pa.ChunkedArray:
    """The label [N] of each grade, null where the map knows none; UserError where it knows none at all."""
    grades = {str(grade): label for grade, label in (options.grades or GRADES).items()}
    at = pc.index_in(column, pa.array(list(grades)))
    if len(column) and at.null_count == len(column):
        found = [str(value) for value in pc.unique(column).to_pylist()[:10]]
        near = difflib.get_close_matches(found[0], list(grades), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UserError(
            f"judgements={options.judgements}: none of its grades ({', '.join(found)}) is in grades={grades}{hint} "
            "Give each a label: grades={Exact: 2, Partial: 1, Irrelevant: 0}"
        )
    return pa.chunked_array([pa.array(list(grades.values()), pa.int8()).take(chunk) for chunk in at.chunks], pa.int8())
