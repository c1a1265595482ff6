"""A source of pairs → the one table every later step reads, written once per digest.

row=0 split="train" task="query_item" left="usb c cable" right="Volt USB-C cable 2 m" left_id="q17" right_id="i4"
source="human" label=2 left_seen=true right_seen=true, then label_clean (generated data) and the user's own columns
"""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from relevance import seal
from relevance.atomic_io import atomic_file
from relevance.cell_id import QUARANTINE, data_folder
from relevance.cli import echo
from relevance.config import DataConfig, OnBadRow, Source
from relevance.data.contract import check_names, check_pairs, utf8_bytes, with_labels
from relevance.data.entities import Keys, combined, differs, repeated, seen, side_entities, split_by_entity
from relevance.data.faults import Loaded, list_faults, quarantine_note
from relevance.data.readers import read_table
from relevance.data.stored import OURS, ROWS, rows_fault, table_digest
from relevance.data.text_files import Form
from relevance.errors import UserError
from relevance.tasks import SPLITS, TASK_NAMES, single_labels

COLUMN_ORDER = ("split", "task", "left", "right", "left_id", "right_id", "source", "label", "weight")
SPLIT_REMEDY = f"name all of {', '.join(SPLITS)} in the split column, or drop it: data.test_share divides the rows"
SHARES_REMEDY = "bring more left entities, raise data.validation_share and data.test_share, or try another data.seed"
MOSTLY_DIFFERENT = ("row", "left", "right", "left_id", "right_id")  # values hardly repeat: a dictionary saves nothing
GROUP_ROWS = 1 << 17  # rows of a row group: what a reader in parts holds at once


@dataclass(frozen=True)
class Rows:
    digest: str  # sha256 of the checked rows, independent of file format and path
    path: Path  # <outputs>/data/<digest[:16]>/rows.parquet
    table: pa.Table
    numbers: np.ndarray  # [N], of its rows in the file
    notes: tuple[str, ...]  # what a person should read before trusting a number


def prepare_rows(data: DataConfig, outputs: Path) -> Rows:
    """The checked rows of a file or of the generator, on disk at `path`; bad ones in quarantine.csv beside it.

    Raises one UserError with every bad row where they are not set aside, and where no row of some split is left.
    """
    name, loaded = load_pairs(data)
    theirs = [column for column in loaded.table.column_names if column not in OURS]
    checked, keys = check_pairs(replace(loaded, table=loaded.table.select(theirs)), name)
    checked.check(name, data.on_bad_row is OnBadRow.quarantine)
    has_split = "split" in checked.table.column_names
    table = with_split(checked.table, data)
    _every_split(table, name, SPLIT_REMEDY if has_split else SHARES_REMEDY)
    completed = _completed(table, keys)
    with ThreadPoolExecutor(1) as pool:  # hashing and Arrow's writing take one core, without Python's lock
        stored = pool.submit(store_rows, table, completed, outputs)
        notes = notes_of(completed, keys)
        digest, path = stored.result()
    warnings = single_labels(dict(zip(TASK_NAMES, task_counts(table).tolist(), strict=True)))
    aside = write_quarantine(path.with_name(QUARANTINE), name, loaded, checked)
    notes = (*warnings, *aside, *_origin(data, loaded, has_split), *notes)
    return Rows(digest, path, completed, checked.rows, notes)


def load_pairs(data: DataConfig) -> tuple[str, Loaded]:
    """What the file or the generator holds, unchecked, and what an error calls it."""
    if data.kind is Source.pairs:
        if not data.path:
            raise UserError("data.path is missing; give data.path=FILE (.parquet, .csv, .tsv or .jsonl)")
        check_names(data.columns, "data.columns")
        loaded = read_table(Path(data.path), data.columns, Form.of(data, "data."))
        return data.path, with_labels(loaded, data.task, data.grades, data.path, "data.")
    from relevance.shop.generate import generate_pairs

    table = generate_pairs(data.rows, data.seed, data.noise)
    return "generated pairs", Loaded(table, np.arange(1, len(table) + 1))


