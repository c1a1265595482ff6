"""Training beside its peers, in one process on the same rows: paired ratios, and counts that do not scatter.

python -m tools.benchmarks.training [shapes=[MiniLM-L6]] [routings=[prefix,mhp]] [size=small] [layers=6] [pairs=5]

Backbones of random weights: of real size on CUDA, on the CPU two layers of half the width. Pairs are as long as real
ones (WORDS), or all of much the same length (words=generated). Ours under the first routing beside the other routings,
HF Trainer + PEFT (also grouped by length) or CrossEncoderTrainer, and a bare loop over batches that are there. Rounds
go over all of them in turn until `pairs` or `seconds` are spent: median and range of the ratio of their speeds, on the
CPU by its own seconds, which other work does not lengthen. The counts are of a step as CUDA takes it: in bf16-mixed, by
the rules of relevance.model.ahead.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa

from relevance.cli import among, command_line, echo, run_command
from relevance.config import MIXED, Config, Family, LoraConfig, TrainConfig, TrainerConfig
from tools.survey.architectures import SHAPES as LARGE
from tools.survey.architectures import Shape, made

SMOL = {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9}
MINI = {"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 6, "num_attention_heads": 12}
BASE = {"hidden_size": 768, "intermediate_size": 1152, "num_hidden_layers": 22, "num_attention_heads": 12}
SHAPES = {
    "SmolLM2-135M": Shape(
        "llama", Family.llm, {**SMOL, "num_key_value_heads": 3, "vocab_size": 49_152, "tie_word_embeddings": True}
    ),
    "MiniLM-L6": Shape("bert", Family.ce, {**MINI, "vocab_size": 30_522}),
    "Qwen3-0.6B": LARGE["Qwen3-0.6B"],
    "ModernBERT-base": Shape("modernbert", Family.ce, {**BASE, "vocab_size": 50_368}),
}
WIDTHS = ("hidden_size", "intermediate_size", "head_dim")
LAYERS = 2  # of a small shape
LORA = LoraConfig(r=16, alpha=32.0, targets="all-linear")
WARM, SEED = 2, 0
# The words of a pair at these shares of 14,248 training pairs of the six tasks, from Chorus, ESCI, WANDS and Best Buy.
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
WORDS = (2, 5, 6, 7, 9, 10, 12, 14, 16, 20, 27, 41, 70)


@dataclass
class Options:
    shapes: list[str] = field(default_factory=lambda: list(SHAPES))
    routings: list[str] = field(default_factory=lambda: ["prefix", "mh", "mhp", "mhp_shared"])
    size: str = ""  # real or small; "": real on CUDA
    layers: int = 0  # of every shape; 0: those of its size
    words: str = "real"  # or generated
    token_budget: int = 0  # of a micro-batch of ours; 0: the default
    rows: int = 0  # of a step; 0: 128 on CUDA, 32 elsewhere
    steps: int = 4  # on the clock, after WARM
    pairs: int = 5
    precision: str = ""  # of ours; "": bf16-mixed on CUDA, as the peers, 32-true elsewhere, as they
    seconds: float = 225.0  # after which no measurement starts
    counts: bool = True


@dataclass
class Contestant:
    """A trainer of one shape: its rows a second in each round, and the device's memory at its peak (GB)."""

    shape: str
    name: str
    run: Callable[[int, int], float]
    speeds: list[float] = field(default_factory=list)
    peak: float = 0.0


@command_line(__doc__, Options)
def run(options: Options) -> None:
    import torch

    began, cuda = time.perf_counter(), torch.cuda.is_available()
    among("shapes", options.shapes, SHAPES)
    among("words", [options.words], ("real", "generated"))
    if not cuda:
        torch.set_num_threads(1)
    options.size = options.size or ("real" if cuda else "small")
    options.rows = options.rows or (128 if cuda else 32)
    with tempfile.TemporaryDirectory() as name:
        groups = [contestants(shape, options, Path(name) / shape) for shape in options.shapes]
        if options.counts:
            print(f"{'counted, of a step':48} operations      reads  MB of weights cast", flush=True)
            for shape in options.shapes:
                for routing in options.routings:
                    _count(shape, routing, options, Path(name) / shape)
        where = torch.cuda.get_device_name() if cuda else "CPU, one thread"
        print(f"{where}; {options.size} shapes, {options.rows} rows a step, ratios of rows/s", flush=True)
        for number in range(options.pairs):
            for contestant in [contestant for group in groups for contestant in group]:
                if time.perf_counter() - began < options.seconds:
                    _measure(contestant, options, number)
        for group in groups:
            _print_ratios(group)


