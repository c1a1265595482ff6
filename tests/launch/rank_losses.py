"""Losses of the first steps of six cells, alone or as one of several ranks: <folder> → <folder>/<ranks>.json by rank 0.

<folder>/jobs holds a frozen job a line.
"""

import json
import sys
from pathlib import Path

import lightning as L
import torch.distributed as dist

from relevance import group
from relevance.cell import threads
from relevance.data.module import pairs_module
from relevance.job import Job, thaw
from relevance.model.build import build
from relevance.model.module import RelevanceModule
from relevance.training import Pace, quiet, trainer_of


class Losses:
    """Stands for a cell's run: keeps the curve of the loss and the validations."""

    run_id = ""

    def __init__(self) -> None:
        self.found: dict[str, list[float]] = {}

    def log(self, metrics: dict[str, float], step: int = 0) -> None:
        for name, value in metrics.items():
            self.found.setdefault(name, []).append(value)


def losses(job: Job, folder: Path) -> dict[str, list[float]]:
    """The curves of one cell's first steps."""
    config, run = job.cell.config, Losses()
    threads(config)
    L.seed_everything(config.seed, verbose=False)
    network, tokenizer = build(config)
    data = pairs_module(config, job.cell.rows, tokenizer, job.cell.backbone_digest)
    module, pace = RelevanceModule(network, config), Pace()
    trainer_of(config, folder / job.cell.name, run, pace, None).fit(module, datamodule=data)
    return {**run.found, "rows": [pace.metrics()["train/rows"]]}


def main(folder: Path) -> None:
    quiet()
    jobs = [thaw(line) for line in (folder / "jobs").read_text().splitlines()]
    found = {job.cell.name: losses(job, folder) for job in jobs}
    if group.first():
        (folder / f"{group.size()}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    dist.init_process_group("gloo")
    main(Path(sys.argv[1]))
    dist.destroy_process_group()
