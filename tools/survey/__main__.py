"""python -m tools.survey: every architecture × routing, checked one after another → multirun_reports/backbones.md.

Ends with code 1 where a step of a cell failed.
"""

import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path

from relevance.cli import among, command_line, run_command
from relevance.config import PrivateKind
from relevance.errors import UserError
from tools.survey.architectures import ARCHITECTURES
from tools.survey.cell import routings

USAGE = """usage: python -m tools.survey [key=value ...]

Trains, saves and reloads small backbones of random weights under every routing and with every kind of private
layers, on the CPU, and writes what held as tables. A section "Real sizes" of the file is kept."""


@dataclass
class Options:
    """What to check and where to write; architectures=[bert,qwen3] routings=[mh,mhp] kinds=[inserted] is a part."""

    architectures: list[str] = field(default_factory=lambda: list(ARCHITECTURES))
    routings: list[str] = field(default_factory=lambda: list(routings()))
    kinds: list[PrivateKind] = field(default_factory=lambda: list(PrivateKind))
    steps: int = 24  # of a cell, 40 rows each
    output: str = str(Path("multirun_reports") / "backbones.md")


@command_line(USAGE, Options)
def survey(options: Options) -> None:
    _validate(options)
    from tools.survey.page import page, sections, write
    from tools.survey.work import check_cells

    results = check_cells(options.architectures, options.routings, options.kinds, options.steps)
    output = Path(options.output)
    write(output, page(results, shlex.join(["python", "-m", "tools.survey", *sys.argv[1:]])) + sections(output)[1])
    print(f"{results.counted}\n{output}")
    sys.exit(1 if results.failed else 0)


def _validate(options: Options) -> None:
    among("architectures", options.architectures, ARCHITECTURES)
    among("routings", options.routings, routings())
    among("kinds", [*options.kinds], list(PrivateKind))
    if options.steps < 1:
        raise UserError(f"steps={options.steps}: must be 1 or more")


if __name__ == "__main__":
    run_command(survey)
