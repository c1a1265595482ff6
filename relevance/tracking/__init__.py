"""Sweeps and cells as MLflow runs: the only package that logs to mlflow (served.py is run by it).

sweep "sweep-1f0c9a2e" (parent run, artifact cells.json) → "llm-mhp-joint-s0" (child run: tags, metrics, artifacts)
"""

from relevance.tracking.cell_run import CellLog as CellLog
from relevance.tracking.cell_run import CellRun as CellRun
from relevance.tracking.cell_run import RecordedRun as RecordedRun
from relevance.tracking.record import Record as Record
from relevance.tracking.record import deliver_all as deliver_all
from relevance.tracking.store import CELLS as CELLS
from relevance.tracking.store import Run as Run
from relevance.tracking.store import Store as Store
from relevance.tracking.store import beating as beating
