"""Lightning's Trainer, so that it can be killed: its state kept where training can go on, each step seeded anew.

A cell that goes on from a checkpoint ends, bit for bit on the CPU, as if nothing had stopped it.
"""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from safetensors.torch import save_file

from relevance import distributed
from relevance.atomic_io import atomic_file
from relevance.cell_id import Cell
from relevance.errors import UserError
from relevance.tracking import CellLog
from relevance.train import checkpoint
from relevance.train.checkpoint import Note

SPARE = 19  # seconds of training there are for one of writing checkpoints, where epochs are short


class ResumableTrainer(Callback):
    """Keeps a checkpoint at the ends of epochs, and before a step that is a multiple of checkpoint_steps."""

    def __init__(self, cell: Cell, run: CellLog):
        self.folder, self.fingerprint, self.run = cell.work / checkpoint.FOLDER, cell.fingerprint, run
        self.seed, self.every = cell.config.seed, cell.config.checkpoint_steps
        self.saved = 0  # the step of the newest checkpoint
        self.cost, self.rested = 0.0, 0.0  # seconds the newest took, and when it was written

    def setup(self, trainer: L.Trainer, module: L.LightningModule, stage: str) -> None:
        # With max_steps Lightning takes every restart for one inside an epoch, and one at its end adds steps and epochs
        vars(trainer.fit_loop)["_iteration_based_training"] = lambda: False

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, step: list, index: int) -> None:
        done = trainer.global_step
        if self.every and index and done % self.every == 0 and done != self.saved:
            self._keep(trainer)
        words = np.random.SeedSequence([self.seed, done, distributed.rank()]).generate_state(1, np.uint64)
        torch.manual_seed(int(words[0]))

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """After the epoch's validation; very short epochs go without, but for a step that was asked for."""
        asked = self.every is not None and trainer.global_step % self.every == 0
        due = asked or time.perf_counter() - self.rested >= SPARE * self.cost
        if trainer.strategy.broadcast(due):
            self._keep(trainer)

    def on_save_checkpoint(self, trainer: L.Trainer, module: L.LightningModule, state: dict[str, Any]) -> None:
        epoch, within = _clean(state["loops"]["fit_loop"])
        best = best_checkpoint(trainer)
        name = Path(best.best_model_path).name if best else ""
        steps = int(trainer.estimated_stepping_batches)
        state["note"] = asdict(Note(self.fingerprint, trainer.global_step, steps, epoch, within, name))
        state["stopped"] = trainer.should_stop  # Lightning forgets it: a cell stopped early would train on

    def on_load_checkpoint(self, trainer: L.Trainer, module: L.LightningModule, state: dict[str, Any]) -> None:
        trained = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
        if trained ^ state["state_dict"].keys():
            raise UserError(
                f"{self.folder}: its checkpoints hold other weights than this cell trains, "
                f"{sorted(trained ^ state['state_dict'].keys())[:3]} among them; give rerun=true to train it anew"
            )
        trainer.should_stop, self.saved = state["stopped"], state["global_step"]
        if distributed.first():
            checkpoint.forget_after(self.folder, self.saved)
        if best := best_checkpoint(trainer):
            _move(state["callbacks"][best.state_key], best)

    def _keep(self, trainer: L.Trainer) -> None:
        """On every rank; the first alone writes."""
        started = time.perf_counter()
        trainer.save_checkpoint(self.folder / f"last-{trainer.global_step}.ckpt", weights_only=False)
        self.run.kept(trainer.global_step)
        self.saved, self.rested = trainer.global_step, time.perf_counter()
        self.cost = self.rested - started


def best_checkpoint(trainer: L.Trainer) -> ModelCheckpoint | None:
    """What keeps the best weights of a validation; None where nothing does."""
    return next((one for one in trainer.checkpoint_callbacks if isinstance(one, ModelCheckpoint)), None)


class Files(TorchCheckpointIO):
    """A checkpoint as a file: best weights as safetensors and nothing else, or the whole state as train.checkpoint
    keeps it. No pickle is read from disk."""

    def save_checkpoint(self, state: dict[str, Any], path: str | Path, storage_options: object = None) -> None:
        path = Path(path)
        if path.suffix == checkpoint.WEIGHTS:
            with atomic_file(path) as part:
                save_file({name: tensor.contiguous() for name, tensor in state["state_dict"].items()}, part)
        else:
            checkpoint.write(path, state, Note(**state["note"]))

    def load_checkpoint(self, path: str | Path, map_location: object = None, weights_only: bool | None = True) -> dict:
        return checkpoint.read(Path(path))

    def remove_checkpoint(self, path: str | Path) -> None:
        """Best weights that a kept checkpoint names stay, until it goes."""
        if not checkpoint.needed(Path(path)):
            Path(path).unlink(missing_ok=True)


def _clean(loops: dict[str, Any]) -> tuple[int, int]:
    """The epoch to go on in and the steps done of it; `loops` is made to say so in the one way Lightning resumes from.

    It is asked between two epochs or as a step begins, all that belongs to the step before being done. Lightning
    counts a step as done when it goes on after one that was about to end.
    """
    epochs, batches = loops["epoch_progress"], loops["epoch_loop.batch_progress"]
    if batches["current"]["ready"] == batches["current"]["completed"]:
        for part in ("total", "current"):
            epochs[part]["completed"] = epochs[part]["processed"]
        return epochs["current"]["processed"], 0
    within = batches["current"]["completed"]
    for part in ("total", "current"):
        done = batches[part]["completed"]
        batches[part] |= {"ready": done, "started": done, "processed": done, "completed": done - 1}
    batches["is_last_batch"] = False
    loops["epoch_loop.state_dict"]["_batches_that_stepped"] -= 1
    return epochs["current"]["processed"], within


def _move(known: dict[str, Any], best: ModelCheckpoint) -> None:
    """Best weights lie where the cell's folder is now."""

    def here(path: str) -> str:
        return f"{best.dirpath}/{Path(path).name}" if path else path

    known["dirpath"] = best.dirpath
    known |= {name: here(known[name]) for name in ("best_model_path", "kth_best_model_path", "last_model_path")}
    known["best_k_models"] = {here(path): score for path, score in known["best_k_models"].items()}
