"""Who teaches a cell, as a person names it → the folders of cells, checked before anything trains.

train.teacher=[best:ce-mhp,llm-mhp] → train.teacher=[1b5c917cff1df14c,9f2c41d07be35a66]    in the order of their names
train.unlabelled=clicks.csv → train.unlabelled=90c1aa12d8f0e7b4, a table of its own

So the question of a cell holds its teachers' fingerprints, and no name that may come to mean another cell.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pyarrow.compute as pc

from relevance.cell_id import CellFolder, Request
from relevance.config import Config, Mix, TrainConfig
from relevance.data.table import Rows
from relevance.data.tokens import Reading
from relevance.data.unlabelled import prepare_unlabelled
from relevance.errors import UserError
from relevance.predictions import cell_fault
from relevance.tracking.best import BEST
from relevance.tracking.history import recorded_cell, store_at
from relevance.tracking.names import Choice, choice, ids, model_folder, names

TEACHING = ("teacher_sweep", "teacher_weight", "teacher_temperature", "unlabelled")  # of use to a taught cell alone
UNTAUGHT = TrainConfig()
NAMED = "train.teacher="  # in the variant of a taught cell
Prepare = Callable[[str, Config, Rows], Rows]


def taught(requests: list[Request], datasets: dict[str, Rows]) -> tuple[list[Request], list[str], dict[str, Rows]]:
    """The requests with teachers and unlabelled pairs named by their folders, or with the reason why that cannot be.

    Beside them notes for a person, and the tables of unlabelled pairs by the name of their folder. Of a command with
    taught cells the settings of TEACHING are theirs alone; its other cells keep the defaults.
    """
    tables: dict[str, Rows] = {}

    @cache
    def unlabelled(path: str, key: str, outputs: Path) -> str:
        rows, data = datasets[key], next(r.config.data for r in requests if repr(r.config.data) == key)
        table = prepare_unlabelled(path, data, rows.path, outputs)
        tables[table.digest[:16]] = table
        return table.digest[:16]

    def resolved(request: Request) -> Request:
        config, train = request.config, request.config.train
        if not train.teacher:
            return replace(request, config=replace(config, train=_untaught(train, teaching)))
        key = repr(config.data)
        path, rows = train.unlabelled, datasets[key]
        digest = unlabelled(path, key, Path(config.outputs)) if path else None
        teachers = _teachers(config, rows, [rows, tables[digest]] if digest else [rows])
        train = replace(train, teacher=teachers, teacher_sweep=None, unlabelled=digest)
        left = {key: text for key, text in request.unresolved.items() if not key.startswith("train.")}
        return replace(request, config=replace(config, train=train), unresolved=left)

    teaching = any(request.config.train.teacher for request in requests)
    answered = []
    for request in requests:
        try:
            answered.append(request if request.refusal else resolved(request))
        except UserError as error:
            answered.append(replace(request, refusal=str(error)))
    return answered, [note for table in tables.values() for note in table.notes], tables


def _untaught(train: TrainConfig, teaching: bool) -> TrainConfig:
    changed = [name for name in TEACHING if getattr(train, name) != getattr(UNTAUGHT, name)]
    if changed and not teaching:
        given = ", ".join(f"train.{name}={getattr(train, name)}" for name in changed)
        raise UserError(f"{given}: no cell of this command has a teacher; give train.teacher=[CELL,CELL]")
    return replace(train, **{name: getattr(UNTAUGHT, name) for name in changed})


def _teachers(config: Config, rows: Rows, tables: list[Rows]) -> list[str]:
    """The folders of the cells that teach a cell, by name; UserError for one that cannot, or is named twice."""
    known: dict[str, str] = {}
    for word in config.train.teacher:
        files = _folder(word, config)
        name = files.path.name
        if name in known:
            raise UserError(f"train.teacher={word}: is the same cell as {known[name]}; name each once")
        _check(f"train.teacher={word}", files, rows, _tasks(config, tables))
        known[name] = word
    return sorted(known)


def _tasks(config: Config, tables: list[Rows]) -> list[str]:
    """The tasks that a cell trains on."""
    if config.task_mix.kind is Mix.single:
        return [config.task_mix.task or ""]
    columns = [table.table["task"].cast("string") for table in tables]
    return sorted({task for column in columns for task in pc.unique(column).to_pylist()})


def _folder(word: str, config: Config) -> CellFolder:
    """The folder of the cell that a word means; UserError where it is none of this project's outputs, or unfinished.

    A taught cell teaches only by its id or whole name: else a beginning, or the best, would mean the pupil itself when
    the same command is given again.
    """
    outputs, place = Path(config.outputs), (config.tracking_uri, config.experiment, Path(config.outputs))
    sweeps = [config.train.teacher_sweep] if config.train.teacher_sweep else []
    if word.partition(":")[0] == BEST and not sweeps:
        raise UserError(f"train.teacher={word}: of which sweep? give train.teacher_sweep=NAME")
    try:
        if "/" in word or word.startswith((".", "~")):
            folder = model_folder(word, *place).parent
        else:
            able = choice(store_at(*place), sweeps, word)
            cells = [cell for cell in able.cells if NAMED not in cell.variant or _exactly(word, names(cell), ids(cell))]
            cell = Choice(cells, able.place, able.replaced).named(word)
            folder = cell.folder
            if cell.status != "FINISHED":
                raise UserError(f"{word}: its cell {cell.cell} is {cell.status}; finish it first")
            model_folder(f"{folder.absolute()}", *place)
    except UserError as error:
        raise UserError(f"train.teacher={error}") from error
    if folder.resolve().parent != (outputs / "cells").resolve():
        raise UserError(f"train.teacher={word}: lies outside {outputs / 'cells'}; copy its folder there")
    return CellFolder(outputs / "cells" / folder.resolve().name)


def _exactly(word: str, called: Iterable[str], known: Iterable[str]) -> bool:
    return word in called or any(each.startswith(word) for each in known)


def _check(setting: str, files: CellFolder, rows: Rows, tasks: list[str]) -> None:
    """UserError where a cell did not finish, is damaged, or knows other data or fewer tasks than its pupil."""
    cell = recorded_cell(files.path)
    if not files.test.is_file() or cell.status != "FINISHED":
        raise UserError(f"{setting}: did not finish; finish it first")
    if why := cell_fault(files):
        raise UserError(f"{setting}: {why}; train that cell again with rerun=true")
    if cell.data_digest != rows.digest:
        digests = f"pairs {cell.data_digest[:12]}, and this cell on {rows.digest[:12]}"
        raise UserError(f"{setting}: {cell.cell} was trained on {digests}; name a cell of the same pairs")
    if unknown := [task for task in tasks if task in Reading.of(files.model).unknown(tasks)]:
        raise UserError(f"{setting}: {cell.cell} never learnt {', '.join(unknown)}; name a cell of all tasks")
