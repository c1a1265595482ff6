"""The rows and columns of one file that are asked for, under our names, as text.

columns={item_id: id}, where={locale: us}: id=17.0 locale="us" → item_id="17"; id=18.0 locale="es" → left out
"""

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.data.contract import as_text
from relevance.data.faults import Loaded, faulty_rows
from relevance.data.readers import decode_table, plain_strings
from relevance.derive.options import FileOptions
from relevance.errors import UserError

AS_IT_IS = ("category",)  # a path may be a list; every other column is text
NAMED = 30  # columns or values of a file that an error names


@dataclass(frozen=True)
class Part:
    """What one file gives; its rows are those of `loaded`, at fault or not, and those left out."""

    loaded: Loaded
    left: int  # rows that options.where leaves out
    held: str  # what stands in the columns of options.where
    names: list[str]  # of all its columns, as the file has them


def choose_columns(name: str, loaded: Loaded, setting: str, options: FileOptions, wanted: Mapping[str, bool]) -> Part:
    """The columns `wanted` (ours: whether a file must have it) of the file that a person calls `name`.

    Raises UserError for a column that is not there or is neither text nor number.
    """
    theirs = {ours: options.columns.get(ours, ours) for ours in wanted}
    names = loaded.table.column_names
    if len(loaded.table):
        must = {ours: theirs[ours] for ours in wanted if wanted[ours] or ours in options.columns}
        check_columns(name, names, must, f"read.{setting}.columns")
        check_columns(name, names, {column: column for column in options.where}, f"read.{setting}.where")
    here = {ours: column for ours, column in theirs.items() if column in names or wanted[ours]}
    table = _plain(loaded.table, [*here.values(), *options.where])
    good = ~np.isin(loaded.rows, faulty_rows(loaded.faults))  # the jsonl reader leaves some at fault in the table
    fits, held = _fitting(table, options.where, name)
    sound = pa.table({ours: table[column] for ours, column in here.items()}).filter(pa.array(good & fits))
    decoded = decode_table(replace(loaded, table=sound, rows=loaded.rows[good & fits]))
    texts = {ours: decoded.table[ours] if ours in AS_IT_IS else as_text(decoded.table, ours, name) for ours in here}
    return Part(replace(decoded, table=pa.table(texts)), int((good & ~fits).sum()), held, names)


def check_columns(name: str, present: Collection[str], asked: Mapping[str, str], setting: str) -> None:
    """UserError where columns `asked` for (ours: theirs) are not among those `present` in the file `name`."""
    lacking = {ours: theirs for ours, theirs in asked.items() if theirs not in present}
    if not lacking:
        return
    near = {theirs: difflib.get_close_matches(theirs, present, n=1) for theirs in lacking.values()}
    hints = [f"did you mean {close[0]} for {theirs}? " for theirs, close in near.items() if close]
    listed = ", ".join([*list(present)[:NAMED], *["…"] * (len(present) > NAMED)])
    ours = next(iter(lacking))
    raise UserError(
        f"{name}: has no column {', '.join(lacking.values())}; {''.join(hints)}present: {listed}; "
        f"name it with {setting}={{{ours}: <{'value' if setting.endswith('where') else 'column of the file'}>}}"
    )


def _plain(table: pa.Table, names: Collection[str]) -> pa.Table:
    """The columns `names`, null where the table has none; bytes count as text, not-a-number as missing."""
    absent = pa.nulls(len(table), pa.string())
    table = plain_strings(pa.table({name: table[name] if name in table.column_names else absent for name in names}))
    return pa.table({name: _known(table[name]) for name in table.column_names})


def _known(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_large_binary(column.type) or pa.types.is_binary_view(column.type):
        column = column.cast(pa.binary())
    if pa.types.is_binary(column.type):
        return pa.chunked_array([chunk.view(pa.string()) for chunk in column.chunks], pa.string())
    if pa.types.is_floating(column.type):
        return pc.if_else(pc.is_nan(column), None, column)
    return column


def _fitting(table: pa.Table, where: Mapping[str, str], name: str) -> tuple[np.ndarray, str]:
    """[N], whether a row has the values of `where`; and some that are there."""
    fits, held = np.ones(len(table), bool), []
    for column, value in where.items():
        texts = as_text(table, column, name)
        fits &= pc.fill_null(pc.equal(texts, value), False).to_numpy()
        some = pc.unique(pc.drop_null(texts)).cast(pa.binary())[:NAMED].to_pylist()
        held.append(f"{column} holds {', '.join(one.decode(errors='replace') for one in some) or 'nothing'}")
    return fits, "; ".join(held)
