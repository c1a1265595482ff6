"""Token ids of every pair, made once per (rows, tokenizer, template, max length) and memory-mapped ever after.

an encoder  [CLS] query item:⏎ usb c cable [SEP] volt usb - c cable [SEP]     its task named where the routing says so
a decoder   usb c cable ⏎ Volt USB-C cable <its end token>

On disk: ids.npy (flat, uint16 or int32), offsets.npy [N+1] and second.npy [N], where the right text starts. A model
folder keeps in template.json how its cell read pairs: a Reading.
"""

import hashlib
import json
from collections.abc import Generator, Iterable
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock
from tqdm import tqdm

from relevance import seal
from relevance.atomic_io import atomic_folder
from relevance.cell_id import REMEDY
from relevance.cli import echo
from relevance.config import Config, Family
from relevance.data.entities import numbered
from relevance.data.token_ids import DistinctTexts, Growing, Ragged, ahead, encode_texts, interleave, ragged
from relevance.errors import UserError
from relevance.metrics import task_codes
from relevance.tasks import TASK_NAMES, TASKS

FORMAT = 4  # of the cache; increase it when the same text would get other ids
CHUNK = 200_000  # pairs of a table in memory that are encoded at a time
BATCH = 1 << 16  # pairs of a file that are encoded at a time
BUFFER = 1 << 20  # bytes of a parquet column read at once
ARRAYS = ("ids", "offsets", "second")  # of Tokens, a file each


@dataclass(frozen=True)
class Template:
    """How a pair becomes one text for one kind of model."""

    prefix: bool  # name the task in front of the left text
    pair: bool  # encoder: the tokenizer's own form of a pair; decoder: left, line break, right, end
    max_length: int
    line: bool = True  # the task is named on a line of its own; cells before numerics 2 had no line break behind it
    odd_to_longer: bool = True  # what is cut to an odd number of tokens; before numerics 3 the right text kept one more


@dataclass(frozen=True)
class Reading:
    """How a trained cell reads pairs."""

    template: Template
    tasks: tuple[str, ...]  # trained on, in the order of TASK_NAMES

    @classmethod
    def of(cls, folder: Path) -> "Reading":
        """What `written` left in a model folder; an older cell did without tasks, `line` and `odd_to_longer`."""
        content = _read_template(folder / "template.json")
        tasks = tuple(content.pop("tasks", TASK_NAMES))
        return cls(Template(**{"line": False, "odd_to_longer": False, **content}), tasks)

    def check(self, config: Config, folder: Path) -> None:
        """UserError where a cell of this config, in the folder this was read from, reads pairs otherwise."""
        read = (self.template.prefix, self.template.pair, self.template.max_length)
        if read != (config.routing.prefix, config.model.family is Family.ce, config.model.max_length):
            raise UserError(f"{folder}: template.json and config.yaml differ in how pairs are read; {REMEDY}")

    def written(self) -> dict[str, object]:
        """The content of template.json."""
        return {**asdict(self.template), "tasks": list(self.tasks)}

    def unknown(self, tasks: Iterable[str]) -> list[str]:
        """Those of `tasks` that the cell was not trained on, in the order of TASK_NAMES."""
        wanted = set(tasks)
        return [name for name in TASK_NAMES if name in wanted and name not in self.tasks]


def _read_template(file: Path) -> dict[str, Any]:
    """What `written` gave; UserError where it is none such."""
    kinds: dict[str, Any] = {field.name: field.type for field in fields(Template)} | {"tasks": list}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        ours = {"prefix", "pair", "max_length"} <= content.keys() <= kinds.keys()
        ours &= all(type(value) is kinds[name] for name, value in content.items()) and content["max_length"] > 0
        ours &= content.get("tasks") != [] and all(task in TASK_NAMES for task in content.get("tasks", ()))
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        ours = False
    if not ours:
        raise UserError(f"{file}: does not say how a cell reads pairs; {REMEDY}")
    return content


