"""python -m tools.survey.speed: backbones of real size on this GPU → the section "Real sizes" of backbones.md.

| Qwen3-0.6B | llm | mhp | 280,000,000 / 880,000,000 | rows/s | GB | TFLOP/s | % |
"""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from relevance.cli import among, command_line, echo, run_command
from relevance.errors import UserError
from tools.survey.architectures import SHAPES
from tools.survey.cell import routings

USAGE = """usage: python -m tools.survey.speed [key=value ...]

Trains backbones of real size and random weights on a CUDA device, in bf16-mixed, and writes rows a second, peak
memory and the share of the device's own rate of matrix products, measured just before."""
HEADER = ["backbone", "family", "routing", "parameters", "rows/s", "peak memory, GB", "TFLOP/s", "of the device's"]


@dataclass
class Options:
    """What to train, for how long, and where to write."""

    shapes: list[str] = field(default_factory=lambda: list(SHAPES))
    routings: list[str] = field(default_factory=lambda: ["mh", "mhp"])
    steps: int = 200  # of 128 rows
    output: str = str(Path("multirun_reports") / "backbones.md")


@command_line(USAGE, Options)
def speed(options: Options) -> None:
    _checked(options)
    import torch

    if not torch.cuda.is_available():
        raise UserError("no CUDA device: real sizes are timed on one; python -m tools.survey needs none")
    from tools.survey.measure import products

    rate, output = products("cuda"), Path(options.output)
    text = section(torch.cuda.get_device_name(), rate, lines(options, "cuda", rate))
    from tools.survey.page import sections, write

    write(output, sections(output)[0] + text)
    print(text)


def lines(options: Options, accelerator: str, rate: float) -> list[list[str]]:
    """The body of the table; `rate` is the device's on products of matrices, operations a second."""
    from relevance.pages.blocks import count
    from tools.survey.measure import measure

    body = []
    for name in options.shapes:
        for routing in options.routings:
            with tempfile.TemporaryDirectory() as folder:
                measured = measure(SHAPES[name], routing, options.steps, accelerator, Path(folder))
            trained, total = (sum(n) for n in zip(*measured.sizes.values(), strict=True))
            echo(f"{name} {routing}: {measured.rows_per_second:,.0f} rows/s")
            numbers = [count(measured.rows_per_second), count(measured.peak / 1e9, 1), count(measured.rate / 1e12, 1)]
            weights = f"{count(trained)} / {count(total)}"
            body.append([name, SHAPES[name].family.value, routing, weights, *numbers, f"{measured.rate / rate:.0%}"])
    return body


def section(device: str, rate: float, body: list[list[str]]) -> str:
    """The section as markdown: the table, when and on what it was measured."""
    from relevance.pages.blocks import Table
    from relevance.pages.render import block
    from tools.survey.page import REAL_SIZES, made

    paragraph = (
        f"Random weights, bf16-mixed. Made on {made()}, on one {device}, whose best of its products of bfloat16 "
        f"matrices ran at {rate / 1e12:,.1f} TFLOP/s. Operations are those of products of matrices, attention's among "
        "them."
    )
    return "\n\n".join([REAL_SIZES, paragraph, block(Table(HEADER, body, left=3))]) + "\n"


def _checked(options: Options) -> Options:
    among("shapes", options.shapes, SHAPES)
    among("routings", options.routings, routings())
    if options.steps < 1:
        raise UserError(f"steps={options.steps}: must be 1 or more")
    return options


if __name__ == "__main__":
    run_command(speed)
