"""One cell: fit, score validation and test once, save. Cell in → predictions, model folder and metrics out."""

import logging
import platform
import shutil
import sys
import time
import warnings
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers.logger import Logger
from omegaconf import OmegaConf

from relevance import predictions, scoring
from relevance.config import Config, Save
from relevance.data.module import PairsModule, pairs_module
from relevance.errors import UserError
from relevance.identity import Cell
from relevance.model.module import RelevanceModule
from relevance.model.network import Network, build
from relevance.model.store import save
from relevance.tasks import TASK_NAMES
from relevance.tracking import Run

MONITOR = "validation/macro_accuracy"
PACKAGES = ("torch", "transformers", "peft", "lightning", "mlflow", "numpy", "pandas", "pyarrow", "scikit-learn")


class Curves(Logger):
    """Lightning's metrics, handed to the run that the cell itself owns and ends."""

    def __init__(self, run: Run):
        super().__init__()
        self.run = run

    @property
    def name(self) -> str:
        return "relevance"

    @property
    def version(self) -> str:
        return self.run.run_id

    def log_hyperparams(self, params: object) -> None:
        """The whole config is logged by the cell."""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.run.log(metrics, step or 0)


class Pace(Callback):
    """Rows and seconds spent in training steps alone, without validation."""

    def __init__(self) -> None:
        self.rows, self.seconds, self.started = 0, 0.0, 0.0

    def on_train_batch_start(self, trainer, module, step, index) -> None:
        self.started = time.perf_counter()

    def on_train_batch_end(self, trainer, module, outputs, step, index) -> None:
        self.seconds += time.perf_counter() - self.started
        self.rows += sum(len(micro.rows) for micro in step)


def train_cell(cell: Cell, run: Run) -> dict[str, float]:
    """Train and score one cell; its folder then holds predictions, config and (save=all) the model."""
    started, config = time.perf_counter(), cell.config
    _quiet()
    shutil.rmtree(cell.folder, ignore_errors=True)
    cell.folder.mkdir(parents=True)
    (cell.folder / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.structured(config)))
    L.seed_everything(config.seed, verbose=False)
    network, tokenizer = build(config)
    data = pairs_module(config, cell.rows, tokenizer, cell.backbone_digest)
    module, pace = RelevanceModule(network, config), Pace()
    trainer = _trainer(cell, run, pace)
    trainer.fit(module, datamodule=data)
    _restore_best(trainer, module)
    found = _score(cell, trainer, module, data, run)
    if config.save is Save.all:
        save(network, tokenizer, config, asdict(data.template), cell.folder / "model")
    shutil.rmtree(cell.folder / "checkpoints")
    found |= {"train/rows": pace.rows, "train/rows_per_second": pace.rows / max(pace.seconds, 1e-9)}
    found |= {"epochs": trainer.current_epoch, "truncated_share": data.examples.tokens.truncated}
    found |= {**_sizes(network), "seconds": time.perf_counter() - started}
    run.log(found, trainer.global_step)
    return found


def settings(cell: Cell) -> dict[str, object]:
    """The few parameters worth a column in MLflow."""
    c = cell.config
    return {
        "backbone": c.model.backbone.rsplit("/", 1)[-1],
        "family": c.model.family.value,
        "lr": c.model.lr,
        "lora_r": c.model.lora.r,
        "private_layers": c.routing.private.layers,
        "max_epochs": c.trainer.max_epochs,
        "step_rows": c.train.step_rows,
        "precision": c.trainer.precision,
        "threads": threads(c),
        "data_digest": cell.data_digest[:16],
    }


def versions() -> dict[str, str]:
    """Versions of what numbers depend on."""
    return {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}}


def threads(config: Config) -> int:
    """Set and return the number of threads: on the CPU, sums depend on it."""
    torch.set_num_threads(config.threads or torch.get_num_threads())
    return torch.get_num_threads()


def resolved(config: Config) -> Config:
    """The config with `trainer.precision` filled in: bf16-mixed on CUDA, 32-true elsewhere."""
    on_cuda = torch.cuda.is_available() and config.trainer.accelerator in ("auto", "gpu", "cuda")
    precision = config.trainer.precision or ("bf16-mixed" if on_cuda else "32-true")
    return replace(config, trainer=replace(config.trainer, precision=precision))


