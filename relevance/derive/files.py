"""The files a user names → their rows as Arrow tables under our column names, each row with its number.

items="raw/*.json.zip" with columns={item_id: id} → item_id="1229111" title="Targus ..." of raw/1.json.zip/1.json, row 1
"""

import lzma
import zipfile
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from glob import glob
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.atomic_io import sibling
from relevance.cli import echo
from relevance.data import readers
from relevance.data.contract import as_text
from relevance.data.faults import Loaded
from relevance.data.text_files import Form, check_unpacked, kind_of
from relevance.derive.commands import DeriveOptions, FileOptions
from relevance.derive.readers import OF_JUDGEMENTS, READERS
from relevance.errors import UserError, did_you_mean

INPUTS = ("judgements", "queries", "items", "taxonomy")
BESIDE = ("quarantine.csv", "derive.json")  # what derive writes beside its output
ZIP = ".zip"
SHOWN = 5  # names of files that are not read
NO_TABLES = ("readme", "licen", "copying", "notice", "changelog")  # how names of texts in an archive begin
AS_IT_IS = ("category",)  # a path may be a list; every other column is text
NAMED = 30  # columns or values of a file that an error names
DELIMITED = (".csv", ".tsv", ".txt")


@dataclass(frozen=True)
class Part:
    """What one file gives; its rows are those of `loaded`, at fault or not, and those left out."""

    loaded: Loaded
    left: int  # rows that options.where leaves out
    values: str  # what stands in the columns of options.where
    names: list[str]  # of all its columns, as the file has them


def check_inputs(options: DeriveOptions) -> None:
    """UserError over all inputs that are not there, are no file we read, or would be written over."""
    output = Path(options.output or "")
    outputs = [output, *(sibling(output, name) for name in BESIDE)]
    problems = []
    for setting in INPUTS:
        if value := getattr(options, setting):
            try:
                paths = _locate(value, setting)
            except UserError as error:
                problems.append(str(error))
                continue
            problems += [
                f"{setting}={value}: {path} would be written over by output={output}; choose another output"
                for path in paths
                if any(place.exists() and path.samefile(place) for place in outputs)
            ]
    if problems:
        raise UserError("\n".join(problems))


def read_inputs(options: DeriveOptions, setting: str, wanted: Mapping[str, bool]) -> dict[str, Part]:
    """The rows of each file that `setting`, one of INPUTS, names; `wanted` says which columns must be there.

    Raises UserError where no file is there, one cannot be read, and where no file gives a row.
    """
    value: str = getattr(options, setting)
    how: FileOptions = getattr(options.read, setting)
    form = Form.of(how, f"read.{setting}.")
    parts = {}
    for path in _locate(value, setting):
        for name, inner in _tables(path, form):
            _check_size(inner, name)
            try:
                parts[name] = _read_part(inner, name, form, how, wanted)
            except UserError as error:  # it names the place where a file of an archive lies unpacked
                raise UserError(str(error).replace(str(inner), name)) from error
    _check_rows(parts.values(), setting, value, how)
    return parts


def _locate(value: str, setting: str) -> list[Path]:
    """The files that `value`, the value of `setting`, names; UserError where one of them is none that can be read."""
    paths = [Path(value)] if Path(value).exists() else sorted(map(Path, glob(value, recursive=True)))
    if not paths:
        raise UserError(f"{setting}={value}: no such file; give a file, or a pattern such as folder/*.csv")
    if folder := next((path for path in paths if path.is_dir()), None):
        raise UserError(f"{setting}={value}: {folder} is a folder; name its files by a pattern such as {folder}/*.csv")
    for path in paths:
        if kind_of(path) not in (*READERS, ZIP):
            allowed = ", ".join([*READERS, ZIP])
            raise UserError(f"{setting}={value}: {path} is of an unknown kind {path.suffix!r}; allowed: {allowed}")
        _check_size(path, str(path))
    return paths


def _check_size(path: Path, name: str) -> None:
    if not path.stat().st_size:
        raise UserError(f"{name}: the file is empty; fetch it anew or leave its setting out")


def _check_rows(parts: Collection[Part], setting: str, value: str, how: FileOptions) -> None:
    """UserError where the files hold no row, or none that read.*.where lets pass."""
    if any(len(part.loaded.table) or part.loaded.faults for part in parts):
        return
    left = sum(part.left for part in parts)
    if left:
        values = next(part.values for part in parts if part.left)
        raise UserError(f"read.{setting}.where={how.where}: leaves out all {left:,} rows of {value}: {values}")
    raise UserError(f"{setting}={value}: holds no rows; fetch it anew or leave its setting out")


def _tables(path: Path, form: Form) -> Iterator[tuple[str, Path]]:
    """What a person calls each table of `path`, itself or those of a .zip, and where it lies until the next is read."""
    if path.suffix.lower() != ZIP:
        yield str(path), path
        return
    with _unpacking(path):
        archive = zipfile.ZipFile(path)
    with archive, TemporaryDirectory() as folder:
        members = _members(path, archive)
        unpacked = sum(archive.getinfo(name).file_size for name in members)
        check_unpacked(str(path), path.stat().st_size, unpacked, form)
        for name in members:
            with _unpacking(path):
                place = Path(archive.extract(name, folder))
            yield f"{path}/{name}", place
            place.unlink()


