"""A sweep: requests in, one MLflow parent with its cells out. Finished cells are skipped, failures named at the end."""

import hashlib
import json
import subprocess
import sys
import time
import traceback
from functools import cache
from pathlib import Path

import pyarrow.compute as pc

from relevance import identity
from relevance.cell import resolved, settings, threads, train_cell, versions
from relevance.config import Mix
from relevance.data.rows import Rows, prepare
from relevance.errors import UserError
from relevance.estimate import duration, spoken
from relevance.identity import Cell, Request
from relevance.model import backbone
from relevance.report.floors import ensure_floors
from relevance.tracking import Store


def run_sweep(requests: list[Request], command: str) -> int:
    """Run every cell that is not finished yet; returns the exit code: 1 when one failed, else 0."""
    cells = _resolve(requests)
    config = cells[0].config
    store = Store(config.tracking_uri, config.experiment, Path(config.outputs))
    for dead in store.bury():
        _say(f"{dead}: its process is gone; marked KILLED")
    finished = store.finished(cell.fingerprint for cell in cells)
    waiting = [cell for cell in cells if config.rerun or cell.fingerprint not in finished]
    digest = hashlib.sha256(json.dumps([cell.fingerprint for cell in cells]).encode()).hexdigest()
    name = config.name or f"sweep-{digest[:8]}"
    parent = store.sweep(name, digest, cells, command)
    _announce(name, cells, waiting, store)
    for rows in {cell.rows for cell in waiting}:
        ensure_floors(rows)
    failed = {}
    for number, cell in enumerate(cells, 1):
        place = f"[{number}/{len(cells)}] {cell.name}"
        if cell not in waiting:
            _say(f"{place}: finished before, not trained again{_changes(finished[cell.fingerprint], threads(cell.config))}")
        elif reason := _run(cell, store, parent.run_id, place):
            failed[cell.name] = reason
    parent.end("FAILED" if failed else "FINISHED")
    _conclude(name, len(cells), failed)
    return 1 if failed else 0


def _resolve(requests: list[Request]) -> list[Cell]:
    """The cells asked for, each once, with their data prepared and their digests taken."""
    datasets: list[Rows] = []

    @cache
    def rows_of(key: str) -> Rows:
        datasets.append(prepare(by_data[key], outputs))
        return datasets[-1]

    @cache
    def digest_of(name: str) -> str:
        return backbone.digest(backbone.folder(name))

    outputs = Path(requests[0].config.outputs)
    by_data = {repr(request.config.data): request.config.data for request in requests}
    cells: dict[str, Cell] = {}
    for request in requests:
        rows = rows_of(repr(request.config.data))
        cell = _cell(request, rows, digest_of(request.config.model.backbone))
        if cell.fingerprint in cells:
            _say(f"{cell.name}: asked for twice, run once")
        cells.setdefault(cell.fingerprint, cell)
    for rows in datasets:
        _say(f"pairs {rows.digest[:12]}: {rows.path}", *rows.notes)
    return list(cells.values())


def _cell(request: Request, rows: Rows, backbone_digest: str) -> Cell:
    config = resolved(request.config)
    variant = identity.variant(config, resolved(request.defaults), rows.digest, backbone_digest)
    return Cell(
        config,
        identity.fingerprint(config, rows.digest, backbone_digest),
        identity.name(config, variant),
        variant,
        rows.digest,
        backbone_digest,
        rows.path,
        _train_rows(config, rows),
    )


def _train_rows(config, rows: Rows) -> int:
    """Rows an epoch of the cell holds."""
    train = pc.equal(rows.table["split"].cast("string"), "train")
    if config.task_mix.kind is Mix.single:
        train = pc.and_(train, pc.equal(rows.table["task"].cast("string"), config.task_mix.task))
    return config.task_mix.draws or pc.sum(train).as_py() or 0


def _announce(name: str, cells: list[Cell], waiting: list[Cell], store: Store) -> None:
    line = f"sweep {name}: {len(cells)} cells, {len(cells) - len(waiting)} already done"
    if waiting:
        seconds, source = duration(waiting, store.runs("tags.kind = 'cell' and attributes.status = 'FINISHED'"))
        line += f"; the other {len(waiting)} will take about {spoken(seconds)} ({source})"
    _say(line)


def _run(cell: Cell, store: Store, parent: str, place: str) -> str:
    """Train one cell in a run of its own; returns the first line of the reason where it failed, else ""."""
    config = cell.config
    run = store.start(cell.name, {**_tags(cell), "mlflow.parentRunId": parent})
    _say(f"{place}: training")
    started = time.perf_counter()
    try:
        run.params({**settings(cell), "backbone_digest": cell.backbone_digest[:16]})
        run.data(cell)
        found = train_cell(cell, run)
        run.text((cell.folder / "config.yaml").read_text(), "config.yaml")
    except KeyboardInterrupt:
        run.end("KILLED")
        raise
    except (Exception, SystemExit) as error:
        return _failed(run, error, place)
    run.end("FINISHED")
    accuracy = f"test micro {found['test/accuracy']:.1%}, macro {found['test/macro_accuracy']:.1%}"
    _say(f"{place}: {accuracy}, {found['train/rows_per_second']:.0f} rows/s, {spoken(time.perf_counter() - started)}")
    if config.task_mix.kind is Mix.single:
        _say(f"{place}: measured on {config.task_mix.task} alone")
    return ""


def _failed(run, error: BaseException, place: str) -> str:
    lines = str(error).splitlines() or [""]
    reason = f"{type(error).__name__}: {lines[0]}" if not isinstance(error, UserError) else lines[0]
    run.text(traceback.format_exc(), "traceback.txt")
    run.tag("reason", reason)
    run.end("FAILED")
    _say(f"{place}: FAILED: {reason}")
    return reason


def _tags(cell: Cell) -> dict[str, str]:
    config = cell.config
    return {
        "kind": "cell",
        "model": config.model.name,
        "routing": config.routing.name,
        "task_mix": config.task_mix.name,
        "seed": str(config.seed),
        "variant": cell.variant,
        "fingerprint": cell.fingerprint,
        "versions": json.dumps(versions()),
        **_commit(),
    }


@cache
def _commit() -> dict[str, str]:
    """The code's commit, and whether files differ from it; empty outside a git checkout."""

    def git(*words: str) -> str:
        here = Path(__file__).parent
        return subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {"git_commit": git("rev-parse", "HEAD"), "git_dirty": str(bool(git("status", "--porcelain"))).lower()}
    except (OSError, subprocess.CalledProcessError):
        return {"git_commit": "", "git_dirty": ""}


def _changes(run, now_threads: int) -> str:
    """What differs between now and the time the finished cell ran, of what could matter but does not count."""
    now, then = _commit()["git_commit"], run.data.tags.get("git_commit", "")
    threads, before = str(now_threads), run.data.params.get("threads", "")
    notes = [f"its code was {then[:8] or 'unknown'}, now {now[:8]}"] if now != then else []
    notes += [f"it ran on {before} threads, now {threads}"] if before != threads else []
    return f" ({'; '.join(notes)}; rerun=true trains it anew)" if notes else ""


def _conclude(name: str, cells: int, failed: dict[str, str]) -> None:
    _say(f"sweep {name}: {cells - len(failed)} of {cells} cells finished; python -m relevance.report sweep={name}")
    for cell, reason in failed.items():
        _say(f"  failed: {cell}: {reason}")


def _say(*lines: str) -> None:
    print(*lines, sep="\n  ", file=sys.stderr, flush=True)
