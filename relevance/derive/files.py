"""Cells of a tab-separated file that swallowed rows → faults.

3 <tab> "rustic bed / 4 <tab> "king" bed: the quote that row 3 opens is closed in row 4, so that two rows are one

A file that is one JSON list of objects → its rows, each numbered by its place in the list.

[{"id": "1229111", "title": "Targus ...", "attr_t_colour": "Black"}, ...] with wanted={id, title} → id, title, and
attr_t_colour by name alone

A file a user names → the tables it holds: itself, or those of a .zip.

"1.json.zip" with 1.json and __MACOSX/._1.json in it → ("1.json.zip/1.json", a place where that file lies unpacked)

The files a user names → their rows as Arrow tables under our column names, each row with its number.

items="raw/*.json.zip" with columns={item_id: id} → item_id="1229111" title="Targus ASF150EU screen protector ..."
from file "raw/1.json.zip/1.json", row 1
"""

import json
import zipfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from glob import glob
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from relevance.atomic_io import sibling
from relevance.data.delimited import read_delimited
from relevance.data.faults import Fault, faulty_rows, shorten
from relevance.data.jsonl import columns, no_texts, read_jsonl
from relevance.data.loaded import UTF8_REMEDY, Loaded, unique
from relevance.data.readers import parse_errors
from relevance.derive.columns import Part, choose_columns, rename_file
from relevance.derive.options import DeriveOptions, FileOptions
from relevance.errors import UserError

SWALLOWED = "a quote opened here closes rows further on"
SWALLOWED_REMEDY = (
    "close the quote, double one that belongs to the text, or read.*.quotes=false where no quote has a meaning"
)


def swallowed_rows(loaded: Loaded, delimiter: str) -> Loaded:
    """`loaded`, its rows at fault told and taken away; only tabs tell, for texts hold every other delimiter.

    A quote that closes in the column it was opened in leaves a row of the right length, whose cell holds as many
    delimiters as whole rows have.
    """
    cells = len(loaded.table.column_names) - 1
    bad, values = np.zeros(len(loaded.table), bool), {}
    for column in loaded.table.columns if delimiter == "\t" and cells else ():
        raw = column.cast(pa.binary())
        at = np.flatnonzero(pc.match_substring(raw, b"\n").to_numpy())
        some = raw.take(pa.array(at))
        lines, tabs = (pc.count_substring(some, sign).to_numpy() for sign in (b"\n", b"\t"))
        for row in np.flatnonzero(tabs == lines * cells):
            bad[at[row]] = True
            values[at[row]] = shorten(some[int(row)].as_py().decode(errors="replace"))
    if not bad.any():
        return loaded
    fault = Fault(SWALLOWED, SWALLOWED_REMEDY, loaded.rows[bad], [values[at] for at in np.flatnonzero(bad)])
    kept = {"table": loaded.table.filter(pa.array(~bad)), "rows": loaded.rows[~bad]}
    return replace(loaded, faults=(*loaded.faults, fault), **kept)


COUNTED = "rows are the entries of the list, from 1"


class _Twice(dict):
    """An object with a key given twice."""


KINDS = (dict, _Twice)


def read_records(path: Path, wanted: Collection[str]) -> Loaded:
    """Raises UserError for a file that is no such list; entries that are no sound objects come back as faults.

    NaN, which some write for what is missing, is null.
    """
    entries = _entries(path)
    faults = list(_faults(entries))
    good = np.setdiff1d(np.arange(len(entries)), faulty_rows(faults) - 1)
    objects = [{name: entries[at][name] for name in wanted if name in entries[at]} for at in good]
    rows = good + 1
    faults += [fault for fault in no_texts(objects, rows, wanted) if len(fault.rows)]
    read = columns(objects)
    named = set(read.column_names).union(*(entries[at] for at in good))
    unread = dict.fromkeys(sorted(named.difference(read.column_names)), pa.nulls(len(good)))
    table = pa.table({name: read[name] for name in read.column_names} | unread)
    return Loaded(table, rows, tuple(faults), COUNTED)


def _entries(path: Path) -> list:
    try:
        entries = json.loads(
            path.read_bytes().decode("utf-8-sig"), object_pairs_hook=_object, parse_constant=lambda _: None
        )
    except UnicodeDecodeError as cause:
        raise UserError(f"{path}: is not UTF-8 at byte {cause.start:,}; {UTF8_REMEDY}") from cause
    except (ValueError, RecursionError) as cause:
        raise UserError(f"{path}: cannot be read as JSON: {cause}; fetch it anew, or write it as .jsonl") from cause
    if not isinstance(entries, list):
        raise UserError(f"{path}: holds {shorten(entries)}, not a list of objects; write one list, or .jsonl")
    return entries