def _members(path: Path, archive: zipfile.ZipFile) -> list[str]:
    names = [name for name in archive.namelist() if kind_of(Path(name)) in READERS and not _hidden(name)]
    tables = [name for name in names if kind_of(Path(name)) != ".txt"]
    names = tables or [name for name in names if not Path(name).name.lower().startswith(NO_TABLES)]
    if not names:
        raise UserError(f"{path}: holds no {', '.join(READERS)}; give the archive's files themselves")
    if unread := [name for name in archive.namelist() if name not in names and not _hidden(name)]:
        echo(f"{path}: not read: {', '.join(unread[:SHOWN])}{', …' * (len(unread) > SHOWN)}")
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise UserError(f"{path}: holds {', '.join(twice)} twice; unpack it and give the files that count")
    return names


def _hidden(name: str) -> bool:
    parts = Path(name).parts
    return name.endswith("/") or "__MACOSX" in parts or any(part.startswith(".") and part != ".." for part in parts)


@contextmanager
def _unpacking(path: Path) -> Iterator[None]:
    """What goes wrong with an archive, as a UserError: zlib's error is of no kind of zipfile's."""
    try:
        yield
    except OSError as cause:
        remedy = "free space in the folder for temporary files, or unpack it and give its files"
        raise UserError(f"{path}: cannot be unpacked: {cause.strerror or cause}; {remedy}") from cause
    except RuntimeError as cause:  # a password; NotImplementedError, a way of packing that Python does not know
        raise UserError(f"{path}: cannot be unpacked: {cause}; unpack it and give its files") from cause
    except (zipfile.BadZipFile, EOFError, ValueError, zlib.error, lzma.LZMAError) as cause:
        raise UserError(f"{path}: cannot be read as .zip: {cause}; fetch it anew") from cause


def _read_part(path: Path, name: str, form: Form, options: FileOptions, wanted: Mapping[str, bool]) -> Part:
    """The columns `wanted` (ours: whether a file must have it) of the file at `path`, which a person calls `name`."""
    theirs = _their_names(form.setting, options, wanted)
    read = (OF_JUDGEMENTS if form.setting == "read.judgements." else READERS)[kind_of(path)]
    readers.check_form(path, form)
    with readers.parse_errors(Path(name)):
        loaded = read(path, form, {*theirs.values(), *options.where})
    names = loaded.table.column_names
    if len(loaded.table):
        must = {ours: column for ours, column in theirs.items() if wanted[ours] or ours in options.columns}
        check_columns(name, names, must, f"{form.setting}columns")
        check_columns(name, names, {column: column for column in options.where}, f"{form.setting}where")
        if not set(theirs.values()) & set(names):  # of a tree, whose columns are all optional
            check_columns(name, names, dict(reversed(theirs.items())), f"{form.setting}columns")
    here = {ours: column for ours, column in theirs.items() if column in names or wanted[ours]}
    table = _plain(loaded.table, [*here.values(), *options.where])
    fits, values = _fitting(table, options.where, name)
    sound = pa.table({ours: table[column] for ours, column in here.items()}).filter(pa.array(fits))
    decoded = readers.decode_table(replace(loaded, table=sound, rows=loaded.rows[fits]), path, form, here)
    texts = {ours: decoded.table[ours] if ours in AS_IT_IS else as_text(decoded.table, ours, name) for ours in here}
    faults = tuple(replace(fault, remedy=fault.remedy.replace(str(path), name)) for fault in decoded.faults)
    return Part(replace(decoded, table=pa.table(texts), faults=faults), int((~fits).sum()), values, names)


def _their_names(setting: str, options: FileOptions, wanted: Mapping[str, bool]) -> dict[str, str]:
    """The file's name of each column, less those that options.columns unnames."""
    names = {ours: options.columns.get(ours, ours) for ours in wanted}
    if needed := [ours for ours, theirs in names.items() if theirs is None and wanted[ours]]:
        raise UserError(f"{setting}columns={{{needed[0]}: null}}: is needed; name a column of the file")
    return {ours: theirs for ours, theirs in names.items() if theirs is not None}


def check_columns(name: str, present: Collection[str], needed: Mapping[str, str], setting: str) -> None:
    """UserError where columns `needed` (ours: theirs) are not among those `present` in the file `name`."""
    lacking = {ours: theirs for ours, theirs in needed.items() if theirs not in present}
    if not lacking:
        return
    listed = ", ".join([*list(present)[:NAMED], *["…"] * (len(present) > NAMED)])
    ours, hint = next(iter(lacking)), did_you_mean(lacking.values(), present)
    value = "value" if setting.endswith("where") else "column of the file"
    header = f"; where the first line is a row: {setting.rpartition('.')[0]}.header=[…]"
    raise UserError(
        f"{name}: has no column {', '.join(lacking.values())}; {hint}present: {listed}; "
        f"name it with {setting}={{{ours}: <{value}>}}{header if kind_of(Path(name)) in DELIMITED else ''}"
    )


def _plain(table: pa.Table, names: Collection[str]) -> pa.Table:
    """The columns `names`, null where the table has none; bytes count as text, not-a-number as missing."""
    absent = pa.nulls(len(table), pa.string())
    columns = {name: table[name] if name in table.column_names else absent for name in names}
    table = readers.plain_strings(pa.table(columns))
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
    fits, present = np.ones(len(table), bool), []
    for column, value in where.items():
        texts = as_text(table, column, name)
        fits &= pc.fill_null(pc.equal(texts, value), False).to_numpy()
        some = pc.unique(pc.drop_null(texts)).cast(pa.binary())[:NAMED].to_pylist()
        present.append(f"{column} holds {', '.join(text.decode(errors='replace') for text in some) or 'nothing'}")
    return fits, "; ".join(present)
