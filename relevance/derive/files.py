"""The files a user names → one Arrow table under our column names, each row with its file and number.

items="raw/*.json.zip" with columns={item_id: id} → item_id="1229111" title="Targus ASF150EU screen protector ..."
from file "raw/1.json.zip/1.json", row 1
"""

import zipfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from glob import glob
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from relevance.data import delimited, jsonl, readers
from relevance.data.loaded import Loaded, unique
from relevance.data.pairs import as_text
from relevance.derive import records
from relevance.derive.options import FileOptions
from relevance.errors import UserError

Reader = Callable[[Path, FileOptions, Collection[str]], Loaded]


def read(given: str, setting: str, options: FileOptions, wanted: Collection[str]) -> dict[str, Loaded]:
    """Each file that `given`, the value of `setting`, names: its rows of `options.where`, with the columns `wanted`.

    Columns are renamed by `options.columns` and absent where a file has none. Raises UserError where no file is
    there or one cannot be read; rows that cannot be read come back as faults.
    """
    theirs = {name: options.columns.get(name, name) for name in wanted}
    parts = {}
    for path in _paths(given, setting):
        for name, inner in _members(path):
            readable(inner, name)
            with readers.explained(Path(name)):
                loaded = READERS[inner.suffix.lower()](inner, options, {*theirs.values(), *options.where})
            parts[name] = _ours(Path(name), readers.decoded(loaded), options, theirs, setting)
    return parts


def _paths(given: str, setting: str) -> list[Path]:
    paths = [Path(given)] if Path(given).exists() else sorted(map(Path, glob(given)))
    if not paths:
        raise UserError(f"{setting}={given}: no such file; give a file, or a pattern such as folder/*.csv")
    if folder := next((path for path in paths if path.is_dir()), None):
        raise UserError(f"{setting}={given}: {folder} is a folder; name its files by a pattern such as {folder}/*.csv")
    return paths


def _members(path: Path) -> Iterator[tuple[str, Path]]:
    """Names and places of the tables in a file: one, or those of an archive."""
    if path.suffix.lower() != ".zip":
        yield str(path), path
        return
    with _archive(path) as archive, TemporaryDirectory() as folder:
        inner = [name for name in archive.namelist() if Path(name).suffix.lower() in READERS and "__MACOSX" not in name]
        if not inner:
            raise UserError(f"{path}: holds no {', '.join(READERS)}; give the archive's files themselves")
        for name in inner:
            yield f"{path}/{name}", Path(archive.extract(name, folder))


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, EOFError) as cause:
        raise UserError(f"{path}: cannot be read as .zip: {cause}; fetch it anew") from cause


def readable(path: Path, name: str) -> None:
    """Raise UserError where `path`, which a person calls `name`, is of an unknown kind or empty."""
    if path.suffix.lower() not in READERS:
        raise UserError(f"{name}: unknown kind of file {path.suffix!r}; allowed: {', '.join([*READERS, '.zip'])}")
    if not path.stat().st_size:
        raise UserError(f"{name}: the file is empty; fetch it anew or leave its setting out")


def _ours(path: Path, loaded: Loaded, options: FileOptions, theirs: dict[str, str], setting: str) -> Loaded:
    present = loaded.table.column_names
    needed = {ours: theirs for ours, theirs in options.columns.items() if ours in theirs}
    readers.renamed(path, present, needed, f"read.{setting}.columns")
    keep = np.ones(len(loaded.table), bool)
    for column, value in options.where.items():
        readers.renamed(path, present, {column: column}, f"read.{setting}.where")
        keep &= pc.fill_null(pc.equal(as_text(loaded.table, column, str(path)), value), False).to_numpy()
    table = pa.table({ours: loaded.table[name] for ours, name in theirs.items() if name in present})
    return replace(loaded, table=table.filter(pa.array(keep)), rows=loaded.rows[keep])


def _parquet(path: Path, _: FileOptions, wanted: Collection[str]) -> Loaded:
    names = pq.read_schema(path).names
    unique(path, names)
    table = pq.read_table(path, columns=[name for name in names if name in wanted])
    return Loaded(table, np.arange(1, len(table) + 1))


READERS: dict[str, Reader] = {
    ".parquet": _parquet,
    ".csv": lambda path, options, _: delimited.read(path, options.delimiter or ","),
    ".tsv": lambda path, options, _: delimited.read(path, options.delimiter or "\t"),
    ".jsonl": lambda path, options, _: jsonl.read(path),
    ".json": lambda path, options, wanted: records.read(path, wanted),
}
