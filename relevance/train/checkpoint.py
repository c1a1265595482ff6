"""Checkpoints of a half-trained cell: Lightning's whole state ↔ work/checkpoints/last-<step>.ckpt, the newest two.

last-40.ckpt comes with last-40.json, which seals it: {"step": 40, "steps": 100, "epoch": 1, "within": 20, "best": …}

Each step is seeded anew, so that a cell that goes on from a checkpoint ends, bit for bit on the CPU, as if nothing had
stopped it.
"""

import hashlib
import json
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from safetensors.torch import save_file

from relevance import distributed
from relevance.atomic_io import atomic_file, write_text
from relevance.cell_id import Cell
from relevance.cli import echo
from relevance.errors import UserError
from relevance.seal import digest
from relevance.tracking import CellLog

FOLDER = "checkpoints"
MARK = "half-trained"  # beside the folder: that a checkpoint was once in it
WEIGHTS = ".safetensors"  # the best weights of a validation, which a checkpoint names
NEWEST = 2  # checkpoints that stay
SPARE = 19  # seconds of training to each second of writing checkpoints, where epochs are short


@dataclass(frozen=True)
class Note:
    """What is known of a checkpoint without reading it."""

    fingerprint: str  # of the cell
    step: int  # steps done
    steps: int  # of the whole training
    epoch: int  # that training goes on in
    within: int  # steps done of that epoch
    best: str  # name of the file with the best weights so far; "" where there are none
    digests: dict[str, str] = field(default_factory=dict)  # sha256 of the files: the checkpoint, the best weights


def write(path: Path, state: dict[str, Any], note: Note) -> None:
    """Write `state` as `path`: whole and sealed, or, whenever the process ends, not at all."""
    folder = path.parent
    known = {name: sha256 for older in _notes(folder) for name, sha256 in older.digests.items()}
    with atomic_file(path) as part:
        _dump(state, part)
        digests = {path.name: digest(part)}
        if note.best:
            digests[note.best] = known.get(note.best) or digest(folder / note.best)
        seal(path.with_suffix(".json"), replace(note, digests=digests))
    mark = folder.parent / MARK
    if not mark.exists():  # after the first checkpoint: a kill between the two leaves one that needs no mark
        write_text(mark, note.fingerprint)
    _prune(folder)


def read(path: Path) -> dict[str, Any]:
    """The state that `write` wrote: tensors and plain values, never an object of another kind."""
    return torch.load(path, map_location="cpu", weights_only=True)


def seal(path: Path, note: Note) -> None:
    """Write a note with its own digest under it, so that no altered one is believed."""
    text = json.dumps(asdict(note)).encode()
    with atomic_file(path) as part:
        part.write_bytes(text + b"\n" + hashlib.sha256(text).hexdigest().encode())


def newest(work: Path, fingerprint: str) -> tuple[Path, Note] | None:
    """The newest whole checkpoint, torn ones reported; None: never written; UserError: none whole, or another's."""
    torn: dict[str, str] = {}
    remedy = f"remove {work}, or give rerun=true, to train the cell from the start"
    for path in _newest_first(work / FOLDER):
        note = _note(path)
        if note and note.fingerprint != fingerprint:
            cells = f"{note.fingerprint[:16]} and not {fingerprint[:16]}"
            raise UserError(f"{path}: is a checkpoint of another cell, {cells}; {remedy}")
        fault = _fault(path, note)
        if note and not fault:
            for name, why in torn.items():
                echo(f"  checkpoint {name} is torn ({why}); going on from {path.name}")
            return path, note
        torn[path.name] = fault
    if torn or (work / MARK).exists():
        faults = ", ".join(f"{name}: {why}" for name, why in torn.items()) or "they are gone"
        raise UserError(f"{work / FOLDER}: the cell was half trained, but no checkpoint is whole ({faults}); {remedy}")
    return None


def forget_after(folder: Path, step: int) -> None:
    """Remove the checkpoints of later steps: those that were torn, where training goes on from an earlier one."""
    for path in _newest_first(folder):
        if _step(path) > step:
            _remove(path)


def needed(path: Path) -> bool:
    """Whether a checkpoint names this file as its best weights."""
    return path.name in {note.best for note in _notes(path.parent)}


