"""One cell of the survey, checked: it fits, saves, reloads, gives equal logits and exports, in that order.

Cell("qwen3", "mhp", …) → Outcome(done=5, before=1.14, after=1.02, size=2_513_000, difference=0.0, exported=2e-06)
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import torch

from relevance.config_io import ConfigFile
from relevance.data.batches import MicroBatch
from relevance.errors import UserError, first_line
from relevance.export.folder import check_exportable, export
from relevance.model.build import build_network
from relevance.model.network import Network
from relevance.model.store import load_network, save_network
from tools.survey.cell import Cell, settings
from tools.survey.fit import data_module, fit_steps, mean_loss, mixed_batch

STEPS = ("fits", "saves", "reloads", "equal logits", "exports")
TASK = "item_type"  # whose slice is exported
PLAIN = frozenset((".safetensors", ".json", ".yaml", ".txt", ".model", ".jinja"))  # nothing that runs when it is read
CARD = "README.md"  # peft writes one beside an adapter


class BrokenPromiseError(Exception):
    """A step ran and did not give what it stands for."""


@dataclass
class Outcome:
    """What came of a cell; the step after the `done` first ones failed where there is a reason."""

    done: int = 0
    reason: str = ""
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)  # of each part: trained, in all
    start: str = ""  # how its private layers start
    before: float = math.nan  # loss over the training rows, nats
    after: float = math.nan
    size: float = math.nan  # of the model folder, bytes
    difference: float = math.nan  # the largest between two logits
    exported: float = math.nan  # the same, of the plain Hugging Face folder
    refused: str = ""  # why there is no such folder


def check(cell: Cell, backbone: Path, rows: pa.Table, steps: int, folder: Path) -> Outcome:
    """Take a cell through STEPS, saving it into `folder`; whatever one raises ends it and is its reason."""
    outcome = Outcome()
    try:
        for _ in _steps(outcome, cell, backbone, rows, steps, folder):
            outcome.done += 1
    except Exception as error:  # an architecture's own code may raise anything
        kind = "" if isinstance(error, UserError | BrokenPromiseError) else f"{type(error).__name__}: "
        outcome.reason = kind + first_line(error)
    return outcome


def _steps(outcome: Outcome, cell: Cell, backbone: Path, rows: pa.Table, steps: int, folder: Path) -> Iterator[None]:
    config = settings(cell, backbone, steps)
    torch.manual_seed(config.seed)
    network, tokenizer = build_network(config)
    outcome.sizes, outcome.start = network.sizes(), network.private.start() if network.private is not None else ""
    data = data_module(config, rows, tokenizer)
    outcome.before = mean_loss(network, data)
    fit_steps(network, config, data)
    outcome.after = mean_loss(network, data)
    _expect(outcome.after < outcome.before, f"the loss went from {outcome.before:.4f} to {outcome.after:.4f}")
    yield
    save_network(network, tokenizer, ConfigFile(config), data.reading.written(), folder)
    files = [path for path in folder.rglob("*") if path.is_file()]
    outcome.size = sum(path.stat().st_size for path in files)
    others = sorted(path.name for path in files if path.suffix not in PLAIN and path.name != CARD)
    _expect(not others, f"the model folder holds {others}")
    yield
    again, _ = load_network(folder)
    yield
    outcome.difference = _difference(network, again, mixed_batch(data.examples))
    _expect(outcome.difference == 0, f"logits differ by up to {outcome.difference:.3g}")
    yield
    outcome.refused = _refusal(again)
    if not outcome.refused:
        outcome.exported = export(folder, TASK, "merged", folder / "exported")
    yield


def _refusal(network: Network) -> str:
    """Why no ordinary folder can hold the network, "" where one can."""
    try:
        check_exportable(network)
    except UserError as error:
        return first_line(error)
    return ""


@torch.no_grad()
def _difference(one: Network, other: Network, batch: MicroBatch) -> float:
    logits = [network.eval()(batch.inputs, batch.slices) for network in (one, other)]
    return float((logits[0] - logits[1]).abs().max())


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise BrokenPromiseError(otherwise)
