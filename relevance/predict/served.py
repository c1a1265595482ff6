"""A cell as MLflow serves it: task, left, right → label, three probabilities, score. MLflow runs this file by itself.

{"task": "query_item", "left": "usb c cable", "right": "Volt USB-C cable"} → {"label": 2, …, "score": 1.8}
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from relevance.errors import shorten
from relevance.predict.scorer import Scorer
from relevance.predictions import PROBABILITIES
from relevance.ranking import expected_grade
from relevance.tasks import TASK_NAMES

COLUMNS = ("task", "left", "right")
SHOWN = 5  # rows an answer names


refused = MlflowException.invalid_parameter_value


@dataclass(frozen=True)
class Limits:
    """Of a request, since others wait meanwhile; the model's own config has them (relevance.tracking.serving)."""

    max_rows: int
    max_characters: int  # of a text
    max_total_characters: int  # of all texts


class ServedCell(PythonModel):
    """Scores every row or none: what cannot be scored is answered with a 400 that names the rows."""

    def load_context(self, context) -> None:
        # MLflow has run this file of the model by now: who serves a model trusts its code
        self.scorer = Scorer(Path(context.artifacts["model"]), trust_remote_code=True)
        # a head is of use once trained
        self.tasks = self.scorer.reading.tasks if self.scorer.config.routing.private_part else TASK_NAMES
        self.limits = Limits(**context.model_config)

    def predict(self, context, model_input: pd.DataFrame, params=None) -> pd.DataFrame:
        _check(model_input, self.tasks, self.limits)
        columns = {name: pa.chunked_array([pa.array(model_input[name], pa.string())]) for name in COLUMNS}
        probabilities = self.scorer.probabilities(pa.table(columns))
        answer = pd.DataFrame(probabilities.astype("float64"), columns=list(PROBABILITIES))
        answer.insert(0, "label", probabilities.argmax(axis=1))
        return answer.assign(score=expected_grade(probabilities).astype("float64"))


def _check(rows: pd.DataFrame, tasks: tuple[str, ...], limits: Limits) -> None:
    if len(rows) > limits.max_rows:
        raise refused(f"{len(rows):,} rows, and max_rows={limits.max_rows:,}; send fewer at a time")
    known = rows["task"].map(lambda value: isinstance(value, str) and value in tasks)
    problems = [_problem(rows, rows.index[~known], "task", f"unknown task; available: {', '.join(tasks)}")]
    total = 0
    for side in ("left", "right"):
        text = rows[side].map(lambda value: isinstance(value, str) and bool(value.strip()))
        problems.append(_problem(rows, rows.index[~text], side, f"{side} is no text or empty; give the text"))
        lengths = rows[side].where(text, "").map(len)
        long = f"{side} has up to {lengths.max():,} characters, and max_characters={limits.max_characters:,}; cut it"
        problems.append(_problem(rows, rows.index[lengths > limits.max_characters], side, long))
        total += int(lengths.sum())
    if total > limits.max_total_characters:
        most = f"{limits.max_total_characters:,}"
        problems.append(f"{total:,} characters in all, and max_total_characters={most}; send fewer rows at a time")
    if text := "; ".join(filter(None, problems)):
        raise refused(text)


def _problem(rows: pd.DataFrame, at: pd.Index, column: str, problem: str) -> str:
    named = ", ".join(f"row {row} ({shorten(rows.at[row, column])})" for row in at[:SHOWN])
    more = f" and {len(at) - SHOWN} more" if len(at) > SHOWN else ""
    return f"{named}{more}: {problem}" if len(at) else ""


set_model(ServedCell())
