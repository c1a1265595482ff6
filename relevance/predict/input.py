"""A file of pairs to score → chunks of the rows that can be scored and those that cannot; and what it holds in all.

task="query_item" left="usb c cable" right="Volt USB-C cable 2 m" label=2 or null where the row has none, then columns
of the user's own, carried along; nothing is asked of splits, ids and copies

pairs.csv → Scan(schema={task, left, right, label, note}, tasks=[44,998, 0, ...], labelled=1,200, faults=(...))

jsonl lines further down may bring other columns and types: chunks of {left: string, price: int64} and of
{left: string, note: bool, price: double} are written under {left: string, price: double, note: bool}
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.data.contract import LABEL_REMEDY, Rule, as_text, blank, check_present, labels, pair_rules, row_faults
from relevance.data.faults import LISTED, Fault, Loaded, faulty_rows, merge_faults
from relevance.data.readers import stream_table
from relevance.data.writers import json_values
from relevance.metrics import task_codes
from relevance.tasks import TASK_NAMES

NEEDED = ("task", "left", "right")
LABEL = "label"


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows of a file."""

    table: pa.Table  # rows that can be scored: columns as in the file; task, left, right are text, label is int8
    faults: tuple[Fault, ...]
    loaded: Loaded  # every row that could be read, as it stands in the file


def read_chunks(path: Path, columns: dict[str, str], rows: int) -> Iterator[Chunk]:
    """The file at `path` in chunks of at most `rows` rows, in order, `columns` (ours: theirs) renamed.

    Raises UserError for a file that cannot be read, and for one without task, left or right.
    """
    columns_seen = False
    for loaded in stream_table(path, columns, rows):
        names = loaded.table.column_names
        if names and not columns_seen:
            check_present(names, NEEDED, str(path), "columns")
        columns_seen = columns_seen or bool(names)  # jsonl lines that lack one later on are rows at fault
        yield _checked(loaded, str(path))


def _checked(loaded: Loaded, name: str) -> Chunk:
    table = with_columns(loaded.table, NEEDED, len(loaded.rows))
    ours = [column for column in (*NEEDED, LABEL) if column in table.column_names]
    texts = pa.table({column: as_text(table, column, name) for column in ours})
    faults = tuple(row_faults(texts, _rules(texts), loaded.rows))
    typed = {column: labels(texts[column]) if column == LABEL else texts[column] for column in ours}
    table = pa.table({column: typed.get(column, table[column]) for column in table.column_names})
    if faults:
        table = table.filter(pa.array(~np.isin(loaded.rows, faulty_rows(faults))))
    return Chunk(table, (*loaded.faults, *faults), loaded)


def _rules(texts: pa.Table) -> Iterator[Rule]:
    yield from pair_rules(texts)
    if LABEL in texts.column_names:
        bad = pc.and_(pc.is_null(labels(texts[LABEL])), pc.invert(blank(texts[LABEL])))
        yield LABEL, bad, "label is not 0, 1 or 2", f"{LABEL_REMEDY}, or leave it empty"


@dataclass(frozen=True)
class Scan:
    """A file as a whole; 8 bytes for each row at fault are all that grows with it."""

    schema: pa.Schema  # of the rows that can be scored
    tasks: np.ndarray  # [6] rows of each task that can be scored
    labelled: int  # of those
    faults: tuple[Fault, ...]  # of each rule every row, and the values of the first LISTED
    counted: str  # how rows are numbered

    @property
    def rows(self) -> int:
        return int(self.tasks.sum())


def scan_file(chunks: Iterable[Chunk]) -> Scan:
    """What the chunks of a file hold in all; raises what reading them raises."""
    scan = Scan(pa.schema([]), np.zeros(len(TASK_NAMES), np.int64), 0, (), "")
    for chunk in chunks:
        scan = replace(scan, faults=_merged([*scan.faults, *chunk.faults]), counted=chunk.loaded.counted)
        if len(chunk.table):  # the columns of other chunks may be made up of nulls
            scan = _added(scan, chunk.table)
    return scan


def _added(scan: Scan, table: pa.Table) -> Scan:
    tasks = np.bincount(task_codes(table["task"]), minlength=len(TASK_NAMES))
    labelled = len(table) - table[LABEL].null_count if LABEL in table.column_names else 0
    schema = _union(scan.schema, table.schema)
    return replace(scan, schema=schema, tasks=scan.tasks + tasks, labelled=scan.labelled + labelled)


def _merged(faults: Sequence[Fault]) -> tuple[Fault, ...]:
    return tuple(replace(fault, values=fault.values[:LISTED]) for fault in merge_faults(faults)) if faults else ()


def _union(first: pa.Schema, second: pa.Schema) -> pa.Schema:
    """Every column of both, in the order they were met; types that nothing else can join are joined as text."""
    if first.equals(second):
        return first
    names = [*first.names, *(name for name in second.names if name not in first.names)]
    return pa.schema([_field(name, first, second) for name in names])


def _field(name: str, first: pa.Schema, second: pa.Schema) -> pa.Field:
    parts = [pa.schema([schema.field(name)]) for schema in (first, second) if name in schema.names]
    try:
        return pa.field(name, pa.unify_schemas(parts, promote_options="permissive").field(name).type)
    except pa.ArrowTypeError:
        return pa.field(name, pa.string())


def fitted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """`table` under a schema that is the union of its own and others."""
    if table.schema.equals(schema):
        return table
    whole = with_columns(table, schema.names, len(table))
    return pa.table({field.name: _column(whole[field.name], field.type) for field in schema}, schema)


def _column(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_string(kind) and not pa.types.is_string(column.type):
        return json_values(column)
    return column.cast(kind)


def with_columns(table: pa.Table, names: Sequence[str], rows: int) -> pa.Table:
    """`table` of so many rows with a column of nulls for each of `names` it lacks."""
    absent = [name for name in names if name not in table.column_names]
    if not absent:
        return table
    return pa.table({name: table[name] for name in table.column_names} | {name: pa.nulls(rows) for name in absent})