def contestants(shape: str, options: Options, folder: Path) -> list[Contestant]:
    """Ours under the first routing, and all that is measured beside it."""
    from tools.benchmarks import peers

    built, *more = [_build(shape, routing, options, folder) for routing in options.routings]
    others = [(routing, _ours(built)) for routing, built in zip(options.routings[1:], more, strict=True)]
    if SHAPES[shape].family is Family.llm:
        others.append(("HF Trainer + PEFT", peers.lora_trainer(folder, built.data, options.rows, False)))
        others.append(("HF Trainer + PEFT, by length", peers.lora_trainer(folder, built.data, options.rows, True)))
    else:
        columns = {name: built.rows[name].to_pylist() for name in ("left", "right", "label")}
        others.append(("CrossEncoderTrainer", peers.cross_encoder(folder, columns, options.rows)))
    others.append(("a bare loop", _bare(_build(shape, options.routings[0], options, folder))))
    return [
        Contestant(shape, options.routings[0], _ours(built)),
        *(Contestant(shape, name, run) for name, run in others),
    ]


def _config(shape: str, routing: str, options: Options, folder: Path) -> Config:
    import torch

    from tools.survey.measure import settings

    if not folder.exists():
        made(SHAPES[shape].kind, _sizes(SHAPES[shape].sizes, options), folder)
    config = settings(SHAPES[shape], routing, WARM + options.steps, "auto", folder)
    precision = options.precision or (MIXED if torch.cuda.is_available() else "32-true")
    return replace(
        config,
        model=replace(config.model, lora=LORA if config.model.lora.r else config.model.lora),
        train=TrainConfig(step_rows=options.rows, token_budget=options.token_budget or None),
        trainer=TrainerConfig(precision=precision, max_epochs=-1, max_steps=WARM + options.steps),
    )


def _sizes(sizes: dict, options: Options) -> dict:
    """Of a backbone's config; a small one has the vocabulary of its tokenizer."""
    if options.size == "small":
        sizes = {key: value // 2 if key in WIDTHS else value for key, value in sizes.items() if key != "vocab_size"}
    layers = options.layers or (LAYERS if options.size == "small" else sizes["num_hidden_layers"])
    return {**sizes, "num_hidden_layers": layers}


@dataclass
class Built:
    """A network of ours and what it trains on; `rows` is the table of its pairs."""

    config: Config
    network: Any
    data: Any
    rows: Any


def _build(shape: str, routing: str, options: Options, folder: Path) -> Built:
    import torch

    from relevance.model.build import build_network
    from relevance.shop.generate import generate_pairs
    from tools.survey.fit import data_module

    config = _config(shape, routing, options, folder)
    torch.manual_seed(SEED)
    network, tokenizer = build_network(config)
    rows = generate_pairs(config.trainer.max_steps * options.rows, SEED, noise=0.0)
    if options.words == "real":
        rows = _as_long_as_real(rows)
    return Built(config, network, data_module(config, rows, tokenizer), rows)


def _as_long_as_real(rows: pa.Table) -> pa.Table:
    """The pairs with their right texts repeated, or cut, until each pair has the words that WORDS says."""
    words = np.interp(np.random.default_rng(SEED).random(len(rows)), SHARES, WORDS).round().astype(int)
    texts = []
    for left, right, number in zip(rows["left"].to_pylist(), rows["right"].to_pylist(), words, strict=True):
        texts.append(" ".join(islice(cycle(right.split()), max(1, int(number) - len(left.split())))))
    return rows.set_column(rows.column_names.index("right"), "right", pa.array(texts))


def _ours(built: Built) -> Callable[[int, int], float]:
    from lightning.pytorch.callbacks import Callback

    from tools.benchmarks.peers import clock, wait
    from tools.survey.fit import fit_steps

    class Clock(Callback):
        seconds = 0.0

        def on_train_batch_end(self, trainer, module, *_) -> None:
            if trainer.global_step in (WARM, trainer.max_steps):
                wait()
                self.seconds = clock() - self.seconds

    def ours(warm: int, steps: int) -> float:
        timed = Clock()
        fit_steps(built.network, built.config, built.data, timed)
        return timed.seconds

    return ours


def _bare(built: Built) -> Callable[[int, int], float]:
    """Forward, backward, clipping and optimiser over batches that lie on the device: what no trainer can be below."""
    import torch

    from relevance.model.module import RelevanceModule
    from tools.benchmarks.peers import clock, wait

    config, data, network = built.config, built.data, built.network
    module, device = RelevanceModule(network, config), "cuda" if torch.cuda.is_available() else "cpu"

    def bare(warm: int, steps: int) -> float:
        network.to(device)
        optimizer = torch.optim.AdamW(module.groups(), fused=True)
        trained = [p for group in optimizer.param_groups for p in group["params"]]
        batches = [data.transfer_batch_to_device(step, torch.device(device), 0) for step in data.train_dataloader()]
        for number, step in enumerate(batches):
            if number == warm:
                wait()
                began = clock()
            for micro in step:
                with torch.autocast(device, torch.bfloat16, enabled=config.trainer.precision == MIXED):
                    loss = module._loss(micro) / config.train.step_rows
                loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0, foreach=True)
            optimizer.step()
            optimizer.zero_grad()
        wait()
        network.cpu()
        return clock() - began

    return bare


