"""A sweep's record and the files its report reads ↔ runs.zip, from which any machine makes the same report.

sweep.json                     cells in their order, runs, commands, metrics, commits, versions
cells/4f0c…/config.yaml        and test.parquet, validation.parquet, consistency.parquet, as the cell left them
data/3f55…/rows.parquet        without texts: entities are numbers, of two texts their length and overlap stand
data/3f55…/floor-lexical.parquet, floor-majority.parquet, implied-….parquet, quarantine.csv

It is a folder of outputs, and is read as one. The same runs give the same bytes.
"""

import io
import json
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from relevance import seal
from relevance.atomic_io import atomic_file
from relevance.cell_id import QUARANTINE, CellFolder, data_folder
from relevance.data.floors import FLOORS
from relevance.errors import UserError
from relevance.report.matrix import DAMAGED, Matrix
from relevance.report.rows import FINISHED
from relevance.report.sections.mistakes import MEASURED, SEEN, measured
from relevance.report.sections.taught import teachers
from relevance.tracking.records import CellRecord, SweepRecord, SweepRun

NAME = "runs.zip"
RECORD = "sweep.json"
FORMAT = 1  # raised where what is written could not be read by what was
ROWS = "rows.parquet"
FLOOR_FILES = tuple(f"floor-{name}.parquet" for name in FLOORS)
PAIRS = "implied-pairs.parquet"
IMPLIED = (PAIRS, "implied-mirrors.parquet", "implied-triangles.parquet")
COLUMNS = ("row", "split", "task", "label", "label_clean", "source", *SEEN)  # of rows.parquet, those that are there
TEXTLESS = ("file", "row", "problem", "remedy")  # columns of a list of rows set aside that hold no text of a pair
EPOCH = (1980, 1, 1, 0, 0, 0)  # of every member: the earliest a zip can say
DIGEST = re.compile(r"[0-9a-f]*")  # what names a folder
OTHER = re.compile(r"cells/([0-9a-f]{16})/test\.parquet")
UNREADABLE = (BadZipFile, zlib.error, EOFError, KeyError, ValueError, RuntimeError)  # of a member
BROKEN = (*UNREADABLE, TypeError, AttributeError)
REMEDY = "make it again with python -m relevance.report sweep=NAME runs=true"


def write_archive(sweep: SweepRecord, tables: list[Matrix], path: Path) -> None:
    """Write runs.zip of a sweep and its matrices to `path`: no text of a pair is in it."""
    with atomic_file(path) as part, ZipFile(part, "w") as file:
        for name, content in _members(sweep, tables):
            member = ZipInfo(name, EPOCH)
            member.create_system, member.external_attr = 3, 0o644 << 16  # on every system
            file.writestr(member, content, ZIP_DEFLATED, 9)


@contextmanager
def opened(path: Path, name: str | None = None) -> Iterator[SweepRecord]:
    """The sweep of a runs.zip, under its own name or `name`; its files lie in a folder that goes at the end.

    A cell of which a member is damaged is DAMAGED, as are those of a table of pairs of which one is. Raises UserError
    for a file that is no runs.zip, or of which no table is whole.
    """
    with TemporaryDirectory(prefix="relevance-") as folder:
        try:
            with ZipFile(path) as file:
                sweep = _unpacked(file, Path(folder), name)
        except BROKEN as error:
            raise UserError(f"archive {path}: no {NAME} of a report, or a damaged one ({error}); {REMEDY}") from error
        yield sweep


def _members(sweep: SweepRecord, tables: list[Matrix]) -> Iterator[tuple[str, bytes]]:
    """Names and contents, in an order of their own."""
    yield RECORD, _record(sweep).encode()
    for matrix in tables:
        folder = data_folder(Path(), matrix.digest)
        for name, content in _data(matrix):
            yield (folder / name).as_posix(), content
    for cell in sweep.cells:
        members = CellFolder.of(Path(), cell.fingerprint).reported
        for member, path in zip(members, cell.files.reported, strict=True):
            if path.is_file():
                yield member.as_posix(), path.read_bytes()
    known = {cell.folder.name for cell in sweep.cells}
    for name in dict.fromkeys(name for matrix in tables for name in teachers(matrix) if name not in known):
        files = CellFolder.of(sweep.outputs, name)  # of another sweep: its vote alone is shown
        if files.test.is_file():
            yield CellFolder.of(Path(), name).test.as_posix(), files.test.read_bytes()


def _record(sweep: SweepRecord) -> str:
    cells = [{key: value for key, value in asdict(cell).items() if key != "folder"} for cell in sweep.cells]
    content = {"format": FORMAT, "name": sweep.name, "runs": [asdict(run) for run in sweep.runs], "cells": cells}
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _data(matrix: Matrix) -> Iterator[tuple[str, bytes]]:
    path = matrix.tested.path
    yield ROWS, _parquet(_rows(matrix))
    for name in FLOOR_FILES:
        yield name, path.with_name(name).read_bytes()
    for name in IMPLIED:
        if path.with_name(name).is_file():  # where no cell scored implied pairs there are none
            table = pq.read_table(path.with_name(name))
            yield name, _parquet(table.select(["row", "task"]) if name == PAIRS else table)
    if matrix.aside:
        yield QUARANTINE, textless(matrix.aside)


