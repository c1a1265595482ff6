"""A source of pairs → the one table every later step reads, written once per digest.

row=0 split="train" task="query_item" left="usb c cable" right="Volt USB-C cable 2 m" left_id="q17"
right_id="i4" source="human" label=2 left_seen=true right_seen=true, then label_clean (generated data) and the
user's own columns
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from relevance import whole
from relevance.config import DataConfig, OnBadRow, Source
from relevance.data import digest as digests
from relevance.data import faults, notes, pairs, readers, seen, split
from relevance.data.keys import Keys
from relevance.data.loaded import Loaded
from relevance.data.pairs import Checked
from relevance.errors import UserError
from relevance.identity import QUARANTINE
from relevance.tasks import SPLITS

ORDER = ("split", "task", "left", "right", "left_id", "right_id", "source", "label", "weight")
GIVEN = f"name all of {', '.join(SPLITS)} in the split column, or drop it and let data.test_share divide the rows"
DIVIDED = "bring more left entities, raise data.validation_share and data.test_share, or try another data.seed"
OURS = ("row", "left_seen", "right_seen")  # made here; a file that brings them gets them anew
MANY = ("row", "left", "right", "left_id", "right_id")  # hardly a value twice: a dictionary of them saves nothing
GROUP = 1 << 17  # rows of a row group: what who reads the file in parts holds at once


@dataclass(frozen=True)
class Rows:
    """The checked table and where it lies."""

    digest: str  # sha256 of the checked rows, independent of file format and path
    path: Path  # <outputs>/data/<digest[:16]>/rows.parquet
    table: pa.Table
    numbers: np.ndarray  # [N], of its rows in the file
    notes: tuple[str, ...]  # what a person should read before trusting a number


def prepare(data: DataConfig, outputs: Path) -> Rows:
    """The checked rows of a file or of the generator, on disk at `path`.

    Raises one UserError with every bad row, or with data.on_bad_row=quarantine writes them to quarantine.csv
    beside rows.parquet and goes on; raises UserError where no row, or none of some split, is left.
    """
    name, loaded = load(data)
    checked = pairs.check(_without_ours(loaded), name)
    if checked.faults and (data.on_bad_row is OnBadRow.error or not len(checked.table)):
        remedy = faults.SET_ASIDE if len(checked.table) else faults.NONE_LEFT
        raise faults.error(name, checked.faults, loaded.counted, remedy)
    given = "split" in checked.table.column_names
    table = divided(checked.table, data)
    _every_split(table, name, GIVEN if given else DIVIDED)
    completed = _completed(table, checked.keys)
    with ThreadPoolExecutor(1) as pool:  # hashing and Arrow's writing take one core, without Python's lock
        kept = pool.submit(_kept, table, completed, outputs)
        told = notes.of(completed, checked.keys)
        digest, path = kept.result()
    aside = _set_aside(path.with_name(QUARANTINE), name, loaded, checked)
    return Rows(digest, path, completed, checked.rows, (*aside, *_origin(data, loaded, given), *told))


def digest_of(path: Path) -> str:
    """The digest that `prepare` found, taken from the table at `path` as it is now, a column at a time."""
    with pq.ParquetFile(path) as file:
        names = [name for name in file.schema_arrow.names if name not in OURS]
        columns = ((name, file.read([name])[name]) for name in names)
        return digests.of_columns(file.metadata.num_rows, columns)


def load(data: DataConfig) -> tuple[str, Loaded]:
    """What the file or the generator holds, unchecked, and what an error calls it."""
    if data.kind is Source.pairs:
        if not data.path:
            raise UserError("data.path is missing; give data.path=FILE (.parquet, .csv, .tsv or .jsonl)")
        pairs.ours(data.columns, "data.columns")
        return data.path, readers.read(Path(data.path), data.columns)
    from relevance.shop.generate import generate

    table = generate(data.rows, data.seed, data.noise)
    return "generated pairs", Loaded(table, np.arange(1, len(table) + 1))


def _without_ours(loaded: Loaded) -> Loaded:
    names = [name for name in loaded.table.column_names if name not in OURS]
    return replace(loaded, table=loaded.table.select(names))


def divided(table: pa.Table, data: DataConfig) -> pa.Table:
    """The table in the order of rows.parquet, with a split: by left entity where it names none."""
    if "split" not in table.column_names:
        table = table.append_column("split", split.by_entity(table, data))
    first = [name for name in (*ORDER, "label_clean") if name in table.column_names]
    return table.select([*first, *(name for name in table.column_names if name not in first)])


def _every_split(table: pa.Table, name: str, remedy: str) -> None:
    counts = {split: pc.sum(pc.equal(table["split"], split)).as_py() or 0 for split in SPLITS}
    absent = [split for split, count in counts.items() if not count]
    if absent:
        found = ", ".join(f"{split} {count:,}" for split, count in counts.items())
        raise UserError(f"{name}: no {' and no '.join(absent)} rows among those that pass ({found}); {remedy}")


def _completed(table: pa.Table, keys: Keys) -> pa.Table:
    """The table with its row ids first and what training has seen after the contract's columns."""
    left, right = seen.in_task(keys, pc.equal(table["split"], "train").to_numpy())
    at = sum(name in table.column_names for name in ORDER)
    table = table.add_column(at, "left_seen", pa.array(left)).add_column(at + 1, "right_seen", pa.array(right))
    return table.add_column(0, "row", pa.array(np.arange(len(table))))


def _kept(table: pa.Table, completed: pa.Table, outputs: Path) -> tuple[str, Path]:
    """The digest of a table, and where it lies under it, written unless it was there."""
    digest = digests.of(table)
    path = outputs / "data" / digest[:16] / "rows.parquet"
    _write_once(completed, path)
    return digest, path


def _write_once(table: pa.Table, path: Path) -> None:
    if not path.is_file():
        with whole.file(path) as part:
            repeated = [name for name in table.column_names if name not in MANY]
            kept = {"use_dictionary": repeated, "write_statistics": ["row"]}  # by which parts are passed over
            pq.write_table(table, part, row_group_size=GROUP, **kept)


def _set_aside(path: Path, name: str, loaded: Loaded, checked: Checked) -> tuple[str, ...]:
    """Write the bad rows beside the table; says how many and where. An earlier file's bad rows make way."""
    if not checked.faults:
        path.unlink(missing_ok=True)
        return ()
    faults.quarantine(path, name, checked.faults, loaded.table, loaded.rows)
    bad = len(faults.faulty(checked.faults))
    kinds = ", ".join(f"{fault.problem} {len(fault.rows):,}" for fault in checked.faults)
    return (f"quarantined: {bad:,} of {bad + len(checked.table):,} rows ({kinds}) → {path}",)


def _origin(data: DataConfig, loaded: Loaded, given: bool) -> tuple[str, ...]:
    """What was added to the source or replaced in it."""
    replaced = [name for name in OURS if name in loaded.table.column_names]
    told = [f"replaced: columns {', '.join(replaced)} of the file by our own"] if replaced else []
    if not given:
        told.append(f"split: by left entity, seed {data.seed}, shares {data.validation_share} and {data.test_share}")
    return tuple(told)
