"""What a taught cell learns from beside labels: what its teachers answer, and pairs that have no label.

data/3f55934ea4b3c01d/scored-1b5c917cff1df14c.parquet   a teacher's probabilities of the training rows beside it
data/90c1aa12d8f0e7b4/rows.parquet                      pairs without labels, with task, left and right alone
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance import predictions
from relevance.cell_id import QUARANTINE, data_folder
from relevance.config import Config, DataConfig, OnBadRow
from relevance.data.contract import as_text, blank, check_present, pair_rules, row_faults, with_labels
from relevance.data.entities import KINDS, LEFT_KIND
from relevance.data.faults import Loaded
from relevance.data.readers import read_table
from relevance.data.stored import ROWS, read_columns
from relevance.data.table import Rows, store_rows, write_quarantine
from relevance.data.text_files import Form
from relevance.errors import UserError
from relevance.metrics import task_codes
from relevance.vote import BY_MEAN

PAIR = ["task", "left", "right"]
LABELLED = "empty the label, or move the row to data.path, which labels are read from"


def unlabelled_path(config: Config) -> Path | None:
    """The table of pairs without labels of a cell, None where it has none; its setting is the name of its folder."""
    digest = config.train.unlabelled
    return data_folder(Path(config.outputs), digest) / ROWS if digest else None


def scored_name(teacher: str) -> str:
    """The name, without .parquet, of what a teacher answers to the training rows of the table beside it."""
    return f"scored-{teacher}"


def soft_targets(rows: Path, teachers: list[str], count: int) -> np.ndarray:
    """The mean of what the teachers answer to each row of a table of `count` [count, 3] float32.

    It is 0 throughout where not all of them answer. Raises UserError where an answer is absent or damaged.
    """
    answers = np.zeros((len(teachers), count, 3), np.float32)
    for teacher, answer in zip(teachers, answers, strict=True):
        table = predictions.checked(rows.with_name(f"{scored_name(teacher)}.parquet"))
        answer[table["row"].to_numpy()] = predictions.probabilities(table)
    every = np.all(answers.any(axis=2), axis=0, keepdims=True)
    return BY_MEAN.count(answers)[0] * every.T


def prepare_unlabelled(path: str, data: DataConfig, rows: Path, outputs: Path) -> Rows:
    """The pairs of a file without labels, checked and on disk; laid out as `data` says of its own file.

    Left out, and counted in the notes: pairs that stand in the table at `rows` or twice, and those whose left text is
    that of a validation or test row. Raises UserError for bad rows that are not set aside, and where no pair is left.
    """
    read, loaded = _loaded(path, data)
    loaded.check(path, data.on_bad_row is OnBadRow.quarantine)
    tested, known = _met(loaded.table, read_columns(rows, ["split", *PAIR]))
    table = loaded.table.filter(pa.array(~tested & ~known))
    counts = (
        f"{tested.sum():,} whose left text validation or test rows have, {(known & ~tested).sum():,} that stand there"
    )
    note = f"unlabelled {path}: {len(table):,} pairs; left out: {counts} or twice"
    if not len(table):
        raise UserError(f"train.{note}; none is left: bring pairs that the labelled file does not have")
    completed = table.add_column(0, "row", pa.array(np.arange(len(table))))
    digest, place = store_rows(table, completed, outputs)
    aside = write_quarantine(place.with_name(QUARANTINE), path, read, loaded)
    return Rows(digest, place, completed, loaded.rows, (note, *aside))


def _loaded(path: str, data: DataConfig) -> tuple[Loaded, Loaded]:
    """The rows of the file as texts, and its pairs alone; a row with a label is among their faults."""
    if not Path(path).is_file():
        raise UserError(f"train.unlabelled={path}: no such file; give a file of pairs with task, left and right")
    columns = {ours: theirs for ours, theirs in data.columns.items() if ours in PAIR}
    loaded = read_table(Path(path), columns, Form.of(data, "data."))
    loaded = with_labels(loaded, data.task, {}, path, "data.")
    names = loaded.table.column_names
    check_present(names, PAIR, path, "data.columns")
    texts = pa.table({name: as_text(loaded.table, name, path) for name in [*PAIR, "label"] if name in names})
    rules = [*pair_rules(texts)]
    if "label" in names:
        rules.append(("label", pc.invert(blank(texts["label"])), "has a label", LABELLED))
    read = replace(loaded, table=texts)
    pairs = replace(read, table=texts.select(PAIR))
    return read, pairs.without(list(row_faults(texts, rules, read.rows)))


def _met(table: pa.Table, labelled: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Of each pair [N] whether a held-out row has its left text, and whether it stands in `labelled` or before it."""
    tested = labelled.filter(pc.not_equal(labelled["split"], "train"))
    lefts, pairs = zip(_keys(table), _keys(tested), _keys(labelled), strict=True)
    first = np.zeros(len(table), bool)
    first[np.unique(pairs[0].to_numpy(zero_copy_only=False), return_index=True)[1]] = True
    known = pc.is_in(pairs[0], pairs[2]).to_numpy(zero_copy_only=False) | ~first
    return pc.is_in(lefts[0], lefts[1]).to_numpy(zero_copy_only=False), known


def _keys(table: pa.Table) -> tuple[pa.Array, pa.Array]:
    """Of each row its left entity, and its pair [N]."""
    kinds = np.array(KINDS)[LEFT_KIND[task_codes(table["task"])]]
    columns = [table[name].cast(pa.string()).combine_chunks() for name in PAIR]
    left = pc.binary_join_element_wise(pa.array(kinds, pa.string()), columns[1], "\x1f")
    return left, pc.binary_join_element_wise(*columns, "\x1f")
