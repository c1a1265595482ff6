"""Token ids of every pair, made once per (rows, tokenizer, template, max length) and memory-mapped ever after.

    pair ("usb c cable", "Volt USB-C cable")  →  [CLS] usb c cable [SEP] volt usb - c cable [SEP]
    with the task named in the text           →  [CLS] query item: usb c cable [SEP] volt …

On disk: ids.npy (flat, uint16 or int32), offsets.npy [N+1] and second.npy [N], where the right text starts.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock

from relevance import whole
from relevance.data.ragged import Ragged, interleave
from relevance.errors import UserError
from relevance.scores import task_codes
from relevance.tasks import TASK_NAMES, TASKS

FORMAT = 2  # of the cache; raise it when the same text would get other ids
CHUNK = 200_000  # pairs assembled at a time
ARRAYS = ("ids", "offsets", "second")  # of Tokens, a file each


@dataclass(frozen=True)
class Template:
    """How a pair becomes one text for one kind of model."""

    prefix: bool  # name the task in front of the left text
    pair: bool  # encoder: the tokenizer's own form of a pair; decoder: left, line break, right, end
    max_length: int


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


@dataclass(frozen=True)
class Frame:
    """The fixed tokens around a pair: before, between, after."""

    before: list[int]
    between: list[int]
    after: list[int]


def tokens(rows: Path, tokenizer, identity: str, template: Template, cache: Path) -> Tokens:
    """The token ids of the pairs in `rows`; made on the first call, opened on every later one.

    `identity` is the backbone's digest: it stands for the tokenizer. Two processes make them once.
    """
    key = json.dumps([FORMAT, rows.parent.name, identity, template.prefix, template.pair, template.max_length])
    folder = cache / hashlib.sha256(key.encode()).hexdigest()[:16]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(str(folder) + ".lock"):
        if not folder.is_dir():
            table = pq.read_table(rows, columns=["task", "left", "right"])
            _write(table, tokenizer, template, folder)
    try:
        arrays = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS]
        return Tokens(*arrays, truncated=json.loads((folder / "meta.json").read_text())["truncated"])
    except (OSError, ValueError) as error:
        raise UserError(f"token cache {folder}: {error}; remove the folder, and it is made again") from error


def encode(table: pa.Table, tokenizer, template: Template, told: np.ndarray | None = None) -> Tokens:
    """The token ids of the pairs in `table` (columns task, left, right), in memory.

    `told` [N] is for each row the place in TASK_NAMES of the task its text names, -1 where it names none; without
    it each row names its own task where the template says so. Raises UserError for an unfit tokenizer or length.
    """
    if told is None:
        told = task_codes(table["task"]) if template.prefix else np.full(len(table), -1)
    frame = _pair_frame(tokenizer) if template.pair else _line_frame(tokenizer)
    prefixes = Ragged.of([*_encode(tokenizer, [f"{TASKS[name].words}:" for name in TASK_NAMES]), []])  # -1: the last
    ids, lengths, second, cut = [np.empty(0, np.uint16)], [np.empty(0, np.int64)], [np.empty(0, np.int32)], 0
    for start in range(0, len(table), CHUNK):
        prefix = prefixes.take(told[start : start + CHUNK])
        part = _assemble(table.slice(start, CHUNK), tokenizer, frame, prefix, template.max_length)
        ids.append(part[0].astype(np.uint16 if len(tokenizer) < 2**16 else np.int32))
        lengths.append(part[1])
        second.append(part[2])
        cut += part[3]
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
    return Tokens(np.concatenate(ids), offsets, np.concatenate(second), truncated=cut / max(1, len(table)))


def recipe(tokenizer, template: Template) -> dict[str, object]:
    """How a pair becomes ids, for a reader without this code: the fixed ids of `encode` and each task's prefix."""
    frame = _pair_frame(tokenizer) if template.pair else _line_frame(tokenizer)
    texts = [f"{TASKS[name].words}:" for name in TASK_NAMES]
    prefixes = dict(zip(TASK_NAMES, _encode(tokenizer, texts), strict=True)) if template.prefix else {}
    return {**asdict(frame), "prefix": prefixes, "max_length": template.max_length, "pad": tokenizer.pad_token_id}


