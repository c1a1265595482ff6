"""What MLflow remembers of a sweep → the record that the report reads; a trained cell as a person names it → its model.

sweep_record("sqlite:///mlflow.db", "relevance", Path("outputs"), []) → SweepRecord("sweep-1f0c9a2e", cells=(...))
outputs/cells/1b5c917cff1df14c, outputs/cells/1b5c917cff1df14c/model, 0f9c2e… (run id) → outputs/cells/1b5c…/model
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from relevance.cell_id import CellFolder
from relevance.cli import echo
from relevance.config_io import database_file
from relevance.errors import UserError
from relevance.masking import mask_uris
from relevance.tracking import CELLS, Record, Run, Store
from relevance.tracking.liveness import taken_up
from relevance.tracking.records import CellRecord, MlflowRun, SweepRecord, SweepRun
from relevance.tracking.shown import numbers
from relevance.tracking.store import newest_finished
from relevance.tracking.summary import describe

NAMED = 5  # cells an error offers instead of a run that is not there
LISTED = {"cell", "model", "routing", "task_mix", "variant", "seed", "fingerprint", "data_digest"}  # of each cell
MODEL_MARK = "template.json"  # stands in a model folder and nowhere else


def sweep_record(uri: str, experiment: str, outputs: Path, names: list[str], name: str | None = None) -> SweepRecord:
    """Everything the report needs of the sweeps with these names, read as one; of none, of the newest sweep.

    `name` is what the whole is called, null: the names joined. Raises UserError for a sweep that is not there.
    """
    store = store_at(uri, experiment, outputs)
    parents = parents_named(store, names)
    best = newest_finished(store.runs("tags.kind = 'cell'"))
    listed = {cell_key(entry): entry for parent in parents for entry in asked_cells(store, parent)}
    cells = tuple(_detailed(cell_record(entry, best.get(key), outputs)) for key, entry in listed.items())
    runs = tuple(
        SweepRun(run.info.run_name, run.info.run_id, mask_uris(command), run.data.tags["fingerprint"])
        for run, command in ((parent, parent.data.tags.get("command", "")) for parent in parents)
    )
    return SweepRecord(name or "+".join(run.name for run in runs), outputs, cells, runs)


def parents_named(store: Store, names: list[str]) -> list[MlflowRun]:
    """The newest parent run of each name, or of all."""
    sweeps = store.runs("tags.kind = 'sweep'")
    known = ", ".join(dict.fromkeys(run.info.run_name for run in sweeps)) or "none"
    newest = []
    for name in names or [""]:
        chosen = [run for run in sweeps if name in ("", run.info.run_name)]
        if not chosen:
            which = f"sweep={name}: no such sweep" if name else "no sweep yet"
            raise UserError(f"{which} in {store.shown} (known: {known}); train one with python -m relevance.run -m ...")
        # the sweep touched last, not the one made last: asked again, a sweep keeps its first start time
        newest.append(max(chosen, key=lambda run: taken_up(run.data.tags)))
    return newest


def asked_cells(store: Store, run: MlflowRun) -> list[dict[str, Any]]:
    """The cells a sweep asked for; raises UserError where its list is gone, or no such list."""
    try:
        with store.reached():
            listed = json.loads(store.text(run, CELLS))
        if not all(set(entry) >= LISTED for entry in listed):
            raise ValueError(f"{CELLS} lists no cells")
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"sweep {run.info.run_name}: its list of cells is gone ({error}); give its command again, which skips "
            f"finished cells: {run.data.tags.get('command', '')}"
        ) from error
    return listed


def cell_key(listed: dict[str, Any]) -> str:
    """What tells the cells of a list apart; one that cannot be may have no fingerprint."""
    return listed["fingerprint"] or listed["cell"]


def cell_record(listed: dict[str, Any], run: MlflowRun | None, outputs: Path) -> CellRecord:
    tags = run.data.tags if run else {}
    files = CellFolder.of(outputs, listed["fingerprint"])
    gone = run is not None and run.info.status == "FINISHED" and not files.test.is_file()
    params = run.data.params if run else {}
    end = {
        "status": "MISSING" if run is None or gone else run.info.status,
        "reason": "its predictions are gone; the same sweep trains it again" if gone else tags.get("reason", ""),
    }
    return CellRecord(
        **{**end, **listed},  # a refused cell is listed with its status and reason
        family=params.get("family", ""),
        precision=params.get("precision", ""),
        run_id=run.info.run_id if run else "",
        experiment=run.info.experiment_id if run else "",
        git_sha=tags.get("git_commit", ""),
        dirty=tags.get("git_dirty") == "true",
        folder=files.path,
        metrics=numbers(run.data) if run else {},
        versions=_versions(tags),
        backbone=params.get("backbone", ""),
        revision=params.get("revision", ""),
    )


def _versions(tags: dict[str, str]) -> dict[str, str]:
    """Those that a cell logged; {} where a person removed or changed the tag."""
    try:
        return dict(**json.loads(tags.get("versions", "{}")))
    except (ValueError, TypeError):
        return {}


def _detailed(cell: CellRecord) -> CellRecord:
    """With what its record alone knows, such as probes."""
    try:
        known = Record(cell.folder).metrics() if cell.status == "FINISHED" else {}
    except UserError:  # damaged: a report finds by the seal of the folder that it is, and says so
        known = {}
    return replace(cell, metrics={**known, **cell.metrics})


def keep(uri: str, experiment: str, outputs: Path, sweep: SweepRecord, folder: Path) -> None:
    """Log a report with its sweeps' runs, its answer as their description, and print links to them.

    A reader who may not write there is told so, and has it all the same.
    """
    store = Store(uri, experiment, outputs)
    try:
        with store.reached():
            for run in (Run(store, run.run_id) for run in sweep.runs):
                run.folder(folder, "report")
                lines = describe(run, sweep.cells, folder)
        echo(*lines)
    except (UserError, OSError) as error:
        echo(f"{folder}: is not kept with its sweep in MLflow ({error})")


def model_folder(cell: str, uri: str, experiment: str, outputs: Path) -> Path:
    """The folder that holds the cell's model; raises UserError where there is none.

    A name that is no folder is the id of a run in `experiment` of the MLflow store at `uri`, trained under `outputs`.
    """
    folder = Path(cell).expanduser()
    if not folder.is_dir():
        if "/" in cell:
            raise UserError(f"{cell}: no such folder; give a cell's folder ({outputs}/cells/…) or its run id")
        folder = folder_of(uri, experiment, outputs, cell)
    for place in (folder, CellFolder(folder).model):
        if (place / MODEL_MARK).is_file():
            return place
    raise UserError(
        f"{cell}: no model in {folder}; a cell keeps one with save=all (the default): train it again with "
        "save=all rerun=true"
    )


def folder_of(uri: str, experiment: str, outputs: Path, run_id: str) -> Path:
    """The folder of the cell that a run trained; UserError for a run that is not there, or a sweep's."""
    store = store_at(uri, experiment, outputs)
    runs = store.runs(f"attributes.run_id = '{run_id}'") if run_id.isalnum() else []
    if not runs:
        cells = [f"{run.info.run_id} ({run.info.run_name})" for run in store.runs("tags.kind = 'cell'")[:NAMED]]
        raise UserError(
            f"{run_id}: neither a folder nor a run of experiment {experiment} in {store.shown}; give a cell's folder "
            f"or its run id, among the newest: {', '.join(cells) or 'none'}"
        )
    tags, name = runs[0].data.tags, runs[0].info.run_name
    if tags.get("kind") != "cell":
        raise UserError(f"{run_id}: is the run of {name}, a sweep and not a cell; give the run id of one of its cells")
    best = newest_finished(store.runs("tags.kind = 'cell'"))[tags["fingerprint"]].info.run_id
    if best != run_id:
        raise UserError(
            f"{run_id}: {runs[0].info.status}, and what its cell {name} keeps is of its run {best}; give that one, or "
            "serve this one from MLflow where it finished (mlflow models serve -m runs:/…/model)"
        )
    return CellFolder.of(outputs, tags["fingerprint"]).path


def store_at(uri: str, experiment: str, outputs: Path) -> Store:
    database = database_file(uri)
    if database and not database.is_file():
        raise UserError(f"tracking_uri={uri}: no such file; train a sweep first, or give tracking_uri=URI of its store")
    return Store(uri, experiment, outputs, reads=True)
