"""Who teaches a cell, as a person names it → the folders of cells, checked before anything trains.

train.teacher=[best:ce-mhp,llm-mhp] → train.teacher=[1b5c917cff1df14c,9f2c41d07be35a66]    in the order of their names
train.unlabelled=clicks.csv → train.unlabelled=90c1aa12d8f0e7b4, a table of its own

So the question of a cell holds its teachers' fingerprints, and no name that may come to mean another cell.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pyarrow.compute as pc

from relevance.cell_id import CellFolder, Request
from relevance.config import Config, Mix, TrainConfig
from relevance.data.table import Rows
from relevance.data.taught import prepare_unlabelled
from relevance.data.tokens import Reading
from relevance.errors import UserError
from relevance.predictions import cell_fault
from relevance.tracking.history import recorded_cell, store_at
from relevance.tracking.names import SHORTEST, Choice, choice, ids, model_folder, names
from relevance.tracking.summary import BEST

TEACHING = ("teacher_sweep", "teacher_weight", "teacher_temperature", "unlabelled")  # of use to a taught cell alone
UNTAUGHT = TrainConfig()
SETTLED = ("train.teacher", "train.teacher_sweep", "train.unlabelled")
NAMED = "train.teacher="  # in the variant of a taught cell


def taught(requests: list[Request], datasets: dict[str, Rows]) -> tuple[list[Request], dict[str, Rows]]:
    """The requests with teachers and unlabelled pairs named by their folders, or with the reason why that cannot be.

    Beside them the tables of unlabelled pairs, by folder. Of a command with taught cells the settings of TEACHING are
    theirs alone; its other cells keep the defaults.
    """
    tables: dict[tuple[str, str], Rows] = {}
    teaching = any(request.config.train.teacher for request in requests)
    answered = []
    for request in requests:
        config = request.config
        try:
            if request.refusal:
                answered.append(request)
            elif config.train.teacher:
                path, data = key = (config.train.unlabelled or "", repr(config.data))
                rows = datasets[data]
                if path and key not in tables:  # of one file once
                    tables[key] = prepare_unlabelled(path, config.data, rows.path, Path(config.outputs))
                answered.append(_taught(request, rows, tables.get(key)))
            else:
                answered.append(replace(request, config=replace(config, train=_untaught(config.train, teaching))))
        except UserError as error:
            answered.append(replace(request, refusal=str(error)))
    return answered, {rows.digest[:16]: rows for rows in tables.values()}


def _taught(request: Request, rows: Rows, unlabelled: Rows | None) -> Request:
    config = request.config
    teachers = _teachers(config, rows, [rows, unlabelled] if unlabelled else [rows])
    digest = unlabelled.digest[:16] if unlabelled else None
    train = replace(config.train, teacher=teachers, teacher_sweep=None, unlabelled=digest)
    # what came from the environment is settled now
    left = {path: text for path, text in request.unresolved.items() if path not in SETTLED}
    return replace(request, config=replace(config, train=train), unresolved=left)


def _untaught(train: TrainConfig, teaching: bool) -> TrainConfig:
    changed = [name for name in TEACHING if getattr(train, name) != getattr(UNTAUGHT, name)]
    if changed and not teaching:
        named = ", ".join(f"train.{name}={getattr(train, name)}" for name in changed)
        raise UserError(f"{named}: no cell of this command has a teacher; give train.teacher=[CELL,CELL]")
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
        why = str(error).removeprefix(f"{word}: ")
        raise UserError(f"train.teacher={word}: {why}") from error
    if folder.resolve().parent != (outputs / "cells").resolve():
        raise UserError(f"train.teacher={word}: lies outside {outputs / 'cells'}; copy its folder there")
    return CellFolder(outputs / "cells" / folder.resolve().name)


def _exactly(word: str, called: Iterable[str], known: Iterable[str]) -> bool:
    return word in called or (len(word) >= SHORTEST and any(each.startswith(word) for each in known))


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
