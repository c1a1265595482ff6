"""Which numbers of a cell its run in MLflow shows, how they are read again, and the view of cells that a link opens.

test/accuracy, seconds → metrics; params/trainable, test/query_item/n → params; probe/…, gate/… → its record.jsonl alone

MLflow's front end keeps a view that people share as a tag of the experiment, and offers it under Views.
"""

import json
import re

from relevance.tracking.records import RunData

COUNT = re.compile(r"params/.+|.+/n|train/rows|epochs")
INNER = re.compile(r"probe/.+|gate/.+|peak_memory_bytes|truncated_share")  # what the report alone asks for
KEY = "cells"  # viewStateShareKey of the link
SCORE = "metrics.`test/macro_accuracy`"
AXES = ("model", "routing", "seed", "task_mix", "variant")
SCORES = ("test/accuracy", "test/macro_f1", "test/ndcg_10", "train/rows_per_second", "seconds")
WIDTHS = (  # pixels, in the order of the columns; a screen shows about five
    {SCORE: 160} | {f"params.`{name}`": 80 for name in AXES} | {f"metrics.`{name}`": 130 for name in SCORES}
)
STATE = {
    "searchFilter": "tags.kind = 'cell'",
    "orderByKey": SCORE,
    "orderByAsc": False,
    "selectedColumns": list(WIDTHS),
    "columnOrder": list(WIDTHS),
    "columnWidths": WIDTHS,
}
TAG = f"mlflow.sharedViewState.{KEY}"
VIEW = json.dumps({"name": KEY, "createdAt": 0, "updatedAt": 0, "state": json.dumps(STATE)})


def shown(metrics: dict[str, float]) -> tuple[dict[str, float], dict[str, str]]:
    """The metrics and the params that MLflow has of what a cell logged."""
    counts = {key: f"{value:.0f}" for key, value in metrics.items() if COUNT.fullmatch(key)}
    return {key: metrics[key] for key in metrics if key not in counts and not INNER.fullmatch(key)}, counts


def numbers(data: RunData) -> dict[str, float]:
    """Metrics and counts of a run; of an old one every count is a metric."""
    return {key: float(value) for key, value in data.params.items() if COUNT.fullmatch(key)} | data.metrics
