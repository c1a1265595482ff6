"""What `import relevance` offers: sweeps, their cells as a frame, trained cells, reports. The commands do the same.

Every function reads and writes where its command does by default: mlflow.db, outputs and multirun_reports in the
working folder; `settings` are words of that command, ["outputs=/data/outputs", "tracking_uri=http://host:5000"]. What
a person can put right raises `relevance.UserError`. Imports neither torch nor MLflow nor pandas until it has to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relevance.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from relevance.predict.trained import TrainedCell

Sweeps = str | Sequence[str] | None


class SweepFailedError(UserError):
    """Cells of a sweep failed or were refused; the others finished, and the same call retries these alone."""

    def __init__(self, sweep: str, failed: Sequence[str]):
        self.sweep, self.failed = sweep, tuple(failed)
        super().__init__("\n  ".join([f"sweep {sweep}: {len(failed)} of its cells did not finish", *failed]))


def run_sweep(overrides: Sequence[str] = ()) -> str:
    """Train the cells of `python -m relevance.run -m OVERRIDES` that are not finished; returns the sweep's name.

    overrides  ["routing=prefix,mh,mhp", "model=ce", "data.path=pairs.parquet"]: key=value, commas sweep

    Progress goes to stderr. Cells train in processes of their own (isolate=false: in this one, not in threads).
    Raises UserError for settings, data and backbones that cannot be, SweepFailedError where a cell did not finish, and
    KeyboardInterrupt after Ctrl-C: the same call goes on from there.
    """
    words = [overrides] if isinstance(overrides, str) else list(map(str, overrides))
    if flags := [word for word in words if word.startswith("-") and not word.startswith("--config-dir=")]:
        raise UserError(f"{flags[0]}: give settings as key=value; every call is a multirun")
    from relevance.run import called

    ended = called(words)
    if ended.interrupted:
        raise KeyboardInterrupt
    if ended.failed:
        raise SweepFailedError(ended.name, ended.failed)
    return ended.name


def cells(sweep: Sweeps = None, settings: Sequence[str] = ()) -> "pd.DataFrame":
    """A row for each cell of a sweep (null: the newest; a list is read as one), in its order, finished or not.

    cell, status, model, backbone, routing, task_mix, seed  and a column for each setting that differs among the cells
    macro_accuracy, micro_accuracy, query_item_accuracy, …  on the test rows, 0 to 1; macro: the mean over tasks
    ndcg_10, mrr, average_precision, …                      how lists are ordered, the macro over tasks, 0 to 1
    …_low, …_high            95 % interval over the entities of the test rows; what another seed gives is not in it
    validation_macro_accuracy  by which `best` is chosen
    learnt, collapsed        whether it learnt anything at all; tasks on which it tells no more than the majority label
    trained_weights, train_rows_per_second, seconds
    variant, reason, run_id, fingerprint, data_digest, folder  `load` takes any of cell, run_id and folder

    NaN where a cell did not finish, was not tested on every task of the data (macro, micro), and for intervals of a
    task with fewer than ten left entities. Raises UserError where no such sweep is there.
    """
    place = _parsed(Place, settings)
    from relevance.report.frame import cells_frame
    from relevance.tracking.history import sweep_record

    return cells_frame(sweep_record(place.tracking_uri, place.experiment, Path(place.outputs), _names(sweep)))


def load(
    cell: str | Path | Sequence[str | Path] = "best",
    sweep: Sweeps = None,
    settings: Sequence[str] = (),
    cascade: str | float | None = None,
) -> "TrainedCell":
    """The trained model of a cell, or of several as one: .predict(pairs, task), .rank(query, items), .tasks, .folder.

    cell      its name, a beginning that no other has, its run id or four characters of it, its folder; "best", the
              highest macro accuracy on validation, "best:ce" of a family or model, "best:ce-mhp" of names that begin
              so; a list: the mean of their answers
    sweep     whose cells are meant; null: all that there are, of "best" those of the newest sweep
    settings  words of `python -m relevance.predict`: device=, backbone=, trust_remote_code=, outputs=, …
    cascade   of [small, large]: the small one answers where its calibrated confidence is this or more; "auto": the
              lowest that loses 0.3 points of macro accuracy on validation (settings: cascade_loss=)

    Raises UserError with the candidates for a name that several cells have, with near names for one that none has.
    """
    from relevance.predict.__main__ import Options, opened

    options = _parsed(Options, settings)
    options.cells = [str(cell)] if isinstance(cell, str | Path) else list(map(str, cell))
    options.sweep = _names(sweep) or options.sweep
    options.cascade = options.cascade if cascade is None else cascade
    folders, answers = opened(options)
    from relevance.cli import echo
    from relevance.predict.trained import TrainedCell

    for note in answers.notes:
        echo(note)
    return TrainedCell(folders, answers, options.device, options.trust_remote_code)


def write_report(sweep: Sweeps = None, settings: Sequence[str] = ()) -> Path:
    """Write the report of a sweep (null: the newest; a list is read as one) and return its folder.

    settings  words of `python -m relevance.report`: name=, metric=ndcg_10, runs=true, reports=FOLDER, …

    The page is index.html in that folder, the same in text matrix.md. Raises UserError where no such sweep is there.
    """
    from relevance.report.__main__ import Options, write

    options = _parsed(Options, settings)
    options.sweep = _names(sweep) or options.sweep
    return write(options)


@dataclass
class Place:
    """Where cells are kept."""

    tracking_uri: str = "sqlite:///mlflow.db"
    experiment: str = "relevance"
    outputs: str = "outputs"


def _parsed(schema: Any, settings: Sequence[str]) -> Any:
    from relevance.cli import parse

    return parse(schema, [settings] if isinstance(settings, str) else list(settings))


def _names(sweep: Sweeps) -> list[str]:
    from relevance.cli import listed

    return listed("sweep", list(sweep) if sweep is not None and not isinstance(sweep, str) else sweep)
