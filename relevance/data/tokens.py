"""Token ids of every pair, made once per (rows, tokenizer, template, max length) and memory-mapped ever after.

    pair ("usb c cable", "Volt USB-C cable")  →  [CLS] usb c cable [SEP] volt usb - c cable [SEP]
    with the task named in the text           →  [CLS] query item:⏎ usb c cable [SEP] volt …
    a decoder                                 →  usb c cable ⏎ Volt USB-C cable <its end token>

On disk: ids.npy (flat, uint16 or int32), offsets.npy [N+1] and second.npy [N], where the right text starts. The fixed
tokens around the texts are read off the tokenizer itself.
"""

import hashlib
import json
from collections.abc import Generator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock
from tqdm import tqdm

from relevance.atomic_io import atomic_folder
from relevance.data.token_ids import Distinct, Growing, Ragged, ahead, encode_texts, interleave, ragged
from relevance.errors import UserError
from relevance.metrics import task_codes
from relevance.tasks import TASK_NAMES, TASKS

FORMAT = 3  # of the cache; increase it when the same text would get other ids
CHUNK = 200_000  # pairs of a table in memory that are encoded at a time
BATCH = 1 << 16  # pairs of a file that are encoded at a time
BUFFER = 1 << 20  # bytes of a parquet column read at once
ARRAYS = ("ids", "offsets", "second")  # of Tokens, a file each
PARTS = ("ids", "lengths", "second")  # of Piece


@dataclass(frozen=True)
class Template:
    """How a pair becomes one text for one kind of model."""

    prefix: bool  # name the task in front of the left text
    pair: bool  # encoder: the tokenizer's own form of a pair; decoder: left, line break, right, end
    max_length: int
    line: bool = True  # the task is named on a line of its own; cells before numerics 2 had no line break behind it


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


def load_tokens(rows: Path, tokenizer, identity: str, template: Template, cache: Path) -> Tokens:
    """The token ids of the pairs in `rows`; made on the first call, opened on every later one.

    `identity` is the backbone's digest: it stands for the tokenizer. Two processes make them once.
    """
    key = json.dumps([FORMAT, rows.parent.name, identity, template.prefix, template.pair, template.max_length])
    folder = cache / hashlib.sha256(key.encode()).hexdigest()[:16]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(str(folder) + ".lock"):
        if not folder.is_dir():
            _write(rows, tokenizer, template, folder)
    try:
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
        return Tokens(**arrays, truncated=json.loads((folder / "meta.json").read_text())["truncated"])
    except (OSError, ValueError) as error:
        raise UserError(f"token cache {folder}: {error}; remove the folder, and it is made again") from error


@dataclass(frozen=True)
class Frame:
    """Token ids before, between and after the texts."""

    before: list[int]
    between: list[int]
    after: list[int]


@dataclass(frozen=True)
class Form:
    """A template in the ids of one tokenizer."""

    frame: Frame
    prefixes: Ragged  # [7] the words of each task, and last, at -1, none
    max_length: int
    kind: type[np.generic]  # of an id on disk

    @classmethod
    def of(cls, tokenizer, template: Template) -> "Form":
        """Raises UserError for an unfit tokenizer."""
        prefixes = Ragged.of([*prefix_ids(tokenizer, template), []])
        kind = np.uint16 if len(tokenizer) < 2**16 else np.int32
        return cls(pair_frame(tokenizer, template.pair), prefixes, template.max_length, kind)


@dataclass(frozen=True)
class Piece:
    """The ids of n consecutive pairs."""

    ids: np.ndarray  # [sum of lengths]
    lengths: np.ndarray  # [n]
    second: np.ndarray  # [n]
    cut: int  # rows that lost tokens


def encode_pairs(table: pa.Table, tokenizer, template: Template, named: np.ndarray | None = None) -> Tokens:
    """The token ids of the pairs in `table` (columns task, left, right), in memory.

    `named` [N] is for each row the place in TASK_NAMES of the task its text names, -1 where it names none; without
    it each row names its own task where the template says so. Raises UserError for an unfit tokenizer or length.
    """
    if named is None:
        named = named_tasks(table, template)
    form = Form.of(tokenizer, template)
    pieces = [Piece(np.empty(0, form.kind), np.empty(0, np.int64), np.empty(0, np.int32), 0)]
    for start in range(0, len(table), CHUNK):
        part = table.slice(start, CHUNK)
        pieces.append(_piece(form, named[start : start + CHUNK], *_sides(part["left"], part["right"], tokenizer)))
    ids, lengths, second = (np.concatenate([getattr(piece, name) for piece in pieces]) for name in PARTS)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return Tokens(ids, offsets, second, truncated=sum(piece.cut for piece in pieces) / max(1, len(table)))


def named_tasks(table: pa.Table, template: Template) -> np.ndarray:
    """The place in TASK_NAMES of the task each pair's text names [N]; -1: none."""
    return task_codes(table["task"]) if template.prefix else np.full(len(table), -1)