def segments(tokenizer, template: Template) -> bool:
    """Whether the backbone is told by token_type_ids which text is the right one, as BERT was in its pretraining."""
    return template.pair and "token_type_ids" in tokenizer.model_input_names


def _write(table: pa.Table, tokenizer, template: Template, folder: Path) -> None:
    made = encode(table, tokenizer, template)
    with whole.folder(folder) as part:
        for name in ARRAYS:
            np.save(part / f"{name}.npy", getattr(made, name))
        (part / "meta.json").write_text(json.dumps({"truncated": made.truncated}))


def _assemble(table: pa.Table, tokenizer, frame: Frame, prefix: Ragged, max_length: int) -> tuple:
    """Flat ids, lengths [n], starts of the right text [n], how many rows were cut."""
    left, right = (_side(table[side], tokenizer) for side in ("left", "right"))
    room = max_length - len(frame.before) - len(frame.between) - len(frame.after) - prefix.lengths
    if (room < 2).any():
        raise UserError(f"model.max_length={max_length}: leaves no room for a pair beside the fixed tokens; raise it")
    n_left, n_right = fit(left.lengths, right.lengths, room)
    cut = int(((n_left < left.lengths) | (n_right < right.lengths)).sum())
    n = len(table)
    parts = [
        Ragged.constant(frame.before, n),
        prefix,
        left.shorten(n_left),
        Ragged.constant(frame.between, n),
        right.shorten(n_right),
        Ragged.constant(frame.after, n),
    ]
    lengths = sum(part.lengths for part in parts)
    second = sum(part.lengths for part in parts[:4])
    return interleave(parts), lengths, second.astype(np.int32), cut


def fit(left: np.ndarray, right: np.ndarray, room: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lengths [n], [n] cut to `room` together: the longer text gives way first."""
    half = room // 2
    short_left, short_right = np.minimum(left, half), np.minimum(right, room - half)
    return np.minimum(left, room - short_right), np.minimum(right, room - short_left)


def _side(texts: pa.ChunkedArray, tokenizer) -> Ragged:
    """Each different text is tokenized once."""
    unique = texts.cast(pa.string()).combine_chunks().dictionary_encode()
    return Ragged.of(_encode(tokenizer, unique.dictionary.to_pylist())).take(np.array(unique.indices))


def _encode(tokenizer, texts: list[str]) -> list[list[int]]:
    # the words "[SEP]" in a title are text, not the end of it
    return tokenizer(
        texts, add_special_tokens=False, return_attention_mask=False, split_special_tokens=True, verbose=False
    )["input_ids"]


def _pair_frame(tokenizer) -> Frame:
    """What the tokenizer puts around a pair, read off a pair of two plain texts."""
    a, b = _encode(tokenizer, ["red", "blue"])
    whole = tokenizer("red", "blue")["input_ids"]
    first = _find(whole, a, 0)
    after = _find(whole, b, first + len(a))
    return Frame(whole[:first], whole[first + len(a) : after], whole[after + len(b) :])


def _line_frame(tokenizer) -> Frame:
    """A decoder reads left, a line break, right and its end token, whose state is pooled."""
    text = _encode(tokenizer, ["red"])[0]
    whole = tokenizer("red")["input_ids"]
    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    return Frame(whole[: _find(whole, text, 0)], _encode(tokenizer, ["\n"])[0], end)


def _find(whole: list[int], part: list[int], start: int) -> int:
    for at in range(start, len(whole) - len(part) + 1):
        if whole[at : at + len(part)] == part:
            return at
    raise UserError(f"tokenizer: {whole} does not hold {part}; a tokenizer that rewrites pairs cannot serve")
