"""A trained cell as a person names it → the cell, and the folder of its model.

ce-mh-joint-s0, ce-mh (where nothing else begins so), 5d41 (of a run id), outputs/cells/1b5c917cff1df14c, best, best:ce
→ CellRecord("ce-mh-joint-s0", …), outputs/cells/1b5c917cff1df14c/model
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from relevance.cell_id import CellFolder
from relevance.errors import UserError
from relevance.tracking.history import LISTED, cell_record, parents_named, store_at, sweep_cells, tagged_cell
from relevance.tracking.records import CellRecord
from relevance.tracking.store import Store, newest_finished
from relevance.tracking.summary import BEST, best

SHORTEST = 4  # characters of an id
SHOWN = 5  # cells that an error offers
MODEL_MARK = "template.json"  # stands in a model folder, and in an exported one beside one of these
EXPORTED = ("config.json", "adapter_config.json")


@dataclass(frozen=True)
class Choice:
    """Cells of which a person may name one."""

    cells: Sequence[CellRecord]
    place: str  # where they are: "sweep nightly"
    replaced: Sequence[CellRecord] = ()  # earlier runs of theirs, of which no files are left; known by run id alone

    def named(self, word: str) -> CellRecord:
        """The cell of this name or run id, or the one that begins so, or the best; UserError where none is, or several.

        Of equal names, as numerics or settings that no name shows have changed, the one that finished.
        """
        first, _, model = word.partition(":")
        if first == BEST:
            return best(self.cells, model, self.place)
        matching = self.matching(word)
        if len({cell.cell for cell in matching}) == 1:
            matching = [cell for cell in matching if cell.status == "FINISHED"] or matching
        if len(matching) > 1:
            raise UserError(
                f"{word}: is the beginning of several of {self.place}: {_shown(matching)}; write more of it, give a "
                "run id, or sweep=NAME"
            )
        if not matching:
            raise UserError(self._absent(word))
        if matching[0] in self.replaced:
            raise UserError(self._late(matching[0]))
        return matching[0]

    def matching(self, word: str) -> list[CellRecord]:
        """The cells of this name or id, without one those that begin so."""
        long = len(word) >= SHORTEST
        known = [(cell, names(cell), ids(cell)) for cell in self.cells]
        called = [cell for cell, named, known_ids in known if word in (*named, *known_ids)]
        replaced = [cell for cell in self.replaced if long and cell.run_id.startswith(word)]
        return called or [
            *(cell for cell, named, known_ids in known if _begins(named, word) or (long and _begins(known_ids, word))),
            *replaced,
        ]

    def _absent(self, word: str) -> str:
        known = {name: cell for cell in self.cells for name in names(cell)}
        near = difflib.get_close_matches(word, [*known, BEST], n=3)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        neither = "a folder without a model, and no run" if Path(word).is_dir() else "neither a folder nor a run"
        return (
            f"{word}: {neither} of {self.place}, and no cell is called so; {hint}there are, newest "
            f"first: {_shown(self.cells)}; or give {BEST}"
        )

    def _late(self, cell: CellRecord) -> str:
        newest = next(other.run_id for other in self.cells if other.fingerprint == cell.fingerprint)
        return (
            f"{cell.run_id}: {cell.status}, and what its cell {cell.cell} keeps is of its run {newest}; give that one, "
            "or serve this one from MLflow where it finished (mlflow models serve -m runs:/…/model)"
        )


def names(cell: CellRecord) -> tuple[str, str]:
    """What a cell is called: as everything shows it, and whole where that is cut."""
    middle = f"[{cell.variant}]" if cell.variant else ""
    return cell.cell, f"{cell.model}-{cell.routing}{middle}-{cell.task_mix}-s{cell.seed}"


def _begins(texts: Sequence[str], word: str) -> bool:
    return any(text.startswith(word) for text in texts)


def ids(cell: CellRecord) -> tuple[str, str]:
    """Its run, and the name of its folder."""
    return cell.run_id, cell.folder.name


def model_folder(word: str, uri: str, experiment: str, outputs: Path, sweeps: Sequence[str] = ()) -> Path:
    """The folder of a cell's model: of a folder, or of the cell that `word` names in the MLflow store at `uri`.

    Named are the cells of these sweeps, without any those of the experiment; the best is of the newest sweep then.
    Raises UserError where there is none.
    """
    folder, is_path = Path(word).expanduser(), "/" in word or word.startswith((".", "~"))
    if is_path and not folder.is_dir():
        raise UserError(f"{word}: no such folder; give a cell's folder ({outputs}/cells/…), its name or its run id")
    if is_path and any((folder / name).is_file() for name in EXPORTED):
        raise UserError(f"{word}: is an exported folder, which transformers or peft loads; name the cell itself")
    if not is_path and (word.partition(":")[0] == BEST or not _model_in(folder)):
        folder = choice(store_at(uri, experiment, outputs), sweeps, word).named(word).folder
    if model := _model_in(folder):
        return model
    raise UserError(
        f"{word}: no model in {folder}; a cell keeps one with save=all (the default): train it again with "
        "save=all rerun=true"
    )


def choice(store: Store, sweeps: Sequence[str], word: str = "") -> Choice:
    """The cells of these sweeps, without any the experiment or, for `best`, the newest; UserError for a sweep."""
    runs = store.runs("tags.kind = 'cell'")
    if sweeps or word.partition(":")[0] == BEST:
        parents = parents_named(store, list(sweeps))
        place = f"sweep {'+'.join(run.info.run_name for run in parents)} in {store.shown}"
        return Choice(sweep_cells(store, parents, runs), place)
    newest = {run.info.run_id for run in newest_finished(runs).values()}
    tagged = [run for run in runs if LISTED - {"cell"} <= run.data.tags.keys()]
    records = [cell_record(tagged_cell(run.info.run_name, run.data.tags), run, store.outputs) for run in tagged]
    place = f"experiment {store.experiment} in {store.shown}"
    cells = [cell for cell in records if cell.run_id in newest]
    able = Choice(cells, place, [cell for cell in records if cell.run_id not in newest])
    named = [run.info for run in store.runs("tags.kind = 'sweep'") if word in (run.info.run_id, run.info.run_name)]
    if named and not able.matching(word):
        name = named[0].run_name
        raise UserError(
            f"{word}: is the run of {name}, a sweep and not a cell; give one of its cells, or {BEST} with sweep={name}"
        )
    return able


def _model_in(folder: Path) -> Path | None:
    """The model folder that a cell's folder holds, or that it is."""
    for place in (folder, CellFolder(folder).model):
        if (place / MODEL_MARK).is_file() and not any((place / name).is_file() for name in EXPORTED):
            return place
    return None


def _shown(cells: Sequence[CellRecord]) -> str:
    """The first of them, as one may paste them."""
    listed = [f"{cell.run_id} ({cell.cell})" if cell.run_id else cell.cell for cell in cells[:SHOWN]]
    return ", ".join(listed + ["…"] * (len(cells) > SHOWN)) or "none"