def _sides(left: pa.ChunkedArray, right: pa.ChunkedArray, tokenizer) -> tuple[Ragged, Ragged]:
    """The ids of each text of both columns [n]; each different text is tokenized once."""
    both = pa.chunked_array([*left.cast(pa.string()).chunks, *right.cast(pa.string()).chunks])
    unique = both.combine_chunks().dictionary_encode()
    ids, places = ragged(tokenizer, unique.dictionary.to_pylist()), unique.indices.to_numpy()
    return ids.take(places[: len(left)]), ids.take(places[len(left) :])


def _write(rows: Path, tokenizer, template: Template, folder: Path) -> None:
    """A part of the table at a time: neither its texts nor their ids are ever in memory together."""
    form = Form.of(tokenizer, template)
    kinds = {"ids": form.kind, "offsets": np.int64, "second": np.int32}
    with atomic_folder(folder) as part, ExitStack() as stack:
        # without a buffer of its own it reads whole row groups
        file = stack.enter_context(pq.ParquetFile(rows, buffer_size=BUFFER, pre_buffer=False))
        arrays = {name: stack.enter_context(Growing(part / f"{name}.npy", kinds[name])) for name in ARRAYS}
        texts = stack.enter_context(Distinct(tokenizer, part / "texts.npy", form.kind))
        n, cut = file.metadata.num_rows, 0
        arrays["offsets"].append(np.zeros(1))
        bar = stack.enter_context(tqdm(total=n, desc="tokens", unit="pair", disable=None))
        for piece in stack.enter_context(closing(_pieces(file, form, template, texts))):
            arrays["offsets"].append(arrays["ids"].size + np.cumsum(piece.lengths))
            arrays["ids"].append(piece.ids)
            arrays["second"].append(piece.second)
            cut += piece.cut
            bar.update(len(piece.lengths))
        (part / "meta.json").write_text(json.dumps({"truncated": cut / max(1, n)}))


def _pieces(file: pq.ParquetFile, form: Form, template: Template, texts: Distinct) -> Generator[Piece, None, None]:
    """The pieces of a file in their order."""

    def sides(batch: pa.RecordBatch) -> tuple[np.ndarray, Ragged, Ragged]:
        table = pa.Table.from_batches([batch])
        return named_tasks(table, template), *texts.sides(table["left"], table["right"])

    batches = file.iter_batches(BATCH, columns=["task", "left", "right"])
    with closing(ahead(sides, batches)) as encoded:
        for named, left, right in encoded:
            yield _piece(form, named, left, right)


def _piece(form: Form, named: np.ndarray, left: Ragged, right: Ragged) -> Piece:
    """Raises UserError where the fixed tokens leave no room."""
    fixed, prefix = form.frame, form.prefixes.take(named)
    room = form.max_length - len(fixed.before) - len(fixed.between) - len(fixed.after) - prefix.lengths
    if (room < 2).any():
        raise UserError(
            f"model.max_length={form.max_length}: leaves no room for a pair beside the fixed tokens; raise it"
        )
    n_left, n_right = fit(left.lengths, right.lengths, room)
    cut = int(((n_left < left.lengths) | (n_right < right.lengths)).sum())
    n = len(named)
    parts = [
        Ragged.constant(fixed.before, n),
        prefix,
        left.shorten(n_left),
        Ragged.constant(fixed.between, n),
        right.shorten(n_right),
        Ragged.constant(fixed.after, n),
    ]
    lengths = np.sum([part.lengths for part in parts], axis=0)
    second = np.sum([part.lengths for part in parts[:4]], axis=0)
    return Piece(interleave(parts).astype(form.kind), lengths, second.astype(np.int32), cut)


def fit(left: np.ndarray, right: np.ndarray, room: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lengths [n], [n] cut to `room` together: the longer text gives way first."""
    half = room // 2
    short_left, short_right = np.minimum(left, half), np.minimum(right, room - half)
    return np.minimum(left, room - short_right), np.minimum(right, room - short_left)


def pair_frame(tokenizer, pair: bool) -> Frame:
    """The tokenizer's own form of a `pair`, or a decoder's; raises UserError for one that rewrites pairs."""
    return _pair(tokenizer) if pair else _lines(tokenizer)


def _pair(tokenizer) -> Frame:
    """What the tokenizer puts around a pair of two plain texts."""
    a, b = encode_texts(tokenizer, ["red", "blue"])
    whole = tokenizer("red", "blue")["input_ids"]
    first = _find(whole, a, 0)
    after = _find(whole, b, first + len(a))
    return Frame(whole[:first], whole[first + len(a) : after], whole[after + len(b) :])


def _lines(tokenizer) -> Frame:
    """A decoder reads left, a line break, right and its end token, whose state is pooled."""
    text = encode_texts(tokenizer, ["red"])[0]
    whole = tokenizer("red")["input_ids"]
    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    return Frame(whole[: _find(whole, text, 0)], encode_texts(tokenizer, ["\n"])[0], end)


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
    """Whether the backbone is told by token_type_ids which text is the right one, as BERT was in its pretraining."""
    return template.pair and "token_type_ids" in tokenizer.model_input_names