def _object(pairs: list[tuple]) -> dict:
    made = dict(pairs)
    return made if len(made) == len(pairs) else _Twice(made)


def _faults(entries: list) -> Iterator[Fault]:
    def told(problem: str, remedy: str, bad: list[bool]) -> Iterator[Fault]:
        if any(bad):
            at = np.flatnonzero(bad)
            yield Fault(problem, remedy, at + 1, [shorten(entries[one]) for one in at])

    yield from told("entry is no object", "write one JSON object for each row", [type(e) not in KINDS for e in entries])
    yield from told("a key is given twice", "keep one of the values", [type(e) is _Twice for e in entries])
    yield from told(
        "half a surrogate pair", "write the whole character", [type(e) is dict and _half(e) for e in entries]
    )


def _half(entry: dict) -> bool:
    """Whether a text in it stands for no character, as "\\ud800" alone does."""
    try:
        json.dumps(entry, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


ZIP = ".zip"


def members(path: Path, kinds: Collection[str]) -> Iterator[tuple[str, Path]]:
    """What a person calls each table of `path`, and where it lies while the caller holds it.

    Folders of an archive are looked into, hidden files are not. Raises UserError for an archive that cannot be
    unpacked and for one that holds no file of `kinds`.
    """
    if path.suffix.lower() != ZIP:
        yield str(path), path
        return
    with _opened(path) as archive, TemporaryDirectory() as folder:
        for name in _tables(path, archive, kinds):
            with _unpacking(path):
                place = Path(archive.extract(name, folder))
            yield f"{path}/{name}", place
            place.unlink()


def _tables(path: Path, archive: zipfile.ZipFile, kinds: Collection[str]) -> list[str]:
    names = [name for name in archive.namelist() if Path(name).suffix.lower() in kinds and not _hidden(name)]
    if not names:
        raise UserError(f"{path}: holds no {', '.join(kinds)}; give the archive's files themselves")
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise UserError(f"{path}: holds {', '.join(twice)} twice; unpack it and give the files that count")
    return names


def _hidden(name: str) -> bool:
    parts = Path(name).parts
    return name.endswith("/") or "__MACOSX" in parts or any(part.startswith(".") and part != ".." for part in parts)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    with _unpacking(path):
        archive = zipfile.ZipFile(path)
    with archive:
        yield archive


@contextmanager
def _unpacking(path: Path) -> Iterator[None]:
    """What goes wrong with an archive, as a UserError: zlib's error is of no kind of zipfile's."""
    try:
        yield
    except OSError as cause:
        raise UserError(
            f"{path}: cannot be unpacked: {cause.strerror or cause}; free space in the folder for temporary files, "
            "or unpack it and give its files"
        ) from cause
    except RuntimeError as cause:  # a password; NotImplementedError, a way of packing that Python does not know
        raise UserError(f"{path}: cannot be unpacked: {cause}; unpack it and give its files") from cause
    except (zipfile.BadZipFile, EOFError, ValueError, *_packers()) as cause:
        raise UserError(f"{path}: cannot be read as .zip: {cause}; fetch it anew") from cause


def _packers() -> tuple[type[Exception], ...]:
    import lzma
    import zlib

    return zlib.error, lzma.LZMAError


Reader = Callable[[Path, FileOptions, Collection[str]], Loaded]
BESIDE = ("quarantine.csv", "derive.json")  # what derive writes beside its output
INPUTS = ("judgements", "queries", "items", "taxonomy")


def check_inputs(options: DeriveOptions) -> None:
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


def read_inputs(given: str, setting: str, options: FileOptions, wanted: Mapping[str, bool]) -> dict[str, Part]:
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
                with parse_errors(Path(name)):
                    loaded = READERS[inner.suffix.lower()](inner, options, theirs)
            except UserError as error:
                raise rename_file(inner, error, name) from error
            parts[name] = choose_columns(name, loaded, setting, options, wanted)
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
    return swallowed_rows(read_delimited(path, delimiter, options.quotes), delimiter)


READERS: dict[str, Reader] = {
    ".parquet": _parquet,
    ".csv": lambda path, options, _: _delimited(path, options, ","),
    ".tsv": lambda path, options, _: _delimited(path, options, "\t"),
    ".jsonl": lambda path, options, wanted: read_jsonl(path, wanted),
    ".json": lambda path, options, wanted: read_records(path, wanted),
}
