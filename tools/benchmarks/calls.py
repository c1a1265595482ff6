"""What tools.benchmarks.data measures within a process of its own: a piece of work → its seconds and memory.

python -m tools.benchmarks.calls tokens rows.parquet outputs  →  {"seconds": 10.58, "memory": 0.3}
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BATCH = 1_000  # pairs that transformers' tokenizer is given at a time
MAX_LENGTH = 128


@dataclass(frozen=True)
class Cost:
    seconds: float
    memory: float  # GB


def call(name: str, *words: str) -> Cost:
    """Seconds of the work itself; memory is what the process grew by at its peak."""
    work = WORK[name](*words)  # imports and what is there before
    before, started = _peak(), time.perf_counter()
    work()
    return Cost(time.perf_counter() - started, _peak() - before)


def _peak() -> float:
    """GB this process held at its peak; of the program alone, where resource.getrusage begins with its parent's."""
    peak = Path("/proc/self/status").read_text().split("VmHWM:")[1]
    return int(peak.split()[0]) * 1024 / 1e9


def _generate(folder: str, rows: str, pairs: str) -> Callable[[], object]:
    """validated.parquet, and pairs/rows.parquet as a sweep leaves it."""
    import pyarrow.parquet as pq

    from relevance import seal
    from relevance.config import DataConfig
    from relevance.data.table import prepare_rows
    from relevance.shop.generate import generate_pairs

    def work() -> None:
        pq.write_table(generate_pairs(int(rows), 0, 0.04), f"{folder}/validated.parquet")
        sized = DataConfig(rows=int(pairs), validation_share=0.02, test_share=0.197)  # 453K of 2.3M, as in the paper
        left = prepare_rows(sized, Path(folder)).path.parent.rename(f"{folder}/pairs")
        seal.write(left / "rows.parquet", left.name)

    return work


def _prepare(source: str, outputs: str) -> Callable[[], object]:
    import pandas  # noqa: F401 the split by entity asks it for a hash

    from relevance.config import DataConfig, Source
    from relevance.data.table import prepare_rows

    return lambda: prepare_rows(DataConfig(kind=Source.pairs, path=source), Path(outputs))


def _bare(source: str) -> Callable[[], object]:
    import pyarrow.dataset  # noqa: F401 read_table asks it
    import pyarrow.parquet as pq

    return lambda: pq.write_table(pq.read_table(source), Path(source).with_name("bare.parquet"))


def _read(source: str) -> Callable[[], object]:
    import pyarrow.dataset  # noqa: F401 read_table asks it
    import pyarrow.parquet as pq

    return lambda: pq.read_table(source)


def _tokenizer() -> Any:
    from transformers import AutoTokenizer

    from relevance.model.backbone import resolve_folder

    return AutoTokenizer.from_pretrained(resolve_folder("embedded:ce"))


def _tokens(source: str, outputs: str) -> Callable[[], object]:
    import pandas  # noqa: F401 a cell has it

    from relevance.data.tokens import Template, load_tokens

    tokenizer, template = _tokenizer(), Template(prefix=False, pair=True, max_length=MAX_LENGTH)
    return lambda: load_tokens(Path(source), tokenizer, "bench", template, Path(outputs) / "tokens")


def _plain(source: str, count: str) -> Callable[[], object]:
    import pyarrow.parquet as pq

    tokenizer, ids = _tokenizer(), list[list[int]]()

    def work() -> None:
        with pq.ParquetFile(source) as file:
            for batch in file.iter_batches(BATCH, columns=["left", "right"]):
                left, right = (batch[side].to_pylist() for side in ("left", "right"))
                ids.extend(tokenizer(left, right, truncation=True, max_length=MAX_LENGTH)["input_ids"])
                if len(ids) >= int(count):
                    return

    return work


def _first(source: str, outputs: str) -> Callable[[], object]:
    from relevance.config import Config, ModelConfig, RoutingConfig
    from relevance.data.pairs_module import pairs_module

    model = ModelConfig(backbone="embedded:ce", max_length=MAX_LENGTH)
    config, tokenizer = Config(model=model, routing=RoutingConfig("mh", heads=True), outputs=outputs), _tokenizer()
    return lambda: next(iter(pairs_module(config, Path(source), tokenizer, "bench").train_dataloader()))


WORK: dict[str, Callable[..., Callable[[], object]]] = {
    "generate": _generate,
    "prepare": _prepare,
    "bare": _bare,
    "tokens": _tokens,
    "plain": _plain,
    "first": _first,
    "read": _read,
}


if __name__ == "__main__":
    print(json.dumps(vars(call(*sys.argv[1:]))))
