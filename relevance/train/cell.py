"""A cell fitted, scored on validation and test once, saved: Cell in → predictions, model folder and metrics out."""

import shutil
from dataclasses import replace
from pathlib import Path

import lightning as L
import torch

from relevance import distributed, seal
from relevance.atomic_io import write_text
from relevance.cell_id import Cell, CellFolder, variant_parts
from relevance.cli import echo
from relevance.config import Config, Save
from relevance.config_io import ConfigFile
from relevance.data.pairs_module import pairs_module
from relevance.distributed import check_devices, on_gpu, process_count
from relevance.model.build import build_network
from relevance.model.module import RelevanceModule, quiet
from relevance.model.network import gate_values, peak_memory, start_heads, weight_counts, weights_line
from relevance.model.store import save_network
from relevance.tracking import CellLog
from relevance.train import checkpoint
from relevance.train.checkpoint import ResumableTrainer
from relevance.train.evaluation import evaluate, ndcg, probe, score_implied, tag_collapsed
from relevance.train.teaching import ensure_scored, teacher_pace
from relevance.train.trainer import Pace, restore_best, trainer_of

SAMPLE = 16  # training rows whose states say how new heads start
DEFAULT_THREADS = torch.get_num_threads()  # before any cell asked for another number


def train_cell(cell: Cell, run: CellLog) -> None:
    """Train and score a cell; its work folder then holds predictions, config and (save=all) the model.

    `settle` puts it in the place of an earlier attempt's. One that was stopped goes on from its newest checkpoint.
    """
    work = _begin(cell, run)
    config, pace = cell.config, Pace(run)
    path, note = checkpoint.newest(work, cell.fingerprint) or (None, None)
    network, tokenizer = build_network(config)
    data = pairs_module(config, cell.rows, tokenizer, cell.backbone_digest)
    learning = replace(config, model=start_heads(network, config.model, data.sample(SAMPLE)))
    run.params({"head_lr": learning.model.head_lr})
    echo(f"  {cell.name}: {weights_line(network)}; {_rates(learning)}")
    module = RelevanceModule(network, learning)
    trainer = trainer_of(config, work, run, [ResumableTrainer(cell, run), pace], data.steps)
    if note:
        echo(f"  {cell.name}: goes on from step {note.step} of {note.steps}")
        data.begun = (note.epoch, note.within)
    trainer.fit(module, datamodule=data, ckpt_path=path, weights_only=True)
    restore_best(trainer, module)
    metrics, scores, logits = evaluate(work, trainer, module, data, run)
    tag_collapsed(scores, cell.rows, run)
    metrics |= ndcg(cell.rows, data.rows["test"], logits)
    if config.probes:
        metrics |= probe(trainer, module, data, cell.rows, logits)
    if config.consistency:
        score_implied(work, trainer, module, data, cell.rows)
    if config.save is Save.all and distributed.first():
        folder = CellFolder(work).model
        save_network(network, tokenizer, ConfigFile(config, cell.unresolved), data.reading.written(), folder)
        run.model(folder.name, data.reading.tasks[0])
    metrics |= {
        **teacher_pace(cell),
        **pace.metrics(),
        **weight_counts(network),
        **gate_values(network),
        **peak_memory(),
    }
    metrics |= {"epochs": trainer.current_epoch, "truncated_share": data.examples.tokens.truncated}
    run.log({**metrics, "seconds": pace.elapsed()}, trainer.global_step)


def _rates(config: Config) -> str:
    """ "lr 0.0001, heads 0.00045, private 0.0003; 32 rows a step"."""
    model, has_private = config.model, config.routing.private.layers or config.routing.prompt.k
    rates = {"lr": model.lr, "heads": model.head_lr} | ({"private": model.private_lr} if has_private else {})
    return f"{', '.join(f'{name} {rate:g}' for name, rate in rates.items())}; {config.train.step_rows} rows a step"


def _begin(cell: Cell, run: CellLog) -> Path:
    """Threads, what its teachers answer, seeds, and the folder for the cell to work in."""
    config, work = cell.config, cell.work
    quiet()
    check_devices(config.trainer)
    threads(config)
    ensure_scored(cell)  # before any seed is set, and memory measured
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    text = ConfigFile(config, cell.unresolved).text()
    if distributed.first():
        write_text(CellFolder(work).config, text)
    run.text(text, CellFolder(work).config.name)
    L.seed_everything(config.seed, verbose=False)
    return work


def settle(cell: Cell) -> None:
    """The work folder takes the place of an earlier attempt's; called again if that was cut off."""
    if cell.work.is_dir():
        (cell.work / checkpoint.MARK).unlink(missing_ok=True)
        shutil.rmtree(cell.work / checkpoint.FOLDER, ignore_errors=True)  # absent where no epoch ended
        cell.files.work.progress.unlink(missing_ok=True)
        remedy = f"remove {cell.work}, and its cell is trained from the start"
        seal.check(cell.work, cell.folder.name, remedy, cell.files.work.sealed)  # sealed now, or before it was cut off
        shutil.rmtree(cell.folder, ignore_errors=True)
        cell.work.rename(cell.folder)


def settings(cell: Cell) -> dict[str, object]:
    """The few parameters worth a column in MLflow; each setting that its variant names is one too."""
    c = cell.config
    return {
        **dict(part.split("=", 1) for part in variant_parts(cell.variant, c)),
        **cell.axes,
        "tuning": c.model.lora.tuning.value,
        "train_rows": cell.train_rows,
        "backbone": c.model.backbone.rsplit("/", 1)[-1],
        "revision": c.model.revision or "",
        "family": c.model.family.value,
        "lr": c.model.lr,
        "lora_r": c.model.lora.r,
        "private_layers": c.routing.private.layers,
        "private_kind": c.routing.private.kind.value if c.routing.private.layers else "",
        "max_epochs": c.trainer.max_epochs,
        "step_rows": c.train.step_rows,
        "precision": c.trainer.precision,
        "probes": c.probes,
        "consistency": c.consistency,
        "threads": threads(c),
        "data_digest": cell.data_digest[:16],
    }


def threads(config: Config) -> int:
    """Set and return the threads of each process: on the CPU, where sums depend on their number, one by default."""
    default = DEFAULT_THREADS // process_count(config.trainer) if on_gpu(config.trainer) else 1
    torch.set_num_threads(config.threads or max(1, default))
    return torch.get_num_threads()


def resolved(config: Config) -> Config:
    """The config with `trainer.precision` filled in: bf16-mixed on CUDA, 32-true elsewhere."""
    precision = config.trainer.precision or ("bf16-mixed" if on_gpu(config.trainer) else "32-true")
    return replace(config, trainer=replace(config.trainer, precision=precision))
