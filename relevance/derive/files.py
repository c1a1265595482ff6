"""The files a user names → their rows as Arrow tables under our column names, each row with its number.

items="raw/*.json.zip" with columns={item_id: id} → item_id="1229111" title="Targus ASF150EU screen protector ..."
from file "raw/1.json.zip/1.json", row 1
"""

from collections.abc import Callable, Collection, Mapping
from glob import glob
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from relevance.data import delimited, jsonl, readers
from relevance.data.loaded import Loaded, unique
from relevance.derive import columns, records, swallowed
from relevance.derive.archive import ZIP, members
from relevance.derive.columns import Part
from relevance.derive.options import DeriveOptions, FileOptions
from relevance.errors import UserError
from relevance.whole import sibling

Reader = Callable[[Path, FileOptions, Collection[str]], Loaded]
BESIDE = ("quarantine.csv", "derive.json")  # what derive writes beside its output
INPUTS = ("judgements", "queries", "items", "taxonomy")


def check(options: DeriveOptions) -> None:
    """UserError over all inputs that are not there, are no file we read, or would be written over."""
    output = Path(options.output or "")
    outputs = [output, *(sibling(output, name) for name in BESIDE)]
    problems = []
    for setting in INPUTS:
        if given := getattr(options, setting):
            try:
                paths = located(given, setting)
            except UserError as error:
                problems.append(str(error))
                continue
            problems += [
                f"{setting}={given}: {path} would be written over by output={output}; choose another output"
                for path in paths
                if any(one.exists() and path.samefile(one) for one in outputs)
            ]
    if problems:
        raise UserError("\n".join(problems))


def located(given: str, setting: str) -> list[Path]:
    """The files that `given`, the value of `setting`, names; UserError where one of them is none that can be read."""
    paths = [Path(given)] if Path(given).exists() else sorted(map(Path, glob(given, recursive=True)))
    if not paths:
        raise UserError(f"{setting}={given}: no such file; give a file, or a pattern such as folder/*.csv")
    if folder := next((path for path in paths if path.is_dir()), None):
        raise UserError(f"{setting}={given}: {folder} is a folder; name its files by a pattern such as {folder}/*.csv")
    for path in paths:
        if path.suffix.lower() not in (*READERS, ZIP):
            allowed = ", ".join([*READERS, ZIP])
            raise UserError(f"{setting}={given}: {path} is of an unknown kind {path.suffix!r}; allowed: {allowed}")
        _holds(path, str(path))
    return paths


def read(given: str, setting: str, options: FileOptions, wanted: Mapping[str, bool]) -> dict[str, Part]:
    """The rows and columns asked for of each file that `given`, the value of `setting`, names.

    `wanted` says of each column whether a file must have it. Raises UserError where no file is there, one cannot be
    read, and where all of them have no row to give; rows that cannot be read come back as faults.
    """
    theirs = {*(options.columns.get(name, name) for name in wanted), *options.where}
    parts = {}
    for path in located(given, setting):
        for name, inner in members(path, READERS):
            _holds(inner, name)
            try:
                with readers.explained(Path(name)):
                    loaded = READERS[inner.suffix.lower()](inner, options, theirs)
            except UserError as error:
                raise columns.named(inner, error, name) from error
            parts[name] = columns.chosen(name, loaded, setting, options, wanted)
    _some(parts.values(), given, setting, options)
    return parts


def _holds(path: Path, name: str) -> None:
    if not path.stat().st_size:
        raise UserError(f"{name}: the file is empty; fetch it anew or leave its setting out")


def _some(parts: Collection[Part], given: str, setting: str, options: FileOptions) -> None:
    """UserError where the files hold no row, or none that is asked for."""
    if any(len(part.loaded.table) or part.loaded.faults for part in parts):
        return
    left = sum(part.left for part in parts)
    if left:
        held = next(part.held for part in parts if part.left)
        raise UserError(f"read.{setting}.where={options.where}: leaves out all {left:,} rows of {given}: {held}")
    raise UserError(f"{setting}={given}: holds no rows; fetch it anew or leave its setting out")


def _parquet(path: Path, _: FileOptions, wanted: Collection[str]) -> Loaded:
    names = pq.read_schema(path).names
    unique(path, names)
    table = pq.read_table(path, columns=[name for name in names if name in wanted], partitioning=None)
    rows = pq.read_metadata(path).num_rows
    table = _with_names(table, names, rows)
    return Loaded(table, np.arange(1, rows + 1))


def _with_names(table: pa.Table, names: Collection[str], rows: int) -> pa.Table:
    """The table with a column for each of `names`: those nobody asked for are known by name alone."""
    return pa.table({name: table[name] if name in table.column_names else pa.nulls(rows) for name in names})


def _delimited(path: Path, options: FileOptions, delimiter: str) -> Loaded:
    delimiter = options.delimiter or delimiter
    return swallowed.found(delimited.read(path, delimiter, options.quotes), delimiter)


READERS: dict[str, Reader] = {
    ".parquet": _parquet,
    ".csv": lambda path, options, _: _delimited(path, options, ","),
    ".tsv": lambda path, options, _: _delimited(path, options, "\t"),
    ".jsonl": lambda path, options, wanted: jsonl.read(path, wanted),
    ".json": lambda path, options, wanted: records.read(path, wanted),
}
