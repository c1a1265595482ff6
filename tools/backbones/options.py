"""What `python -m tools.backbones` can be told. Imports no torch."""

from dataclasses import dataclass, field
from pathlib import Path

NAMES = ("llm", "llm_b", "ce")


@dataclass
class Options:
    names: list[str] = field(default_factory=lambda: list(NAMES))
    seed: int = 1000  # of the first generated shop and of the weights
    shops: int = 3  # generated shops in the corpus
    rows: int = 40_000  # size of a shop
    tokens: int = 15_000_000  # read while training
    threads: int = 1  # the weights depend on it
    output: str = str(Path("relevance") / "backbones")
