"""How alike texts look or mean → hard negatives to draw from, and pairs whose label is doubtful.

mine=10: the 10 types nearest to "usb c cable"; those far from what it wants become label 0
above=0.9: a pair of label 0 whose texts are that alike is dropped, for nobody has looked at it
"""

from typing import TYPE_CHECKING, TypeAlias, Union

import numpy as np
import pyarrow as pa

from relevance.cli import echo
from relevance.data.database import Database
from relevance.data.entities import numbered
from relevance.data.floors import row_dot
from relevance.derive.commands import DeriveOptions, Similarity, SimilarityOptions
from relevance.errors import UserError, first_line
from relevance.tasks import TASK_NAMES, TASKS

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix  # slow to import, and most commands have no use of it

Vectors: TypeAlias = Union[np.ndarray, "csr_matrix"]  # [N, size], each row of length 1
EMBEDDED = "embedded:ce"  # the default of similarity.model
BATCH = 256  # texts embedded at a time
TOKENS = 128  # of a text that are read
PAIRS = 100_000  # compared at a time
MINED = ("query_query", "item_item", "query_type", "item_type", "type_type")


def mine_negatives(options: DeriveOptions, database: Database) -> None:
    """Add to `draw` the nearest right entities of each left one; of a kind at most similarity.pool take part."""
    pools = {}
    for kind in ("query", "item", "type"):
        query = f"SELECT n, folded FROM {kind} ORDER BY hash(n, $seed), n LIMIT $pool"
        pools[kind] = database.table(query, {"seed": options.seed, "pool": options.similarity.pool})
    texts = pa.chunked_array([chunk for pool in pools.values() for chunk in pool["folded"].chunks], pa.string())
    if not len(texts):
        return
    echo(f"mining: {options.similarity.kind} vectors of {len(texts):,} texts")
    made = vectors(texts.to_pylist(), options.similarity)
    ends = np.cumsum([0, *(len(pool) for pool in pools.values())])
    space = {kind: made[start:end] for kind, start, end in zip(pools, ends, ends[1:], strict=False)}
    for name in MINED:
        left, right = TASKS[name].left, TASKS[name].right
        if len(pools[left]) and len(pools[right]):
            near = nearest(space[left], space[right], options.similarity.mine)
            lefts, rights = (pools[kind]["n"].to_numpy() for kind in (left, right))
            database.put("near", pa.table({"l": np.repeat(lefts, near.shape[1]), "r": rights[near.ravel()]}))
            database.append("draw", f"SELECT DISTINCT '{name}', l, r, true FROM near")


def filter_pairs(options: DeriveOptions, database: Database) -> None:
    """Drop from `pair` derived rows of label 0 as alike as similarity.above, of label 2 less alike than below."""
    bounds = options.similarity
    if bounds.above is None and bounds.below is None:
        return
    parts = []
    for at, name in enumerate(TASK_NAMES):
        if name != "query_item":  # people judged these
            query = f"""SELECT task, lx, rx, label, a.folded AS left, b.folded AS right FROM pair
                JOIN {TASKS[name].left} a ON a.n = l JOIN {TASKS[name].right} b ON b.n = r
                WHERE task = {at} AND label <> 1 ORDER BY lx, rx"""
            parts.append(database.table(query))
    table = pa.concat_tables(parts)
    if not len(table):
        return
    close = _cosines(table, options)
    above = np.inf if bounds.above is None else bounds.above
    below = -np.inf if bounds.below is None else bounds.below
    bad = np.where(table["label"].to_numpy() == 0, close >= above, close < below)
    database.put("doubtful", table.select(["task", "lx", "rx"]).filter(pa.array(bad)))
    database.rows("DELETE FROM pair WHERE (task, lx, rx) IN (FROM doubtful)")


def _cosines(table: pa.Table, options: DeriveOptions) -> np.ndarray:
    left, right, texts = numbered(table["left"], table["right"])
    echo(f"filter: {options.similarity.kind} vectors of {len(texts):,} texts, {len(table):,} pairs")
    made = vectors(texts.to_pylist(), options.similarity)
    starts = range(0, len(table), PAIRS)
    return np.concatenate([alike(made, left[at : at + PAIRS], right[at : at + PAIRS]) for at in starts])


def vectors(texts: list[str], options: SimilarityOptions) -> Vectors:
    if options.kind is Similarity.embedding:
        return _embedding(texts, options.model or EMBEDDED)
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 4), dtype=np.float32).fit_transform(texts)


def _embedding(texts: list[str], name: str) -> np.ndarray:
    """The mean of the last states of a text's tokens, its length made 1; of any model that AutoModel loads."""
    import torch
    from tqdm import tqdm

    tokenizer, model = _loaded(name)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = model.eval().to(device)
    order = np.argsort([len(text) for text in texts], kind="stable")[::-1]
    embedded = np.empty((len(texts), model.config.hidden_size), np.float32)
    with torch.inference_mode():
        for start in tqdm(range(0, len(texts), BATCH), unit_scale=BATCH, unit="text", disable=None):
            rows = order[start : start + BATCH]
            batch = tokenizer([texts[row] for row in rows], padding=True, truncation=True, max_length=TOKENS,
                              return_tensors="pt").to(device)  # fmt: skip
            states = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
            mask = batch["attention_mask"].unsqueeze(-1)
            mean = (states * mask).sum(1).float() / mask.sum(1).clamp(min=1)
            embedded[rows] = torch.nn.functional.normalize(mean, dim=-1).cpu().numpy()
    return embedded


def _loaded(name: str):
    from transformers import AutoModel, AutoTokenizer

    from relevance.model.backbone import resolve_folder

    try:
        path = resolve_folder(name)
        tokenizer = AutoTokenizer.from_pretrained(path)
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        return tokenizer, AutoModel.from_pretrained(path)
    except (OSError, ValueError, UserError) as error:
        cause = first_line(error).removeprefix(f"model.backbone={name}: ")
        why = f"AutoModel cannot load it ({cause}); give a folder or a hub id"
        raise UserError(f"similarity.model={name}: {why}") from error


def nearest(left: Vectors, right: Vectors, most: int) -> np.ndarray:
    """Places in `right` [N, most or fewer] of the rows most alike to each row of `left` [N], the closest first."""
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=min(most, right.shape[0]), metric="cosine", algorithm="brute").fit(right)
    return index.kneighbors(left, return_distance=False)


def alike(vectors: Vectors, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Cosine [M] of the rows `left` [M] and `right` [M]."""
    if isinstance(vectors, np.ndarray):
        return np.einsum("nd,nd->n", vectors[left], vectors[right])
    return row_dot(vectors, left, right)