@dataclass(frozen=True)
class Tokens:
    """Token ids of N pairs, in memory or memory-mapped."""

    ids: np.ndarray  # [sum of lengths]
    offsets: np.ndarray  # [N + 1]
    second: np.ndarray  # [N] position in the row where the right text starts
    truncated: float  # share of rows that lost tokens

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.offsets)

    def and_then(self, other: "Tokens") -> "Tokens":
        """These pairs, then the others, in memory."""
        offsets = np.concatenate([self.offsets, self.offsets[-1] + other.offsets[1:]])
        ids, second = np.concatenate([self.ids, other.ids]), np.concatenate([self.second, other.second])
        cut = self.truncated * len(self.second) + other.truncated * len(other.second)
        return Tokens(ids, offsets, second, cut / len(second))


def load_tokens(rows: Path, tokenizer, identity: str, template: Template, cache: Path) -> Tokens:
    """The token ids of the pairs in `rows`; made on the first call. `identity` is the backbone's digest."""
    key = json.dumps([FORMAT, rows.parent.name, identity, template.prefix, template.pair, template.max_length])
    folder = cache / hashlib.sha256(key.encode()).hexdigest()[:16]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(str(folder) + ".lock"):
        # one without a seal is not whole: to make it takes seconds
        unsealed = folder.is_dir() and not seal.place(folder).exists()
        if why := f"{folder}: has no seal" if unsealed else seal.fault(folder, folder.name):
            if folder.exists():
                echo(f"token cache {why}; it is made anew")
            _write(rows, tokenizer, template, folder)
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
    return Tokens(**arrays, truncated=json.loads((folder / "meta.json").read_text())["truncated"])


def encode_pairs(table: pa.Table, tokenizer, template: Template, named: np.ndarray | None = None) -> Tokens:
    """The token ids of the pairs in `table` (columns task, left, right), in memory.

    `named` [N] is the place in TASK_NAMES of the task each text names, -1: none; null: as the template says.
    """
    encoder = _Encoder(tokenizer, template)
    named = encoder.named(table) if named is None else named
    pieces = []
    for start in range(0, max(1, len(table)), CHUNK):
        left, right, texts = numbered(*(table[side].slice(start, CHUNK) for side in ("left", "right")))
        every = ragged(tokenizer, texts.to_pylist())
        pieces.append(encoder.encode(named[start : start + CHUNK], every.take(left), every.take(right)))
    ids, lengths, second, cut = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    return Tokens(ids, np.concatenate([[0], np.cumsum(lengths)]), second, int(cut.sum()) / max(1, len(table)))


def _write(rows: Path, tokenizer, template: Template, folder: Path) -> None:
    """A part of the table at a time: neither its texts nor their ids are ever in memory together."""
    encoder = _Encoder(tokenizer, template)
    kinds = {"ids": encoder.kind, "offsets": np.int64, "second": np.int32}
    with atomic_folder(folder) as part, ExitStack() as stack:
        # without a buffer of its own it reads whole row groups
        file = stack.enter_context(pq.ParquetFile(rows, buffer_size=BUFFER, pre_buffer=False))
        arrays = {name: stack.enter_context(Growing(part / f"{name}.npy", kinds[name])) for name in ARRAYS}
        texts = stack.enter_context(DistinctTexts(tokenizer, part / "texts.npy", encoder.kind))
        n, cut = file.metadata.num_rows, 0
        arrays["offsets"].append(np.zeros(1))
        bar = stack.enter_context(tqdm(total=n, desc="tokens", unit="pair", disable=None))
        for piece in stack.enter_context(closing(_pieces(file, encoder, texts))):
            arrays["offsets"].append(arrays["ids"].size + np.cumsum(piece.lengths))
            arrays["ids"].append(piece.ids)
            arrays["second"].append(piece.second)
            cut += int(piece.cut.sum())
            bar.update(len(piece.lengths))
        (part / "meta.json").write_text(json.dumps({"truncated": cut / max(1, n)}))
        stack.close()  # the arrays are whole now, the texts gone
        seal.write(part, folder.name)


def _pieces(file: pq.ParquetFile, encoder: "_Encoder", texts: DistinctTexts) -> Generator["Piece", None, None]:
    """The pieces of a file in their order."""

    def sides(batch: pa.RecordBatch) -> tuple[np.ndarray, Ragged, Ragged]:
        table = pa.Table.from_batches([batch])
        return encoder.named(table), *texts.sides(table["left"], table["right"])

    with closing(ahead(sides, file.iter_batches(BATCH, columns=["task", "left", "right"]))) as encoded:
        for named, left, right in encoded:
            yield encoder.encode(named, left, right)


