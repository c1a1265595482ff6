"""One cell: fit, score validation and test once, save. Cell in → predictions, model folder and metrics out."""

import shutil
import time
from dataclasses import asdict, replace
from pathlib import Path

import lightning as L
import numpy as np
import torch
from omegaconf import OmegaConf

from relevance import predictions
from relevance.config import Config, Save
from relevance.data.module import PairsModule, pairs_module
from relevance.identity import Cell
from relevance.model.build import build
from relevance.model.module import RelevanceModule
from relevance.model.network import Network
from relevance.model.store import save
from relevance.scores import confusion_text, logged, score_predictions
from relevance.tasks import TASK_NAMES
from relevance.tracking import Run
from relevance.training import Pace, quiet, restore_best, trainer_of

DEFAULT_THREADS = torch.get_num_threads()  # before any cell asked for another number


def train_cell(cell: Cell, run: Run) -> dict[str, float]:
    """Train and score one cell; its folder then holds predictions, config and (save=all) the model.

    It works in a folder of its own and takes the old one's place at the end: a cell that fails leaves what was.
    """
    started, config = time.perf_counter(), cell.config
    quiet()
    threads(config)
    work = _fresh(cell.folder.with_suffix(".part"))
    text = OmegaConf.to_yaml(OmegaConf.structured(config))
    (work / "config.yaml").write_text(text)
    run.text(text, "config.yaml")
    L.seed_everything(config.seed, verbose=False)
    network, tokenizer = build(config)
    data = pairs_module(config, cell.rows, tokenizer, cell.backbone_digest)
    module, pace = RelevanceModule(network, config), Pace()
    trainer = trainer_of(config, work, run, pace)
    trainer.fit(module, datamodule=data)
    restore_best(trainer, module)
    found = _score(work, trainer, module, data, run)
    if config.save is Save.all:
        save(network, tokenizer, config, asdict(data.template), work / "model")
    shutil.rmtree(work / "checkpoints", ignore_errors=True)  # absent where no validation ran
    shutil.rmtree(cell.folder, ignore_errors=True)
    work.rename(cell.folder)
    found |= {"train/rows": pace.rows, "train/rows_per_second": pace.rows / max(pace.seconds, 1e-9)}
    found |= {"epochs": trainer.current_epoch, "truncated_share": data.examples.tokens.truncated}
    found |= {**_sizes(network), "seconds": time.perf_counter() - started}
    run.log(found, trainer.global_step)
    return found


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


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


def threads(config: Config) -> int:
    """Set and return the number of threads: on the CPU, sums depend on it."""
    torch.set_num_threads(config.threads or DEFAULT_THREADS)
    return torch.get_num_threads()


def resolved(config: Config) -> Config:
    """The config with `trainer.precision` filled in: bf16-mixed on CUDA, 32-true elsewhere."""
    on_cuda = torch.cuda.is_available() and config.trainer.accelerator in ("auto", "gpu", "cuda")
    precision = config.trainer.precision or ("bf16-mixed" if on_cuda else "32-true")
    return replace(config, trainer=replace(config.trainer, precision=precision))


def _score(work: Path, trainer: L.Trainer, module: RelevanceModule, data: PairsModule, run: Run) -> dict[str, float]:
    found: dict[str, float] = {}
    for split in ("validation", "test"):
        started = time.perf_counter()
        rows, logits = _logits(trainer, module, data, split)
        pace = len(rows) / (time.perf_counter() - started)
        scored = predictions.table(rows, _names(data, rows), data.examples.label[rows], _softmax(logits))
        predictions.write(scored, work / f"{split}.parquet")
        scores = score_predictions(scored)
        found |= logged(scores, split)
    found["test/rows_per_second"] = pace
    run.text(confusion_text(scores), "confusion.txt")
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


def _logits(
    trainer: L.Trainer, module: RelevanceModule, data: PairsModule, split: str
) -> tuple[np.ndarray, np.ndarray]:
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
