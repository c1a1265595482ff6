"""What a table of full size costs, each figure beside a named peer in the same run, the two measured in turn.

python -m tools.benchmarks.data [judgements=800000 items=200000 types=5000] [rows=1000000] [pairs=2300000] [repeats=3]

derive of a generated shop of `judgements` beside a bare pyarrow read of its files and write of the pairs made of them;
validate of `rows` rows beside a bare read and write of the same file, as processes and as calls; token ids of
`pairs` pairs beside transformers' own tokenizer called on batches of pairs, its ids kept; the first training batch of
them beside a read of the same file. A peer that would take minutes does `plain` pairs, and its time is scaled by pair.
Seconds and peak memory are medians of `repeats`; of calls, memory is what the process grew by. The pairs are generated.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from relevance.cli import command_line, echo, run_command
from tools.benchmarks.calls import Cost
from tools.benchmarks.report import measured

DATA = (sys.executable, "-m", "relevance.data")
SHOP = ("judgements", "items", "taxonomy")  # files of a generated shop
ENDS = """import sys, pyarrow.parquet as pq
for file in sys.argv[3:]: pq.read_table(file)
pq.write_table(pq.read_table(sys.argv[1]), sys.argv[2])"""
BARE = "import sys, pyarrow.parquet as pq; pq.write_table(pq.read_table(sys.argv[1]), sys.argv[2])"


@dataclass
class Options:
    judgements: int = 800_000  # of a generated shop of `items` and `types`, from which pairs are derived
    items: int = 200_000
    types: int = 5_000
    queries: int = 40_000
    rows: int = 1_000_000  # validated
    pairs: int = 2_300_000  # tokenized and trained on
    plain: int = 100_000  # of them, that transformers' tokenizer is given
    repeats: int = 3


@dataclass(frozen=True)
class Figure:
    """Ours and the peer's, each measured in turn with the other."""

    name: str
    peer: str
    ours: list[Cost]
    theirs: list[Cost]

    def line(self) -> str:
        ours, theirs = (
            (median(cost.seconds for cost in costs), median(cost.memory for cost in costs))
            for costs in (self.ours, self.theirs)
        )
        cells = f"{ours[0]:9.2f}{ours[1]:8.2f}{theirs[0]:9.2f}{theirs[1]:8.2f}{ours[0] / theirs[0]:8.2f}"
        return f"{self.name:44}{cells}  {self.peer}"


@command_line(__doc__, Options)
def run(options: Options) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        echo(f"generated {options.rows:,} and {options.pairs:,} pairs in {generated(folder, options):.0f} s")
        print(f"{'':44}{'seconds':>9}{'GB':>8}{'peer s':>9}{'GB':>8}{'ratio':>8}  peer")
        for figures in FIGURES:
            for figure in figures(folder, options):
                print(figure.line(), flush=True)


def generated(folder: Path, options: Options) -> float:
    """Seconds it took, elsewhere: what this process held at its peak would count as its children's."""
    return child("generate", str(folder), str(options.rows), str(options.pairs)).seconds


def deriving(folder: Path, options: Options) -> Iterator[Figure]:
    shop, pairs = folder / "shop", folder / "derived.parquet"
    sizes = [f"{name}={getattr(options, name)}" for name in ("judgements", "items", "types", "queries")]
    subprocess.run([*DATA, "shop", f"output={shop}", *sizes], check=True, stdout=subprocess.DEVNULL)
    files = {name: str(shop / f"{name}.parquet") for name in SHOP}
    command = [*DATA, "derive", "source=shop", *(f"{name}={path}" for name, path in files.items())]
    ends = [sys.executable, "-c", ENDS, str(pairs), str(folder / "bare.parquet"), *files.values()]
    ours, theirs = (lambda _: process([*command, f"output={pairs}"])), (lambda _: process(ends))
    peer = "bare pyarrow read of the files and of the pairs, write of the pairs"
    yield _in_turn(f"derive from {options.judgements:,} judgements", peer, options, (ours, theirs))


def validating(folder: Path, options: Options) -> Iterator[Figure]:
    source, bare = str(folder / "validated.parquet"), "bare pyarrow read and write"
    command = [*DATA, "validate", f"data.path={source}"]

    def ours(turn: int) -> Cost:
        return process([*command, f"outputs={folder}/process{turn}"])

    def theirs(_: int) -> Cost:
        return process([sys.executable, "-c", BARE, source, f"{folder}/bare.parquet"])

    name = f"validate {options.rows:,} rows"
    yield _in_turn(f"{name}, process", f"{bare}, process", options, (ours, theirs))
    ways = (lambda turn: child("prepare", source, f"{folder}/call{turn}"), lambda _: child("bare", source))
    yield _in_turn(f"{name}, call", f"{bare}, call", options, ways)


def tokenizing(folder: Path, options: Options) -> Iterator[Figure]:
    source, plain = str(folder / "pairs" / "rows.parquet"), min(options.plain, options.pairs)

    def theirs(_: int) -> Cost:
        cost = child("plain", source, str(plain))
        return Cost(cost.seconds * options.pairs / plain, cost.memory)

    peer = f"transformers on {plain:,} pairs, ids kept; time scaled by pair, memory as it was"
    ways = (lambda turn: child("tokens", source, f"{folder}/tokens{turn}"), theirs)
    yield _in_turn(f"token ids of {options.pairs:,} pairs", peer, options, ways)


def beginning(folder: Path, options: Options) -> Iterator[Figure]:
    source = str(folder / "pairs" / "rows.parquet")
    child("tokens", source, str(folder))  # as an earlier cell left them
    ways = (lambda _: child("first", source, str(folder)), lambda _: child("read", source))
    yield _in_turn(f"first training batch of {options.pairs:,} rows", "pq.read_table of the file", options, ways)


FIGURES: tuple[Callable[[Path, Options], Iterator[Figure]], ...] = (deriving, validating, tokenizing, beginning)


def _in_turn(name: str, peer: str, options: Options, ways: tuple[Callable[[int], Cost], ...]) -> Figure:
    pairs = [[way(turn) for way in ways] for turn in range(options.repeats)]
    return Figure(name, peer, *map(list, zip(*pairs, strict=True)))


def process(command: list[str]) -> Cost:
    """Of a whole process; it must end well."""
    seconds, _, memory = measured(command)
    return Cost(seconds, memory)


def child(*words: str) -> Cost:
    """The cost of a call in a process of its own, without its imports."""
    done = subprocess.run([sys.executable, "-m", "tools.benchmarks.calls", *words], check=True, stdout=subprocess.PIPE)
    return Cost(**json.loads(done.stdout))


if __name__ == "__main__":
    run_command(run)