def _rows(matrix: Matrix) -> pa.Table:
    """The table of pairs with numbers for its entities, and for its texts what slices are made of; of test rows."""
    path, tested = matrix.tested.path, matrix.tested
    known = pq.read_schema(path).names
    table = pq.read_table(path, columns=[name for name in COLUMNS if name in known])
    test = pc.equal(table["split"], "test").to_numpy()
    texts = dict(zip(MEASURED, measured(tested), strict=True))
    columns = {"left_id": tested.left, "right_id": tested.right, **texts}
    return pa.table(
        {name: table[name] for name in table.column_names}
        | {name: _spread(values, test) for name, values in columns.items()}
    )


def _spread(values: np.ndarray, test: np.ndarray) -> pa.Array:
    """A column of all rows [N] from the values of the test rows [T]; null elsewhere."""
    column = np.zeros(len(test), values.dtype)
    column[test] = values
    return pa.array(column, mask=~test)


def _parquet(table: pa.Table) -> bytes:
    written = io.BytesIO()
    pq.write_table(table.combine_chunks(), written, compression="zstd")  # in chunks or not, the same bytes
    return written.getvalue()


def textless(aside: bytes) -> bytes:
    """The list as csv without values and cells; of one that has none, the same bytes."""
    names = pa.csv.open_csv(io.BytesIO(aside)).schema.names
    shown = [name for name in TEXTLESS if name in names]
    as_texts = pa.csv.ConvertOptions(include_columns=shown, column_types=dict.fromkeys(shown, pa.string()))
    lines = pa.csv.ParseOptions(newlines_in_values=True)
    written = io.BytesIO()
    pa.csv.write_csv(pa.csv.read_csv(io.BytesIO(aside), parse_options=lines, convert_options=as_texts), written)
    return written.getvalue()


def _unpacked(file: ZipFile, outputs: Path, name: str | None) -> SweepRecord:
    content = json.loads(file.read(RECORD))
    if content["format"] != FORMAT:
        raise ValueError(f"its format is {content['format']}, this version reads {FORMAT}")
    cells = tuple(
        CellRecord(**cell, folder=CellFolder.of(outputs, _digest(cell["fingerprint"])).path)
        for cell in content["cells"]
    )
    sweep = SweepRecord(name or content["name"], outputs, cells, tuple(SweepRun(**run) for run in content["runs"]))
    there, faults = set(file.namelist()), dict[Path, str]()
    for path, needed in (*_files(sweep), *_others(sweep, there)):
        member = path.relative_to(outputs).as_posix()
        if needed or member in there:
            try:
                content = file.read(member)
            except UNREADABLE as error:
                faults[path.parent] = f"{member} is damaged ({error})"
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            if path.name == ROWS:
                seal.write(path, path.parent.name)  # without its texts it has another digest than its folder
    return _without(sweep, faults, f"archive {file.filename}")


def _files(sweep: SweepRecord) -> Iterator[tuple[Path, bool]]:
    """Where the files of these cells and of their data lie, and whether one must be there."""
    for digest in sweep.tables:
        folder = data_folder(sweep.outputs, _digest(digest))
        yield from ((folder / name, True) for name in (ROWS, *FLOOR_FILES))
        yield from ((folder / name, False) for name in (*IMPLIED, QUARANTINE))
    for cell in sweep.cells:
        yield from ((path, cell.status == FINISHED and path == cell.files.test) for path in cell.files.reported)


def _others(sweep: SweepRecord, there: set[str]) -> Iterator[tuple[Path, bool]]:
    """The test predictions of cells of other sweeps, which teach some of this one."""
    known = {cell.folder.name for cell in sweep.cells}
    for name in sorted(name for match in map(OTHER.fullmatch, there) if match and (name := match[1]) not in known):
        yield CellFolder.of(sweep.outputs, name).test, False


def _without(sweep: SweepRecord, faults: dict[Path, str], archive: str) -> SweepRecord:
    """The sweep in which what is wrong with the folder of a cell or of its table is said of the cell."""
    tables = {digest: faults.get(data_folder(sweep.outputs, digest), "") for digest in sweep.tables}
    if tables and all(tables.values()):
        raise BadZipFile(next(iter(tables.values())))

    def stated(cell: CellRecord) -> CellRecord:
        table = tables.get(cell.data_digest, "")
        cell = replace(cell, data_digest="" if table else cell.data_digest)
        why = table or faults.get(cell.folder, "")
        wrong = why and cell.status == FINISHED
        return replace(cell, status=DAMAGED, reason=f"{archive}: {why}; {REMEDY}") if wrong else cell

    return replace(sweep, cells=tuple(map(stated, sweep.cells)))


def _digest(text: str) -> str:
    """A digest, which alone may name a folder: no name of a stranger's leads out of the one that is read."""
    if not DIGEST.fullmatch(text):
        raise ValueError(f"{text!r} is no digest")
    return text