def with_split(table: pa.Table, data: DataConfig) -> pa.Table:
    """The table in the order of rows.parquet, with a split: by left entity where it names none."""
    if "split" not in table.column_names:
        table = table.append_column("split", split_by_entity(table, data))
    first = [name for name in (*COLUMN_ORDER, "label_clean") if name in table.column_names]
    return table.select([*first, *(name for name in table.column_names if name not in first)])


def _every_split(table: pa.Table, name: str, remedy: str) -> None:
    counts = dict(zip(SPLITS, task_counts(table).sum(axis=(0, 2)).tolist(), strict=True))
    absent = [split for split, count in counts.items() if not count]
    if absent:
        present = ", ".join(f"{split} {count:,}" for split, count in counts.items())
        raise UserError(f"{name}: no {' and no '.join(absent)} rows among those that pass ({present}); {remedy}")


def _completed(table: pa.Table, keys: Keys) -> pa.Table:
    left, right = seen(keys, pc.equal(table["split"], "train").to_numpy(), of_task=True)
    at = sum(name in table.column_names for name in COLUMN_ORDER)
    table = table.add_column(at, "left_seen", pa.array(left)).add_column(at + 1, "right_seen", pa.array(right))
    return table.add_column(0, "row", pa.array(np.arange(len(table))))


def store_rows(table: pa.Table, completed: pa.Table, outputs: Path) -> tuple[str, Path]:
    """The digest of a table, and where it lies under it, written unless it was there."""
    digest = table_digest(len(table), zip(table.column_names, table.columns, strict=True))
    path = data_folder(outputs, digest) / ROWS
    if why := rows_fault(path):
        if path.exists():
            echo(f"{why}; it is made anew from its source")
        encoded = [name for name in completed.column_names if name not in MOSTLY_DIFFERENT]
        with atomic_file(path) as part:  # by the statistics of "row" parts are passed over
            pq.write_table(completed, part, row_group_size=GROUP_ROWS, use_dictionary=encoded, write_statistics=["row"])
        seal.write(path, path.parent.name)
    return digest, path


def write_quarantine(path: Path, name: str, loaded: Loaded, checked: Loaded) -> tuple[str, ...]:
    """Write the bad rows beside the table, and the note that counts them; remove those of an earlier file."""
    if not checked.faults:
        for left in (path, seal.place(path)):
            left.unlink(missing_ok=True)
        return ()
    with atomic_file(path) as part:
        pa.csv.write_csv(list_faults(name, checked.faults, loaded.table, loaded.rows), part)
    seal.write(path, path.parent.name)
    return (quarantine_note(checked.faults, len(checked.table), path),)


def _origin(data: DataConfig, loaded: Loaded, has_split: bool) -> tuple[str, ...]:
    """Notes of what was added to the source or replaced in it."""
    replaced = [name for name in OURS if name in loaded.table.column_names]
    notes = [f"replaced: columns {', '.join(replaced)} of the file by our own"] if replaced else []
    if not has_split:
        notes.append(f"split: by left entity, seed {data.seed}, shares {data.validation_share} and {data.test_share}")
    return tuple(notes)


def task_counts(table: pa.Table) -> np.ndarray:
    """Rows [6, 3, 3]: of each task, split and label."""
    task = pc.index_in(table["task"], pa.array(TASK_NAMES)).to_numpy()
    split = pc.index_in(table["split"], pa.array(SPLITS)).to_numpy()
    cell = (task * 3 + split) * 3 + table["label"].to_numpy()
    return np.bincount(cell, minlength=len(TASK_NAMES) * 9).reshape(len(TASK_NAMES), 3, 3)


def notes_of(table: pa.Table, keys: Keys) -> tuple[str, ...]:
    """Rows per task and split, entities seen in training, equal texts and where they disagree."""
    test = pc.equal(table["split"], "test").to_numpy()
    rows = task_counts(table).sum(axis=2)
    notes = [_rows(rows)]
    if test.any():
        notes.append(_any_task(table, test, keys))
    return (*notes, *_line_breaks(table), *_ids(table), *_texts_and_ids(keys), *_across_tasks(table, keys))