def _measure(contestant: Contestant, options: Options, number: int) -> None:
    import torch

    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    seconds = contestant.run(WARM, options.steps)
    contestant.speeds.append(options.steps * options.rows / seconds)
    contestant.peak = max(contestant.peak, torch.cuda.max_memory_allocated() / 1e9 if cuda else 0.0)
    echo(f"{number + 1} {contestant.shape} {contestant.name}: {contestant.speeds[-1]:.1f} rows/s")


def _count(shape: str, routing: str, options: Options, folder: Path) -> None:
    """Print what a step of ours dispatches, reads back and casts in bf16-mixed."""
    from lightning.pytorch.callbacks import Callback

    from relevance.model import ahead
    from tools.benchmarks.counted import Counter
    from tools.survey.fit import fit_steps

    built = _build(shape, routing, replace(options, precision=MIXED), folder)

    class Within(Callback):
        def on_train_batch_end(self, trainer, module, *_) -> None:
            if trainer.global_step == WARM:
                self.counter = Counter(list(built.network.parameters()))
                self.counter.__enter__()
            if trainer.global_step == trainer.max_steps:
                self.counter.__exit__(None, None, None)

    within = Within()
    with mock.patch.object(ahead, "runs_ahead", return_value=True):
        fit_steps(built.network, built.config, built.data, within)
    counts = within.counter.of(options.steps)
    numbers = f"{counts.operations:10,.0f} {counts.reads:10,.1f} {counts.cast / 1e6:10,.1f}"
    print(f"{shape + ' ' + routing:48} {numbers}", flush=True)


def _print_ratios(group: list[Contestant]) -> None:
    """The first of the group beside each of the others; mhp beside mhp_shared as well."""
    by_name = {contestant.name: contestant for contestant in group}
    couples = [(group[0], other) for other in group[1:]]
    if {"mhp", "mhp_shared"} <= by_name.keys():
        couples.append((by_name["mhp_shared"], by_name["mhp"]))
    for one, other in couples:
        ratios = [a / b for a, b in zip(one.speeds, other.speeds, strict=False)]
        if ratios:
            a, b = statistics.median(one.speeds), statistics.median(other.speeds)
            label = f"{one.shape} {one.name} ÷ {other.name}"
            spread = f"{statistics.median(ratios):5.2f} × [{min(ratios):.2f}, {max(ratios):.2f}] of {len(ratios)}"
            print(f"{label:56} {spread}   {a:.1f}, {b:.1f} rows/s   {one.peak:.2f}, {other.peak:.2f} GB", flush=True)


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    run_command(run)