class ResumableTrainer(Callback):
    """Keeps a checkpoint at the ends of epochs, and before a step that is a multiple of checkpoint_steps."""

    def __init__(self, cell: Cell, run: CellLog):
        self.folder, self.fingerprint, self.run = cell.work / FOLDER, cell.fingerprint, run
        self.seed, self.every = cell.config.seed, cell.config.checkpoint_steps
        self.saved = 0  # the step of the newest checkpoint
        self.cost, self.rested = 0.0, 0.0  # seconds the newest took, and when it was written

    def setup(self, trainer: L.Trainer, module: L.LightningModule, stage: str) -> None:
        # With max_steps Lightning takes every restart for one inside an epoch, and one at its end adds steps and epochs
        vars(trainer.fit_loop)["_iteration_based_training"] = lambda: False

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, step: list, index: int) -> None:
        done = trainer.global_step
        if self.every and index and done % self.every == 0 and done != self.saved:
            self._save(trainer)
        words = np.random.SeedSequence([self.seed, done, distributed.rank()]).generate_state(1, np.uint64)
        torch.manual_seed(int(words[0]))

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """After the epoch's validation; very short epochs go without, but for multiples of checkpoint_steps."""
        multiple = self.every is not None and trainer.global_step % self.every == 0
        due = multiple or time.perf_counter() - self.rested >= SPARE * self.cost
        if trainer.strategy.broadcast(due):
            self._save(trainer)

    def on_save_checkpoint(self, trainer: L.Trainer, module: L.LightningModule, state: dict[str, Any]) -> None:
        epoch, within = _clean(state["loops"]["fit_loop"])
        best: Any = trainer.checkpoint_callback
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
            forget_after(self.folder, self.saved)
        best: Any = trainer.checkpoint_callback
        if best:
            _move(state["callbacks"][best.state_key], best)

    def _save(self, trainer: L.Trainer) -> None:
        """On every rank; the first alone writes."""
        started = time.perf_counter()
        trainer.save_checkpoint(self.folder / f"last-{trainer.global_step}.ckpt", weights_only=False)
        self.run.checkpointed(trainer.global_step)
        self.saved, self.rested = trainer.global_step, time.perf_counter()
        self.cost = self.rested - started


class Files(TorchCheckpointIO):
    """A checkpoint as a file: best weights as safetensors, or the whole state by `write`. Reads no pickle from disk."""

    def save_checkpoint(self, state: dict[str, Any], path: str | Path, storage_options: object = None) -> None:
        path = Path(path)
        if path.suffix == WEIGHTS:
            with atomic_file(path) as part:
                save_file({name: tensor.contiguous() for name, tensor in state["state_dict"].items()}, part)
        else:
            write(path, state, Note(**state["note"]))

    def load_checkpoint(self, path: str | Path, map_location: object = None, weights_only: bool | None = True) -> dict:
        return read(Path(path))

    def remove_checkpoint(self, path: str | Path) -> None:
        """Best weights that a checkpoint names stay, until it goes."""
        if not needed(Path(path)):
            Path(path).unlink(missing_ok=True)


def _dump(state: dict[str, Any], part: Path) -> None:
    try:
        with part.open("wb") as file:
            torch.save(state, file)
    except RuntimeError as error:  # torch's, of its archive, where a write failed
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


def _fault(path: Path, note: Note | None) -> str:
    """What is wrong with a checkpoint; "" where it is as it was written."""
    if note is None:
        return f"{path.with_suffix('.json').name}, which seals it, is not whole"
    for name, sha256 in note.digests.items():
        file = path.with_name(name)
        if not file.exists():
            return f"its best weights {name} are gone"
        if digest(file) != sha256:
            return f"{file.stat().st_size:,} bytes of {name} are not those that were written"
    return ""


def _note(path: Path) -> Note | None:
    try:
        text, sha256 = path.with_suffix(".json").read_bytes().split(b"\n")
        return Note(**json.loads(text)) if hashlib.sha256(text).hexdigest().encode() == sha256 else None
    except (OSError, ValueError, TypeError):  # TypeError: of another version of this file
        return None


def _notes(folder: Path) -> list[Note]:
    return [note for path in _newest_first(folder) if (note := _note(path))]


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("last-[0-9]*.ckpt"), key=_step, reverse=True)


def _step(path: Path) -> int:
    return int(path.stem.removeprefix("last-"))


def _prune(folder: Path) -> None:
    """Leave the newest checkpoints, their notes and their best weights."""
    for path in _newest_first(folder)[NEWEST:]:
        _remove(path)
    for path in [*folder.glob(f"*{WEIGHTS}"), *folder.glob(".*.part")]:  # parts: of processes that were killed
        if not needed(path):
            path.unlink()


def _remove(path: Path) -> None:
    path.unlink()
    path.with_suffix(".json").unlink(missing_ok=True)


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
