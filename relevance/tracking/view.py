"""The view that a link opens of the cells in MLflow: which runs, in which order, with which columns.

MLflow's front end keeps a view that people share as a tag of the experiment, and offers it under Views.
"""

import json

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
