"""What tests ask of a process, alone or as one of several ranks: FOLDER/jobs → FOLDER/<ranks>-<rank>.json

FOLDER/jobs holds a frozen job a line; the first of them is also put to cells that cannot be trained.
"""

import json
import os
from dataclasses import replace
from pathlib import Path

import lightning as L
import torch

from relevance import distributed
from relevance.config import Config
from relevance.data.pairs_module import pairs_module
from relevance.errors import UserError
from relevance.model.build import build_network
from relevance.model.module import RelevanceModule, quiet
from relevance.train.evaluation import logits
from relevance.train.job import Job, thaw
from relevance.train.rank import agree, join, leave
from relevance.train.trainer import Pace, trainer_of


class Curves:
    """Stands for a cell's run: keeps what a trainer logs."""

    run_id = ""

    def __init__(self) -> None:
        self.found: dict[str, list[float]] = {}

    def log(self, metrics: dict[str, float], step: int = 0) -> None:
        for name, value in metrics.items():
            self.found.setdefault(name, []).append(float(value))


def trained(job: Job, config: Config, folder: Path) -> dict[str, list]:
    """The curves of one cell, its rows, and the logits of its test rows."""
    run, pace = Curves(), Pace()
    torch.set_num_threads(1)
    L.seed_everything(config.seed, verbose=False)
    network, tokenizer = build_network(config)
    data = pairs_module(config, job.cell.rows, tokenizer, job.cell.backbone_digest)
    module = RelevanceModule(network, config)
    trainer = trainer_of(config, folder / job.cell.name, run, [pace], None)
    trainer.fit(module, datamodule=data)
    rows, found = logits(trainer, module, data.scoring("test"))
    count = pace.metrics()["train/rows"]
    scored = {"scored": rows.tolist(), "logits": found[rows.argsort()].tolist()}
    return {**run.found, **scored, "rows": [count]}


def refused(job: Job, folder: Path) -> dict[str, str]:
    """What this rank says of another question than the others', and of a loss that is no number."""
    cell = job.cell
    wild = replace(cell.config, model=replace(cell.config.model, lr=1e30, head_lr=1e30))
    try:
        agree(replace(cell, config=replace(cell.config, seed=distributed.rank())))
    except UserError as error:
        disagreed = str(error)
    try:
        trained(job, replace(wild, train=replace(wild.train, clip=0, warmup=0)), folder / "wild")
    except FloatingPointError as error:
        unfit = error.__notes__[0]
    return {"disagreed": disagreed, "unfit": unfit}


def summed() -> list[float | None]:
    """Gradients of three weights: one that every rank has, one that the last has alone, one that none has."""
    weights = [torch.nn.Parameter(torch.zeros(())) for _ in range(3)]
    weights[0].grad = torch.tensor(1.0 + distributed.rank())
    if distributed.rank() == distributed.size() - 1:
        weights[1].grad = torch.tensor(5.0)
    distributed.sum_gradients(weights)
    return [None if weight.grad is None else float(weight.grad) for weight in weights]


def main(folder: Path) -> None:
    quiet()
    jobs = [thaw(line) for line in (folder / "jobs").read_text().splitlines()]
    found = {job.cell.name: trained(job, job.cell.config, folder) for job in jobs}
    if distributed.size() > 1:
        agree(jobs[0].cell)
        found |= {"summed": summed(), **refused(jobs[0], folder)}
    (folder / f"{distributed.size()}-{distributed.rank()}.json").write_text(json.dumps(found))


def rank(folder: Path, own: int, ranks: int, port: int) -> None:
    """The same as one of several ranks, told what torchrun would tell it."""
    told = {"RANK": own, "LOCAL_RANK": own, "WORLD_SIZE": ranks, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in told.items()})
    join(thaw((folder / "jobs").read_text().splitlines()[0]).cell.config.trainer)
    main(folder)
    leave()