def _trainer(cell: Cell, run: Run, pace: Pace) -> L.Trainer:
    config = cell.config
    arguments = {key: value for key, value in asdict(config.trainer).items() if value is not None}
    best = ModelCheckpoint(cell.folder / "checkpoints", monitor=MONITOR, mode="max", save_weights_only=True)
    callbacks: list[Callback] = [pace, best]
    if config.train.patience:
        callbacks.append(EarlyStopping(MONITOR, mode="max", patience=config.train.patience))
    arguments.setdefault("enable_progress_bar", sys.stderr.isatty())
    return L.Trainer(
        **arguments,
        logger=Curves(run),
        callbacks=callbacks,
        default_root_dir=cell.folder,
        enable_model_summary=False,
    )


def _restore_best(trainer: L.Trainer, module: RelevanceModule) -> None:
    best = trainer.checkpoint_callback.best_model_path
    if not best:
        raise UserError(
            "trainer: no validation ran, so no checkpoint is the best; let trainer.limit_val_batches and "
            "trainer.check_val_every_n_epoch leave at least one"
        )
    module.load_state_dict(torch.load(best, weights_only=True)["state_dict"], strict=False)


def _score(cell: Cell, trainer: L.Trainer, module: RelevanceModule, data: PairsModule, run: Run) -> dict[str, float]:
    found: dict[str, float] = {}
    for split in ("validation", "test"):
        started = time.perf_counter()
        rows, logits = _logits(trainer, module, data, split)
        pace = len(rows) / (time.perf_counter() - started)
        scored = predictions.table(rows, _names(data, rows), data.examples.label[rows], _softmax(logits))
        predictions.write(scored, cell.folder / f"{split}.parquet")
        found |= scoring.metrics(scored, split)
    found["test/rows_per_second"] = pace
    run.text(scoring.confusion(scored), "confusion.txt")
    if module.network.private is not None:
        found |= _swap(trainer, module, data, logits)
    return found


def _swap(trainer: L.Trainer, module: RelevanceModule, data: PairsModule, logits: np.ndarray) -> dict[str, float]:
    """How far test logits move, and accuracy falls, when each task's rows pass another task's private layers."""
    module.swap_branches = True
    rows, swapped = _logits(trainer, module, data, "test")
    module.swap_branches = False
    right = swapped.argmax(1) == data.examples.label[rows]
    return {"swap/logit_shift": float(np.abs(swapped - logits).mean()), "swap/accuracy": float(right.mean())}


def _logits(trainer: L.Trainer, module: RelevanceModule, data: PairsModule, split: str) -> tuple[np.ndarray, np.ndarray]:
    parts = trainer.predict(module, data.scoring(split))
    return torch.cat([rows for rows, _ in parts]).numpy(), torch.cat([scores for _, scores in parts]).numpy()


def _softmax(logits: np.ndarray) -> np.ndarray:
    return torch.from_numpy(logits).double().softmax(-1).numpy()


def _names(data: PairsModule, rows: np.ndarray) -> np.ndarray:
    return np.array(TASK_NAMES, dtype=object)[data.examples.task[rows]]


def _sizes(network: Network) -> dict[str, float]:
    parts = network.parts()
    trained = {name: sum(p.numel() for p in part if p.requires_grad) for name, part in parts.items()}
    total = sum(p.numel() for part in parts.values() for p in part)
    sizes = {f"params/{name}": count for name, count in trained.items()}
    return {**sizes, "params/trainable": sum(trained.values()), "params/total": total}


def _quiet() -> None:
    """Silence advice of libraries to each other, each for the reason given; all else is shown."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)  # which devices there are, at every Trainer
    for message in (
        ".*does not have many workers.*",  # batches are cut from memory maps: workers would only copy
        ".*LeafSpec.* is deprecated",  # lightning asks torch by an old name
        ".*is_gradient_checkpointing.* is deprecated",  # peft asks transformers by an old name
        ".*exists and is not empty.*",  # a cell's own folder, emptied just before
    ):
        warnings.filterwarnings("ignore", message)