def _rows(counts: np.ndarray) -> str:
    """`counts` [6, 3] of rows by task and split; a split without rows stands out."""
    tasks = []
    for task, row in ((task, row) for task, row in zip(TASK_NAMES, counts, strict=True) if row.any()):
        absent = " and no ".join(split for n, split in zip(row, SPLITS, strict=True) if not n)
        tasks.append(f"{task} {'/'.join(f'{n:,}' for n in row)}{f' (it has no {absent} rows)' if absent else ''}")
    return f"rows ({'/'.join(SPLITS)}): {', '.join(tasks)}"


def _any_task(table: pa.Table, test: np.ndarray, keys: Keys) -> str:
    """Split task by task, a query of one task's test rows may be trained on under another."""
    training = pc.equal(table["split"], "train").to_numpy()
    left, right = (side[test] for side in seen(keys, training, of_task=False))
    sides = {"left": left, "right": right, "either": left | right}
    shares = ", ".join(f"{name} {100 * side.mean():.0f} %" for name, side in sides.items())
    return f"entities of test rows seen in training of any task: {shares}; by task: python -m relevance.data audit"


def _line_breaks(table: pa.Table) -> list[str]:
    """Stray quotes in a csv make one text of many rows: nothing but its line breaks shows it."""
    sides = table["left"], table["right"]
    if not any(re.search(b"\n", utf8_bytes(chunk)) for side in sides for chunk in side.chunks):  # 10 times as fast
        return []
    left, right = (pc.sum(pc.match_substring(side, "\n")).as_py() for side in sides)
    return [f"texts with line breaks: left {left:,}, right {right:,}"]


def _ids(table: pa.Table) -> list[str]:
    sides = [table["left_id"], table["right_id"]]
    absent = [side.null_count for side in sides]
    floats = [pc.sum(pc.match_substring_regex(side, r"^[0-9]+\.0$")).as_py() or 0 for side in sides]
    notes = []
    if any(absent):
        notes.append(f"ids: absent on {absent[0]:,} left and {absent[1]:,} right sides; their texts stand in")
    if any(floats):
        notes.append(f"ids such as 17.0: left {floats[0]:,}, right {floats[1]:,}; they do not meet 17: write 17")
    return notes


def _texts_and_ids(keys: Keys) -> list[str]:
    """Within each kind of entity: a query and a type may share a text."""
    entity = np.concatenate(side_entities(keys))
    text = np.concatenate(side_entities(replace(keys, left=keys.left_text, right=keys.right_text)))
    pairs = {"equal texts under different ids": (text, entity), "ids with different texts": (entity, text)}
    counts = {words: _ambiguous(*columns) for words, columns in pairs.items()}
    return [f"{words}: {names:,}, in all {entities:,} entities" for words, (names, entities) in counts.items() if names]


def _ambiguous(names: np.ndarray, values: np.ndarray) -> tuple[int, int]:
    """How many of `names` [N] stand with several of `values` [N], and with how many in all."""
    # equal numbers overwrite one another here, so any that differ show without a sort
    last = np.zeros(names.max() + 1, np.int64)
    last[names] = values
    several = np.zeros(len(last), bool)
    several[names[last[names] != values]] = True
    rows = several[names]
    return int(several.sum()), len(np.unique(combined(names[rows], values[rows])))


def _across_tasks(table: pa.Table, keys: Keys) -> list[str]:
    """Whether the same pair of texts means something else under another task."""
    at, group = repeated(keys.texts)
    tasks = differs(keys.task[at], group)
    labels = differs(table["label"].to_numpy()[at], group)
    several, conflicting = (len(np.unique(group[rows])) for rows in (tasks, tasks & labels))
    if not several:
        return []
    return [f"equal pairs of texts under several tasks: {several:,}, with different labels: {conflicting:,}"]
