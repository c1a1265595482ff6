"""Lightning's Trainer for a cell: its curves go to the cell's run, the weights of its best epoch to disk."""

import math
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.environments import LightningEnvironment, TorchElasticEnvironment
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.strategies import DDPStrategy
from safetensors.torch import load_file

from relevance import distributed
from relevance.cli import echo
from relevance.config import HALF, Config, Match, TrainerConfig
from relevance.distributed import process_count
from relevance.model.module import RelevanceModule
from relevance.tracking import CellLog
from relevance.train import checkpoint
from relevance.train.checkpoint import Files

MONITOR = "validation/macro_accuracy"


def trainer_of(config: Config, work: Path, run: CellLog, callbacks: list[Callback], steps: int | None) -> L.Trainer:
    """The Trainer of a cell, which writes its files to `work` and ends no run; `steps` stands for its epochs."""
    arguments = {key: value for key, value in asdict(config.trainer).items() if value is not None}
    arguments |= placed(config.trainer)
    if config.trainer.precision == HALF:
        arguments["precision"] = "32-true"  # the network is so already; Lightning's would round its heads too
    if steps is not None:
        arguments |= {"max_steps": steps, "max_epochs": -1}
    arguments.setdefault("enable_progress_bar", sys.stderr.isatty() and distributed.first())
    watching = _watching(config, work) + ([Bar()] if arguments["enable_progress_bar"] else [])
    mortal = [Mortal()] if distributed.size() > 1 else []
    return L.Trainer(
        **arguments,
        logger=Curves(run),
        callbacks=[*callbacks, *mortal, *watching],
        enable_checkpointing=config.match is Match.none,
        # whatever SLURM_* or RANK the surroundings have set
        plugins=[Files(), LightningEnvironment() if distributed.size() == 1 else TorchElasticEnvironment()],
        default_root_dir=work,
        enable_model_summary=False,
    )


def _watching(config: Config, work: Path) -> list[Callback]:
    """What keeps the best epoch and stops early; under a matched budget the last weights count, and patience is off."""
    matched, below = config.match is not Match.none, config.train.stop_below
    patience = 0 if matched else config.train.patience
    stopping: list[Callback] = []
    if patience or below is not None:
        end = EarlyStopping(MONITOR, mode="max", patience=patience or sys.maxsize, check_on_train_epoch_end=False)
        end.divergence_threshold = below
        stopping.append(end)
    if matched:
        return stopping
    best = ModelCheckpoint(
        work / checkpoint.FOLDER, monitor=MONITOR, mode="max", save_weights_only=True, save_on_train_epoch_end=False
    )
    best.FILE_EXTENSION = checkpoint.WEIGHTS
    return [best, *stopping]


def placed(trainer: TrainerConfig) -> dict[str, Any]:
    """Arguments of lightning.Trainer that say where it runs; a rank's are read from what started it."""
    if distributed.size() == 1:
        return {"strategy": "auto", "devices": trainer.devices}
    devices = trainer.devices if isinstance(trainer.devices, list) else process_count(trainer)
    return {"strategy": Replicas(), "devices": devices, "use_distributed_sampler": False}


def restore_best(trainer: L.Trainer, module: RelevanceModule) -> None:
    """Put the weights of the best validation back; the last ones stay, with a message, where none ran."""
    callback: Any = trainer.checkpoint_callback
    if not callback:  # under a matched budget
        return
    if not (best := callback.best_model_path):
        echo("training ended before its first validation (trainer.max_steps, trainer.max_time): the last weights count")
        return
    weights = load_file(best)
    unknown = module.load_state_dict(weights, strict=False).unexpected_keys  # frozen weights are not in it
    if unknown or not weights:
        raise RuntimeError(f"checkpoint {best}: {len(weights)} weights, of which the model knows not {unknown[:3]}")


