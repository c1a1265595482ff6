"""A file of pairs to score → chunks of the rows that can be scored, and those that cannot.

task="query_item" left="usb c cable" right="Volt USB-C cable 2 m" label=2 or null where the row has none, then columns
of the user's own, carried along; nothing is asked of splits, ids and copies
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.data.faults import Fault, faulty
from relevance.data.loaded import Loaded
from relevance.data.pairs import LABEL_REMEDY, Rule, as_text, blank, labels, pair_rules, present, row_faults
from relevance.data.schema import having
from relevance.data.stream import stream

NEEDED = ("task", "left", "right")
LABEL = "label"


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows of a file."""

    table: pa.Table  # rows that can be scored: columns as in the file; task, left, right are text, label is int8
    faults: tuple[Fault, ...]
    loaded: Loaded  # every row that could be read, as it stands in the file


def chunks(path: Path, columns: dict[str, str], rows: int) -> Iterator[Chunk]:
    """The file at `path` in chunks of at most `rows` rows, in order, `columns` (ours: theirs) renamed.

    Raises UserError for a file that cannot be read, and for one without task, left or right.
    """
    met = False
    for loaded in stream(path, columns, rows):
        names = loaded.table.column_names
        if names and not met:
            present(names, NEEDED, str(path), "columns")
        met = met or bool(names)  # lines of jsonl may lack a column that others have: those rows are at fault
        yield _checked(loaded, str(path))


def _checked(loaded: Loaded, name: str) -> Chunk:
    table = having(loaded.table, NEEDED, len(loaded.rows))
    ours = [column for column in (*NEEDED, LABEL) if column in table.column_names]
    texts = pa.table({column: as_text(table, column, name) for column in ours})
    faults = tuple(row_faults(texts, _rules(texts), loaded.rows))
    typed = {column: labels(texts[column]) if column == LABEL else texts[column] for column in ours}
    table = pa.table({column: typed.get(column, table[column]) for column in table.column_names})
    if faults:
        table = table.filter(pa.array(~np.isin(loaded.rows, faulty(faults))))
    return Chunk(table, (*loaded.faults, *faults), loaded)


def _rules(texts: pa.Table) -> Iterator[Rule]:
    yield from pair_rules(texts)
    if LABEL in texts.column_names:
        bad = pc.and_(pc.is_null(labels(texts[LABEL])), pc.invert(blank(texts[LABEL])))
        yield LABEL, bad, "label is not 0, 1 or 2", f"{LABEL_REMEDY}, or leave it empty"
