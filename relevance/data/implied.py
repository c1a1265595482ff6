"""Test rows → pairs they imply, once per table: the mirror of a symmetric pair, the third side of a triangle.

query_item "usb c cable" – "Volt cable 2 m" (2), item_type "Volt cable 2 m" – "cables" (2) → query_type "usb c cable" –
"cables". The first side of a triangle is a test row; the second may stand in any split.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from relevance.atomic_io import atomic_file
from relevance.data.entities import KINDS
from relevance.data.stored import beside, open_rows, read_columns
from relevance.tasks import TASK_INDEX, TASK_NAMES, TASKS

MOST = 1_000  # mirrors of a task, triangles of a kind; drawn by a fixed seed where there are more
DEGREE = 8  # sides an entity lends to triangles at most, so that one broad type does not make them all
CLOSING = np.array([[f"{left}_{right}" for right in KINDS] for left in KINDS], dtype=object)  # for kinds in order
RELEVANT = 2
PAIR = ["task", "a", "b"]
SECOND, THIRD = ([f"{name}_{side}" for name in PAIR] for side in (2, 3))  # of a triangle
SCHEMAS = {
    "pairs": pa.schema([("row", pa.int64()), ("task", pa.string()), ("left", pa.string()), ("right", pa.string())]),
    "mirrors": pa.schema([("task", pa.string()), ("row", pa.int64()), ("mirror", pa.int64())]),
    "triangles": pa.schema([("kind", pa.string()), *((name, pa.int64()) for name in ("first", "second", "third"))]),
}


@dataclass(frozen=True)
class Implied:
    """Pairs to score, and how they hang together; every number is a row id, of rows.parquet or of `pairs`."""

    pairs: pa.Table  # row (above all of rows.parquet), task, left, right
    mirrors: pa.Table  # task, row, mirror
    triangles: pa.Table  # kind, two sides whose labels are 2, the side that closes them


def ensure_implied(rows: Path) -> Implied:
    """What the test rows of rows.parquet imply, read from beside it or computed and left there."""

    def make() -> dict[str, pa.Table]:
        made = implied(read_columns(open_rows(rows), ["row", "split", "task", "left", "right", "label"]))
        return {f"implied-{name}": getattr(made, name) for name in SCHEMAS}

    paths = beside(rows, [f"implied-{name}" for name in SCHEMAS], make, _write)
    return Implied(*(read_columns(path) for path in paths.values()))


def _write(table: pa.Table, path: Path) -> None:
    with atomic_file(path) as part:
        pq.write_table(table, part)


def implied(table: pa.Table) -> Implied:
    """Mirrors and triangles of the test rows of `table`; the same rows give the same pairs."""
    rows, texts = _coded(table.to_pandas())
    test = rows[rows["split"] == "test"]
    mirrors, triangles = _mirrors(test), _triangles(test, rows)
    wanted = [mirrors[PAIR], *(triangles[side].set_axis(PAIR, axis=1) for side in (SECOND, THIRD))]
    pairs = pd.MultiIndex.from_frame(pd.concat(wanted).drop_duplicates())
    known = test.drop_duplicates(PAIR).set_index(PAIR)["row"]
    new = pairs[~pairs.isin(known.index)]
    first = (pc.max(table["row"]).as_py() or 0) + 1
    ids = pd.concat([known, pd.Series(np.arange(first, first + len(new)), new)])
    mirror, second, third = (ids.reindex(pd.MultiIndex.from_frame(part)).to_numpy(np.int64) for part in wanted)
    frames = {"mirrors": mirrors.assign(mirror=mirror), "triangles": triangles.assign(second=second, third=third)}
    task, a, b = (new.get_level_values(name).to_numpy() for name in PAIR)
    return Implied(
        pa.table([ids[new].to_numpy(), task, texts[a], texts[b]], schema=SCHEMAS["pairs"]),
        *(pa.Table.from_pandas(frame, SCHEMAS[name], preserve_index=False) for name, frame in frames.items()),
    )


def _coded(rows: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """With kinds `ka`, `kb` of both sides and their entities as numbers `a`, `b`; then the text of each number."""
    for side, kind in (("left", "ka"), ("right", "kb")):
        rows[kind] = rows["task"].map({name: KINDS.index(getattr(task, side)) for name, task in TASKS.items()})
    both = pd.concat([rows["ka"], rows["kb"]]).astype(str) + " " + pd.concat([rows["left"], rows["right"]])
    codes, different = pd.factorize(both)
    rows["a"], rows["b"] = np.split(codes, 2)
    return rows, different.str.slice(2).to_numpy()


def _mirrors(test: pd.DataFrame) -> pd.DataFrame:
    """task, row, and the sides a, b of its mirror; a pair of equal texts has none."""
    pairs = test[(test["ka"] == test["kb"]) & (test["a"] != test["b"])]
    pairs = _some(pairs.assign(a=pairs["b"], b=pairs["a"]), "task")
    return pairs[["task", "row", "a", "b"]].reset_index(drop=True)


def _triangles(test: pd.DataFrame, every: pd.DataFrame) -> pd.DataFrame:
    """kind, first (a test row of label 2), the pair of a row of label 2 that shares an entity, and the closing pair."""
    tested, known = (_ends(rows[(rows["label"] == RELEVANT) & (rows["a"] != rows["b"])]) for rows in (test, every))
    both = tested.merge(known.groupby("shared").head(DEGREE), on="shared", suffixes=("_1", "_2"))
    both = both[(both["row_1"] != both["row_2"]) & (both["end_1"] != both["end_2"])]
    low, high = (which(both["row_1"], both["row_2"]) for which in (np.minimum, np.maximum))
    both = both[~pd.DataFrame({"low": low, "high": high}).duplicated()]
    turned = (both["kind_1"] > both["kind_2"]) | ((both["kind_1"] == both["kind_2"]) & (both["end_1"] > both["end_2"]))
    pairs = (both[[f"{name}_1", f"{name}_2"]].to_numpy() for name in ("kind", "end"))
    kinds, ends = (np.where(turned.to_numpy()[:, None], pair[:, ::-1], pair) for pair in pairs)
    third = CLOSING[kinds[:, 0], kinds[:, 1]]
    tasks = np.column_stack([both[name].map(TASK_INDEX) for name in ("task_1", "task_2")])
    names = np.array(TASK_NAMES, dtype=object)[np.sort(tasks.astype(int))]  # of no rows they are objects
    triangles = pd.DataFrame({
        "kind": names[:, 0] + " + " + names[:, 1] + " → " + third,
        "first": both["row_1"].to_numpy(), "task_2": both["task_2"].to_numpy(),
        "a_2": both["a_2"].to_numpy(), "b_2": both["b_2"].to_numpy(),
        "task_3": third, "a_3": ends[:, 0], "b_3": ends[:, 1],
    })  # fmt: skip
    return _some(triangles, "kind").reset_index(drop=True)


def _ends(sides: pd.DataFrame) -> pd.DataFrame:
    """Each side twice, seen from either entity: `shared`, and the kind and number of the other `end`; shuffled."""
    seen = [sides.assign(shared=sides[here], end=sides[there], kind=sides["k" + there]) for here, there in ("ab", "ba")]
    both = pd.concat(seen)[["shared", "end", "kind", "row", "task", "a", "b"]]
    return both.sample(frac=1, random_state=0)


def _some(rows: pd.DataFrame, group: str) -> pd.DataFrame:
    """At most MOST rows of each group, in their order."""
    return rows.sample(frac=1, random_state=0).groupby(group).head(MOST).sort_index()
