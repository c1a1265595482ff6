"""What must hold after a disturbed sweep was asked for again: its ground, an undisturbed one → what is broken.

[] or ["llm-mh…: runs FINISHED KILLED", "predictions of ce-mh… differ"]
"""

import hashlib
import json
from collections import defaultdict

from relevance.tracking import Store
from relevance.tracking.history import sweep_record
from tools.chaos.ground import Ground

SPLITS = ("validation", "test")
CLOCK = ("seconds", "rows_per_second")  # parts of the names of metrics that no two attempts share


def broken(ground: Ground, calm: Ground) -> list[str]:
    """Every cell FINISHED exactly once, nothing RUNNING, numbers as undisturbed, logged once, nothing alive."""
    left = [f"still alive: {command}" for command in ground.quiet()]
    store = Store(ground.uri, "relevance", ground.outputs)
    undisturbed = Store(calm.uri, "relevance", calm.outputs)
    return [*ground.wrong, *left, *_statuses(store, undisturbed), *_numbers(ground, calm), *_curves(store, undisturbed)]


def repeated(ground: Ground) -> str:
    """What was done again, from what the commands said: "llm-mh from step 4; ce-mh from the start"."""
    begun, repeats = set[str](), list[str]()
    for line in "\n".join([*ground.heard, ground.said()]).splitlines():
        if line.startswith("[") and line.endswith(": training"):
            name = line.partition("] ")[2].partition("[")[0]
            if name in begun:
                repeats.append(f"{name} from the start")
            begun.add(name)
        elif ": goes on from step " in line:
            cell, step = line.strip().split(": goes on from step ")
            name = cell.partition("[")[0]
            last = max(at for at, repeat in enumerate(repeats) if repeat.startswith(f"{name} from"))
            repeats[last] = f"{name} from step {step.split()[0]}"
    return "; ".join(repeats) or "nothing"


def _statuses(store: Store, calm: Store) -> list[str]:
    """A cell has one run, whichever attempts it took, and that one is FINISHED."""
    ends, undisturbed = _ends(store), _ends(calm)
    wrong = [f"{name}: runs {' '.join(ends[name]) or 'none'}" for name in undisturbed if ends[name] != ["FINISHED"]]
    running = [run.info.run_name for run in store.runs("attributes.status = 'RUNNING'")]
    return [*wrong, *(f"{name}: still RUNNING" for name in running)]


def _ends(store: Store) -> dict[str, list[str]]:
    ends = defaultdict[str, list[str]](list)
    for run in store.runs("tags.kind = 'cell'"):
        ends[run.info.run_name].append(run.info.status)
    return ends


def _numbers(ground: Ground, calm: Ground) -> list[str]:
    ours, theirs = _digests(ground), _digests(calm)
    return [f"predictions of {name} differ" for name in theirs if ours.get(name) != theirs[name]]


def _digests(ground: Ground) -> dict[str, str]:
    record = sweep_record(ground.uri, "relevance", ground.outputs, [])
    return {
        f"{cell.cell} {path.name}": hashlib.sha256(path.read_bytes()).hexdigest()
        for cell in record.cells
        for path in map(cell.files.predictions, SPLITS)
        if path.is_file()
    }


def _curves(store: Store, calm: Store) -> list[str]:
    """Points of every curve, lost or logged twice."""
    ours, theirs = _points(store), _points(calm)
    differing = [name for name in theirs if ours.get(name) != theirs[name]]
    return [f"curves of {name} differ" for name in differing]


def _points(store: Store) -> dict[str, str]:
    curves = {}
    for run in store.runs("tags.kind = 'cell' and attributes.status = 'FINISHED'"):
        keys = [key for key in run.data.metrics if not key.endswith(CLOCK)]
        history = {key: store.client.get_metric_history(run.info.run_id, key) for key in keys}
        points = {key: sorted((point.step, round(point.value, 12)) for point in all_) for key, all_ in history.items()}
        curves[run.info.run_name] = json.dumps(points, sort_keys=True)
    return curves
