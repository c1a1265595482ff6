"""Fair rates: the same trials for whatever is compared, and of each the best on validation. Imports no torch.

tune.trial=3       the usual rates of a cell times the third point of the design, each from a quarter to four times
tune.sweep=tune    the rates of that trial of the sweep that has the highest macro accuracy on validation

The design is fixed, the same for every model, tuning and routing; trial 0 has the usual rates. A trial is a cell as
others are: a sweep of them that was cut off goes on, and what is chosen follows from what the cells left.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from relevance.cell_id import CHOSEN, flat, question
from relevance.config import Config, Match
from relevance.errors import UserError
from relevance.tracking.history import sweep_record
from relevance.tracking.records import CellRecord
from relevance.tracking.summary import validated

SPAN = 4.0  # times the usual rate, or over it, at most
DIGITS = 3  # of a rate
ENDED = ("FINISHED", "FAILED", "REFUSED")  # of a trial that repeating its sweep would not change


class Rates:
    """Of the cells of one command; `lines` say what was chosen."""

    def __init__(self) -> None:
        self.lines: dict[str, None] = {}
        self._trials: dict[str, tuple[CellRecord, ...]] = {}  # by sweep

    def of(self, config: Config) -> Config:
        """The config with the rates that its `tune` says; UserError where these cannot be told."""
        if config.tune.trial is not None:
            return tried(config)
        if (name := config.tune.sweep) is None:
            return config
        if name not in self._trials:
            sweep = sweep_record(config.tracking_uri, config.experiment, Path(config.outputs), [name])
            self._trials[name] = sweep.cells
        rated, line = chosen(config, self._trials[name])
        self.lines[line] = None
        return rated


def tried(config: Config) -> Config:
    """The config of its trial: its rates times those of the design's point; a rate that nothing learns at stays."""
    model, routing = config.model, config.routing
    body, head, private = factors(config.tune.trial or 0)
    has_private = (routing.private.layers and not routing.private.kind.is_adapter) or routing.prompt.k
    scales = {"lr": body, "head_lr": head, "head_step": head, "private_lr": private if has_private else 1.0}
    model = replace(model)
    for name, scale in scales.items():
        if (rate := getattr(model, name)) is not None:
            setattr(model, name, float(f"{rate * scale:.{DIGITS}g}"))
    return replace(config, model=model)


def factors(trial: int) -> tuple[float, float, float]:
    """Of body, heads and private weights; those of trial 0 are 1, others points of Halton's sequence in log space."""
    from scipy.stats.qmc import Halton  # takes half a second

    if trial == 0:
        return 1.0, 1.0, 1.0
    point = Halton(3, scramble=False).random(trial + 1)[-1]  # its first point is a corner
    body, head, private = (SPAN ** (2 * float(place) - 1) for place in point)
    return body, head, private


def chosen(config: Config, cells: Sequence[CellRecord]) -> tuple[Config, str]:
    """The config with the rates of the best of its trials among these cells, and a line that says which.

    UserError where a trial of its model, routing and task mix has not ended, or where none of them has its settings.
    """
    sweep, labels = f"tune.sweep={config.tune.sweep}", (config.model.name, config.routing.name, config.task_mix.name)
    name = " ".join(labels)
    trials = [cell for cell in cells if cell.labels[:3] == labels]
    if left := [cell for cell in trials if cell.status not in ENDED]:
        raise UserError(f"{sweep}: {len(left)} of {len(trials)} trials of {name} are not finished; repeat its command")
    finished = [cell for cell in trials if cell.status == "FINISHED"]
    alike = [cell for cell in finished if comparable(cell.config) == comparable(config)]
    if not alike:
        why = f"with {_differing(finished[0].config, config)}" if finished else "that finished"
        raise UserError(f"{sweep}: has no trial of {name} {why}; train them, as +sweep=tune does, with these settings")
    scored = [(scores, cell) for cell in alike if (scores := validated(cell))]
    if len(scored) < len(alike):
        raise UserError(f"{sweep}: validation rows of trials of {name} are damaged or absent; repeat its command")
    (_, macro), best = max(scored, key=lambda each: each[0])
    rates = {key: getattr(best.config.model, key) for key in CHOSEN}
    shown = ", ".join(f"{key} {rate:g}" for key, rate in rates.items() if rate is not None)
    failed = f", {len(trials) - len(finished)} more failed" if len(finished) < len(trials) else ""
    line = f"{name}: {shown}, the best of {len(alike)} trials{failed} ({macro:.1%} on validation: {best.cell})"
    return replace(config, model=replace(config.model, **rates)), line


def comparable(config: Config) -> dict[str, Any]:
    """What a trial and the cell that takes its rates have alike: all settings but rates, seed and how it stops."""
    settings = {f"data.{key}": value for key, value in asdict(config.data).items()} | flat(question(config))
    settings["model.backbone"] = config.model.backbone.partition("@")[0]  # a trial's revision is that of its time
    settings["match"] = config.match is not Match.none
    left_out = {"trainer.precision", "train.stop_below", *(f"model.{key}" for key in CHOSEN)}
    return {key: value for key, value in settings.items() if key not in left_out}


def _differing(trial: Config, config: Config) -> str:
    """A setting of `config` that the trial does not have: "trainer.max_epochs=2"."""
    theirs = comparable(trial)
    return next(f"{key}={value}" for key, value in comparable(config).items() if theirs.get(key) != value)