class Pace(Callback):
    """Rows and seconds of training by the clock, loading included, without validation; in all parts of a cell.

    The run hears how far training is; the time left is that of steps, without what is scored.
    """

    def __init__(self, run: CellLog | None = None):
        self.run = run or CellLog()
        self.rows, self.seconds, self.counted = 0, 0.0, 0.0
        self.begun = time.perf_counter()

    def metrics(self) -> dict[str, float]:
        """Of all ranks; each has to call it."""
        rows = int(distributed.summed(torch.tensor(self.rows)))
        return {"train/rows": rows, "train/rows_per_second": rows / max(self.seconds, 1e-9)}

    def elapsed(self) -> float:
        """Seconds since this object was made, and those of earlier parts up to the checkpoint that was gone on from."""
        return time.perf_counter() - self.begun

    def state_dict(self) -> dict[str, float]:
        rows = int(distributed.summed(torch.tensor(self.rows)))
        return {"rows": rows, "seconds": self.seconds, "elapsed": self.elapsed()}

    def load_state_dict(self, state: dict[str, float]) -> None:
        share, left = divmod(int(state["rows"]), distributed.size())  # of all ranks, however many they were
        self.rows = share + (distributed.rank() < left)
        self.seconds = state["seconds"]
        self.begun -= state["elapsed"]

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.counted = time.perf_counter()

    on_validation_end = on_train_epoch_start

    def on_train_batch_end(self, trainer, module, outputs, step, index) -> None:
        now = time.perf_counter()
        self.seconds, self.counted = self.seconds + now - self.counted, now
        self.rows += sum(len(micro.rows) for micro in step)
        epoch, done, steps = trainer.current_epoch + 1, trainer.global_step, int(trainer.estimated_stepping_batches)
        self.run.tell(
            epoch=epoch,
            epochs=max(epoch_count(trainer), epoch),
            step=done,
            steps=steps,
            rows_per_second=self.rows * distributed.size() / max(self.seconds, 1e-9),
            seconds_left=self.seconds / max(done, 1) * max(0, steps - done),
        )


def epoch_count(trainer: L.Trainer) -> int:
    """How many epochs will run if nothing stops it early, also where a number of steps is what was asked for."""
    return math.ceil(trainer.estimated_stepping_batches / max(1, trainer.num_training_batches))


class Bar(RichProgressBar):
    """Lightning's bar with epochs counted from one, the last loss that was read and the last validation."""

    def _get_train_description(self, current_epoch: int) -> str:
        return f"epoch {current_epoch + 1}/{epoch_count(self.trainer)}"

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        logged: Any = trainer.logger
        return {
            name.removeprefix("train/"): logged.latest[name]
            for name in ("train/loss", MONITOR)
            if name in logged.latest
        }


class Curves(Logger):
    """Lightning's metrics, logged to the run that the cell itself opens and ends."""

    def __init__(self, run: CellLog):
        super().__init__()
        self.run, self.latest = run, dict[str, float]()

    @property
    def name(self) -> str:
        return "relevance"

    @property
    def version(self) -> str:
        return self.run.run_id

    def log_hyperparams(self, params: object) -> None:
        """The whole config is logged by the cell."""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.latest |= metrics
        self.run.log(metrics, step or 0)


class Mortal(Callback):
    """SIGTERM ends a rank at once: Lightning's handler would wait for the other ranks, which may be gone."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    on_predict_start = on_train_start


class Replicas(DDPStrategy):
    """The whole network on every rank, without torch's wrapper: RelevanceModule sums the gradients once a step.

    The wrapper would need to know which weights a rank's rows pass, and would sum after every micro-batch.
    """

    def configure_ddp(self) -> None:
        assert self.model is not None  # Lightning calls this once it has set it
        with torch.no_grad():
            for tensor in [*self.model.parameters(), *self.model.buffers()]:
                torch.distributed.broadcast(tensor, 0)
        torch.manual_seed(torch.initial_seed() + distributed.rank())  # dropout of its own on each rank
