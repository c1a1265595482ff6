"""A sweep in MLflow, looked at again and again → where it stands.

Looks("sqlite:///mlflow.db", "relevance", Path("outputs"), []).look() → Standing("sweep-1f0c9a2e", cells=(...))
"""

import time
from pathlib import Path
from typing import Any

from relevance.history import asked_cells, cell_key, cell_record, newest_finished, parents_named, store_at
from relevance.records import CellStanding, RunRecord, Standing

WHOLE = 60.0  # seconds between two looks at all runs; a thousand take seconds to read
JUST = 60.0  # a run that ended less than so many seconds before the last look is read again


class Looks:
    """A sweep looked at again and again; what has ended is read once a minute, lest the looks slow the cells down."""

    def __init__(self, uri: str, experiment: str, outputs: Path, names: list[str]):
        self._store, self._names = store_at(uri, experiment, outputs), names
        self._runs: dict[str, Any] = {}  # of all cells, by id
        self._lists: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self._looked = self._whole_from = 0.0

    def look(self) -> Standing:
        """Where the sweep stands now; raises UserError where it is not there, or the store does not answer."""
        with self._store.reached():
            parents = parents_named(self._store, self._names)
            self._read()
            listed = [(parent, entry) for parent in parents for entry in self._list(parent)]
        self._names = [run.info.run_name for run in parents]  # a later look stays with the sweep of the first
        return self._standing(parents, listed)

    def _read(self) -> None:
        now = time.time()
        if now < self._whole_from:
            since = int((self._looked - JUST) * 1000)
            running = self._store.runs("tags.kind = 'cell' and attributes.status = 'RUNNING'")
            ended = self._store.runs(f"tags.kind = 'cell' and attributes.end_time >= {since}")
            seen = {run.info.run_id: run for run in running + ended}
            ran = {key for key, run in self._runs.items() if run.info.status == "RUNNING"}
            self._runs |= seen
            if ran <= set(seen):
                self._looked = now
                return
        self._lists.clear()
        self._runs = {run.info.run_id: run for run in self._store.runs("tags.kind = 'cell'")}
        self._looked, took = now, time.time() - now
        self._whole_from = now + max(WHOLE, 20 * took)

    def _list(self, parent: Any) -> list[dict[str, Any]]:
        key = parent.info.run_id, parent.data.tags.get("touched", "")  # asked again, a sweep lists its cells anew
        if key not in self._lists:
            self._lists[key] = asked_cells(self._store, parent)
        return self._lists[key]

    def _standing(self, parents: list, listed: list[tuple[Any, dict[str, Any]]]) -> Standing:
        runs = sorted(self._runs.values(), key=lambda run: -run.info.start_time)
        best, newest = newest_finished(runs), {run.data.tags["fingerprint"]: run for run in reversed(runs)}
        sweeps = {parent.info.run_id: _run_record(parent) for parent in parents}
        asking: dict[str, list[RunRecord]] = {}
        for parent, entry in listed:
            asking.setdefault(cell_key(entry), []).append(sweeps[parent.info.run_id])
        cells = [
            CellStanding(
                cell_record(entry, best.get(key), self._store.outputs),
                _run_record(newest[key]) if key in newest else None,
                tuple(asking[key]),
            )
            for key, entry in {cell_key(entry): entry for _, entry in listed}.items()
        ]
        return Standing("+".join(self._names), tuple(cells), tuple(sweeps.values()))


def _run_record(run: Any) -> RunRecord:
    info = run.info
    ended = info.end_time / 1000 if info.end_time else None
    return RunRecord(info.run_name, info.status, dict(run.data.tags), info.start_time / 1000, ended)
