"""A sweep as one frame: a row for each cell, with its axes, the settings that differ, measures, intervals and ids.

cell            status    model  routing  seed  lora.r  macro_accuracy  macro_accuracy_low  …  run_id
llm-mh-joint-s0 FINISHED  llm    mh       0     8       0.871           0.852               …  5d41…
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from relevance.cell_id import short_settings, variant_parts
from relevance.ranking import MEASURES
from relevance.report.matrix import Matrix, as_read
from relevance.report.measures import ACCURACY
from relevance.report.panel import means
from relevance.report.rows import FINISHED
from relevance.tracking.records import CellRecord, SweepRecord
from relevance.tracking.summary import validated

AXES = ("cell", "status", "model", "backbone", "routing", "task_mix", "seed")
ENDS = {"": "estimate", "_low": "low", "_high": "high"}
COST = {"trained_weights": "params/trainable", "train_rows_per_second": "train/rows_per_second", "seconds": "seconds"}
IDS = ("variant", "reason", "run_id", "fingerprint", "data_digest", "folder")


def cells_frame(sweep: SweepRecord) -> pd.DataFrame:
    """A row for each cell of the sweep, in its order; `relevance.cells` says what the columns hold."""
    read, tables = as_read(sweep) if sweep.tables else (sweep, [])  # of cells that were refused there is no table
    cells = read.cells
    measured: dict[str, dict[str, Any]] = {}
    for matrix in tables:
        measured |= _measures(matrix)
    names = dict.fromkeys(name for values in measured.values() for name in values)
    absent = dict.fromkeys(names, np.nan) | {"collapsed": None, "learnt": None}
    return pd.DataFrame(
        [
            {name: getattr(cell, name) for name in AXES}
            | settings
            | absent
            | measured.get(cell.fingerprint, {})
            | {name: cell.metrics.get(metric, np.nan) for name, metric in COST.items()}
            | {name: getattr(cell, name) for name in IDS}
            | {"folder": cell.folder.absolute()}  # as good in a notebook that goes elsewhere
            for cell, settings in zip(cells, _differing(cells), strict=True)
        ]
    )


def _differing(cells: Sequence[CellRecord]) -> list[dict[str, Any]]:
    """Of each cell the settings that a variant names and that are not the same in all finished cells; else None."""
    finished = [cell for cell in cells if cell.status == FINISHED]
    named = {part.partition("=")[0] for cell in finished for part in variant_parts(cell.variant, cell.config)}
    known = {cell.fingerprint: short_settings(cell.config) for cell in finished}
    named -= {*AXES}
    keys = [key for key in sorted(named) if len({repr(settings.get(key)) for settings in known.values()}) > 1]
    return [{key: known.get(cell.fingerprint, {}).get(key) for key in keys} for cell in cells]


def _measures(matrix: Matrix) -> dict[str, dict[str, Any]]:
    """By fingerprint what the finished cells of a matrix measure."""
    done = [(cell, tested) for row in matrix.finished for cell, tested in zip(row.done, row.results, strict=True)]
    values: dict[str, dict[str, Any]] = {}
    for cell, tested in done:
        on = validated(cell)
        values[cell.fingerprint] = {"validation_macro_accuracy": on[1] if on else np.nan}
        values[cell.fingerprint] |= {"learnt": not tested.nothing, "collapsed": ", ".join(tested.collapsed)}
    places = {cell.fingerprint: [tested.place] for cell, tested in done}
    scopes = {f"{scope}_accuracy": (ACCURACY, scope) for scope in ("macro", "micro", *matrix.tasks)}
    for name, (measure, scope) in (scopes | {name: (name, "macro") for name in MEASURES}).items():
        for mean in means(matrix.panel(measure), places, [scope]):
            values[mean["a"]] |= {f"{name}{end}": float(mean[column]) for end, column in ENDS.items()}
    return values
