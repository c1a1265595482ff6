"""What MLflow remembers of a sweep → the record that the report reads.

sweep_record("sqlite:///mlflow.db", "relevance", Path("outputs"), []) → SweepRecord("sweep-1f0c9a2e", cells=(...))
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
from relevance.tracking.records import CellRecord, MlflowRun, SweepRecord, SweepRun, numbers
from relevance.tracking.store import newest_finished
from relevance.tracking.summary import describe

LISTED = {"cell", "model", "routing", "task_mix", "variant", "seed", "fingerprint", "data_digest"}  # of each cell


def sweep_record(uri: str, experiment: str, outputs: Path, names: list[str], name: str | None = None) -> SweepRecord:
    """Everything the report needs of the sweeps with these names, read as one; of none, of the newest sweep.

    `name` is what the whole is called, null: the names joined. Raises UserError for a sweep that is not there.
    """
    store = store_at(uri, experiment, outputs)
    parents = parents_named(store, names)
    cells = tuple(map(_detailed, sweep_cells(store, parents, store.runs("tags.kind = 'cell'"))))
    runs = tuple(
        SweepRun(run.info.run_name, run.info.run_id, mask_uris(command), run.data.tags["fingerprint"])
        for run, command in ((parent, parent.data.tags.get("command", "")) for parent in parents)
    )
    return SweepRecord(name or "+".join(run.name for run in runs), outputs, cells, runs)


def sweep_cells(store: Store, parents: list[MlflowRun], runs: list[MlflowRun]) -> list[CellRecord]:
    """The cells that these sweeps asked for, each once and in their order; `runs` are those of all cells."""
    best = newest_finished(runs)
    listed = {cell_key(entry): entry for parent in parents for entry in asked_cells(store, parent)}
    return [cell_record(entry, best.get(key), store.outputs) for key, entry in listed.items()]


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
        learnt=tags.get("learnt") != "nothing",
    )


def _versions(tags: dict[str, str]) -> dict[str, str]:
    """Those that a cell logged; {} where a person removed or changed the tag."""
    try:
        return dict(**json.loads(tags.get("versions", "{}")))
    except (ValueError, TypeError):
        return {}


def recorded_cell(folder: Path) -> CellRecord:
    """A finished cell as its folder alone tells, wherever it lies; UserError where its record is absent or damaged."""
    record = Record(folder)
    start = record.last("start")
    if not start:
        raise UserError(f"{folder}: has no record of a cell; copy the whole folder from where it was trained")
    cell = cell_record(tagged_cell(start["name"], record.tags()), None, folder)
    return replace(cell, status=record.ended(), folder=folder, metrics=record.metrics())


def tagged_cell(name: str, tags: dict[str, str]) -> dict[str, Any]:
    """What a sweep's list says of a cell, by the tags of its run; KeyError where a person removed one."""
    return {key: tags[key] for key in LISTED - {"cell"}} | {"cell": name, "seed": int(tags["seed"])}


def _detailed(cell: CellRecord) -> CellRecord:
    """With what its record alone knows, such as probes."""
    try:
        known = Record(cell.folder).metrics() if cell.status == "FINISHED" else {}
    except UserError:  # damaged: a report finds by the seal of the folder that it is, and says so
        known = {}
    return replace(cell, metrics={**known, **cell.metrics})


def keep(uri: str, experiment: str, outputs: Path, sweep: SweepRecord, folder: Path) -> None:
    """Log a report with its sweeps, its answer as their description; who may not write there is told so."""
    store = Store(uri, experiment, outputs)
    try:
        with store.reached():
            for run in (Run(store, run.run_id) for run in sweep.runs):
                run.folder(folder, "report")
                lines = describe(run, sweep.cells, folder)
        echo(*lines)
    except (UserError, OSError) as error:
        echo(f"{folder}: is not kept with its sweep in MLflow ({error})")


def store_at(uri: str, experiment: str, outputs: Path) -> Store:
    database = database_file(uri)
    if database and not database.is_file():
        raise UserError(f"tracking_uri={uri}: no such file; train a sweep first, or give tracking_uri=URI of its store")
    return Store(uri, experiment, outputs, reads=True)
