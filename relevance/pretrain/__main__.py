"""python -m relevance.pretrain: seed → relevance/backbones/<name>/, minutes each on two cores.

Writes config.json, model.safetensors, tokenizer.json, tokenizer_config.json and provenance.json.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from relevance import commands
from relevance.errors import UserError

NAMES = ("llm", "llm_b", "ce")
USAGE = """usage: python -m relevance.pretrain [key=value ...]

Rebuilds the embedded backbones from generated text."""


@dataclass
class Options:
    names: list[str] = field(default_factory=lambda: list(NAMES))
    seed: int = 1000  # of the first generated shop and of the weights
    shops: int = 3  # generated shops in the corpus
    rows: int = 40_000  # size of a shop
    tokens: int = 4_000_000  # read while training
    threads: int = 1  # the weights depend on it
    output: str = str(Path("relevance") / "backbones")


def run() -> None:
    words = sys.argv[1:]
    if "--help" in words or "-h" in words:
        print(commands.describe(USAGE, Options))
        return
    options = commands.parse(Options, words)
    unknown = sorted(set(options.names) - set(NAMES))
    if unknown:
        raise UserError(f"names={unknown}: unknown backbone; available: {', '.join(NAMES)}")
    from relevance.pretrain.build import build

    build(options)


if __name__ == "__main__":
    commands.main(run)