class Piece(NamedTuple):
    ids: np.ndarray  # [sum of lengths]
    lengths: np.ndarray  # [n]
    second: np.ndarray  # [n]
    cut: np.ndarray  # [n], whether the pair lost tokens


class _Encoder:
    """A template in the ids of one tokenizer; raises UserError for an unfit tokenizer."""

    def __init__(self, tokenizer, template: Template):
        self.template, self.frame = template, pair_frame(tokenizer, template.pair)
        self.prefixes = Ragged.of([*prefix_ids(tokenizer, template), []])  # [7], last, at -1, of no task
        self.kind = np.uint16 if len(tokenizer) < 2**16 else np.int32  # of an id on disk

    def named(self, table: pa.Table) -> np.ndarray:
        """The place in TASK_NAMES of the task each pair's text names [N]; -1: none."""
        return task_codes(table["task"]) if self.template.prefix else np.full(len(table), -1)

    def encode(self, named: np.ndarray, left: Ragged, right: Ragged) -> Piece:
        """The ids of n pairs from those of their texts; raises UserError where the fixed tokens leave no room."""
        frame, prefix, n = self.frame, self.prefixes.take(named), len(named)
        before, between, after = (Ragged.constant(ids, n) for ids in (frame.before, frame.between, frame.after))
        longest = self.template.max_length
        room = longest - before.lengths - between.lengths - after.lengths - prefix.lengths
        if (room < 2).any():
            raise UserError(f"model.max_length={longest}: leaves no room for a pair beside the fixed tokens; raise it")
        n_left, n_right = fit(left.lengths, right.lengths, room, self.template.odd_to_longer)
        cut = (n_left < left.lengths) | (n_right < right.lengths)
        parts = [before, prefix, left.shorten(n_left), between, right.shorten(n_right), after]
        lengths = np.sum([part.lengths for part in parts], axis=0)
        second = np.sum([part.lengths for part in parts[:4]], axis=0)
        return Piece(interleave(parts).astype(self.kind), lengths, second.astype(np.int32), cut)


def fit(left: np.ndarray, right: np.ndarray, room: np.ndarray, odd_to_longer: bool = True) -> tuple[np.ndarray, ...]:
    """Lengths [n], [n] cut to `room` together, the longer text first, as transformers' longest_first has it."""
    half = room // 2 + (room % 2) * (odd_to_longer & (left > right))
    short_left, short_right = np.minimum(left, half), np.minimum(right, room - half)
    return np.minimum(left, room - short_right), np.minimum(right, room - short_left)


@dataclass(frozen=True)
class Frame:
    before: list[int]
    between: list[int]
    after: list[int]


def pair_frame(tokenizer, pair: bool) -> Frame:
    """The tokenizer's own form of a `pair`, or a decoder's: left, a line break, right, the pooled end token."""
    a, b = encode_texts(tokenizer, ["red", "blue"])
    if pair:
        whole = tokenizer("red", "blue")["input_ids"]
        first = _find(whole, a, 0)
        after = _find(whole, b, first + len(a))
        return Frame(whole[:first], whole[first + len(a) : after], whole[after + len(b) :])
    whole = tokenizer("red")["input_ids"]
    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    return Frame(whole[: _find(whole, a, 0)], encode_texts(tokenizer, ["\n"])[0], end)


def _find(whole: list[int], part: list[int], start: int) -> int:
    for at in range(start, len(whole) - len(part) + 1):
        if whole[at : at + len(part)] == part:
            return at
    raise UserError(f"tokenizer: {whole} does not hold {part}; a tokenizer that rewrites pairs cannot serve")


def prefix_ids(tokenizer, template: Template) -> list[list[int]]:
    """The ids that name each task [6] in front of a text, where the template says so."""
    lines = [TASKS[name].prefix for name in TASK_NAMES]
    return encode_texts(tokenizer, lines if template.line else [line.rstrip() for line in lines])


def segments(tokenizer, template: Template) -> bool:
    """Whether token_type_ids say to the backbone which text is the right one, as to BERT in its pretraining."""
    return template.pair and "token_type_ids" in tokenizer.model_input_names
