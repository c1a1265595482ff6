"""One backbone of real size, trained: how fast, in how much memory, how near the device's own rate of products.

Shape("qwen3", ...) under mhp, 200 steps of 128 rows → Measured(sizes=..., rows_per_second=..., peak=..., rate=...)

Every step runs twice over the same rows: first to warm up and to count its floating-point operations, then on the
clock. A product of matrices counts as two operations a multiply-add; all else is not counted.
"""

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from relevance.config import Config, Family, LoraConfig, TrainConfig, TrainerConfig
from relevance.model.build import build_network
from relevance.model.network import peak_memory
from relevance.shop.generate import generate_pairs
from relevance.train.trainer import Pace
from tools.survey.architectures import Shape, made
from tools.survey.cell import model, routings
from tools.survey.fit import SEED, data_module, fit_steps

LORA = LoraConfig(r=16, alpha=32.0, targets="attention")
STEP_ROWS, TOKENS = 128, 16_384  # rows of a step, padded tokens of a micro-batch
SIDE, TIMES = 8192, 20  # of the product that gives the device's rate


@dataclass(frozen=True)
class Measured:
    """What training took."""

    sizes: dict[str, tuple[int, int]]  # of each part: trained, in all
    rows_per_second: float
    peak: float  # bytes of the device; NaN on the CPU
    rate: float  # operations a second


def measure(shape: Shape, routing: str, steps: int, accelerator: str, folder: Path) -> Measured:
    """Train a new backbone of `shape` under `routing` for `steps` steps, twice; its weights go to `folder`."""
    config = settings(shape, routing, steps, accelerator, made(shape.kind, shape.sizes, folder))
    torch.manual_seed(config.seed)
    network, tokenizer = build_network(config)
    data = data_module(config, generate_pairs(steps * STEP_ROWS, SEED, noise=0.0), tokenizer)
    with FlopCounterMode(display=False) as counter:
        fit_steps(network, config, data)
    pace = Pace()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    fit_steps(network, config, data, pace)
    peak = peak_memory().get("peak_memory_bytes", math.nan)
    return Measured(network.sizes(), pace.rows / pace.seconds, peak, counter.get_total_flops() / pace.seconds)


def settings(shape: Shape, routing: str, steps: int, accelerator: str, backbone: Path) -> Config:
    """The config that trains it: LoRA for a decoder, every weight of an encoder."""
    chosen = model(shape.family.value, backbone)
    chosen = replace(chosen, lr=1e-4, head_lr=1e-3, head_step=None, private_lr=1e-4)
    return Config(
        model=replace(chosen, lora=LORA) if shape.family is Family.llm else chosen,
        routing=routings()[routing],
        train=TrainConfig(step_rows=STEP_ROWS, token_budget=TOKENS),
        trainer=TrainerConfig(accelerator=accelerator, precision="bf16-mixed", max_epochs=-1, max_steps=steps),
    )


def products(device: str, side: int = SIDE) -> float:
    """Operations a second of the device on products of square bfloat16 matrices: the best of TIMES."""
    left, right = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    best = math.inf
    for _ in range(TIMES):
        _wait(device)
        started = time.perf_counter()
        left @ right
        _wait(device)
        best = min(best, time.perf_counter() - started)
    return 2 * side**3 / best


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
