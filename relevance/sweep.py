"""A sweep: requests in, one MLflow parent with its cells out. Finished cells are skipped, failures named at the end."""

import hashlib
import json
from pathlib import Path
from typing import Any

from relevance.attempt import attempt
from relevance.cell import threads
from relevance.commands import INTERRUPTED, say
from relevance.data.implied import ensure_implied
from relevance.data.rows import Rows
from relevance.estimate import duration, spoken
from relevance.identity import Cell, Request
from relevance.provenance import commit
from relevance.report.floors import ensure_floors
from relevance.resolve import resolve
from relevance.tracking import Run, Store


def run_sweep(requests: list[Request], datasets: dict[str, Rows], command: str) -> int:
    """Run every cell that is not finished yet; returns the exit code: 1 when one failed, 130 after Ctrl-C, else 0."""
    cells, notes = resolve(requests, datasets)
    say(*notes)
    config = cells[0].config
    store = Store(config.tracking_uri, config.experiment, Path(config.outputs))
    for dead in store.bury():
        say(f"{dead}: its process is gone; marked KILLED")
    digest = hashlib.sha256(json.dumps([cell.fingerprint for cell in cells]).encode()).hexdigest()
    name = config.name or f"sweep-{digest[:8]}"
    done = {} if config.rerun else store.finished(cells)
    parent = store.sweep(name, digest, cells, command)
    _announce(name, cells, done, store)
    try:
        failed = _run_all(cells, done, store, parent)
    except KeyboardInterrupt:
        parent.end("KILLED")
        say(f"sweep {name}: interrupted; the same command goes on from here")
        return INTERRUPTED
    parent.end("FAILED" if failed else "FINISHED")
    say(f"sweep {name}: {len(cells) - len(failed)} of {len(cells)} cells finished", *_reasons(failed))
    say(f"its table: python -m relevance.report sweep={name}")
    return 1 if failed else 0


def _run_all(cells: list[Cell], done: dict[str, Any], store: Store, parent: Run) -> dict[str, str]:
    """The reason of each cell that failed, by its name."""
    for rows in dict.fromkeys(cell.rows for cell in cells):
        ensure_floors(rows)
        ensure_implied(rows)
    failed = {}
    for number, cell in enumerate(cells, 1):
        place = f"[{number}/{len(cells)}] {cell.name}"
        if cell.fingerprint in done:
            say(f"{place}: finished before, not trained again{_since(cell, done[cell.fingerprint])}")
        elif reason := attempt(cell, store, parent.run_id, place):
            failed[cell.name] = reason
    return failed


def _announce(name: str, cells: list[Cell], done: dict[str, Any], store: Store) -> None:
    waiting = [cell for cell in cells if cell.fingerprint not in done]
    line = f"sweep {name}: {len(cells)} cells, {len(cells) - len(waiting)} already done"
    if waiting:
        seconds, source = duration(waiting, store.runs("tags.kind = 'cell' and attributes.status = 'FINISHED'"))
        line += f"; the other {len(waiting)} will take about {spoken(seconds)} ({source})"
    say(line)


def _since(cell: Cell, run: Any) -> str:
    """What differs from the time the finished cell ran and could matter, though it is no part of the question."""
    config = cell.config
    params = {"threads": str(threads(config)), "probes": str(config.probes), "consistency": str(config.consistency)}
    now = {"code commit": commit()["git_commit"][:8], **params}
    then = {"code commit": run.data.tags.get("git_commit", "")[:8]}
    then |= {key: run.data.params.get(key, "") for key in params}
    differing = [f"{key} {then[key] or 'unknown'} then, {now[key]} now" for key in now if now[key] != then[key]]
    return f" ({'; '.join(differing)}; rerun=true trains it anew)" if differing else ""


def _reasons(failed: dict[str, str]) -> list[str]:
    return [f"failed: {cell}: {reason}" for cell, reason in failed.items()]
