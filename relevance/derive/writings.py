"""Types written in several ways → the commonest way each.

type="Home > Lamps" of 7 rows, "HOME > LAMPS" of 2 → both "Home > Lamps", 1 joined
type="ab" name="Beds" and type="AB" name="Rugs" → as they are: ids of two types
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.derive.texts import folded

TREE = ("type", "name", "parent")


@dataclass(frozen=True)
class Writings:
    """The writing of each type, by its folded text, where that stands for one type alone."""

    of: dict[str, str] = field(default_factory=dict)
    joined: int = 0  # writings that another one stands for

    def applied(self, column: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
        """Types [N] in the writing they are known by; others as they are."""
        if not self.of:
            return column
        values = pc.unique(column.drop_null())
        known = [self.of.get(key, value) for key, value in zip(*_texts(values), strict=True)]
        return pa.array(known, pa.string()).take(pc.index_in(column, values))


def join_writings(nodes: pa.Table, rows: np.ndarray) -> tuple[pa.Table, Writings]:
    """`nodes` (type, name, parent, ...), each of so many `rows` [N], in the commonest writing of their types."""
    keys, types = _texts(nodes["type"])
    parent_keys, parents = _texts(nodes["parent"])
    names, name_texts = _texts(nodes["name"])
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    called: dict[str, Counter[str]] = defaultdict(Counter)
    folds: dict[str, set[str]] = defaultdict(set)
    for key, kind, name, text, count in zip(keys, types, names, name_texts, rows.tolist(), strict=True):
        counts[key][kind] += count
        called[key][text] += count
        folds[key].add(name)
    for key, parent in zip(parent_keys, parents, strict=True):
        if parent is not None and key not in folds:
            counts[key][parent] += 1
    alike = {key: count for key, count in counts.items() if len(folds[key]) <= 1}
    joined = sum(map(len, alike.values())) - len(alike)
    writings = Writings({key: _commonest(count) for key, count in alike.items()}, joined)
    if not writings.joined and all(len(called[key]) <= 1 for key in alike):
        return nodes, writings
    texts = [_commonest(called[key]) if key in alike else text for key, text in zip(keys, name_texts, strict=True)]
    columns = {"type": writings.applied(nodes["type"]), "name": pa.array(texts, pa.string())}
    columns["parent"] = writings.applied(nodes["parent"])
    return pa.table(columns | {name: nodes[name] for name in nodes.column_names if name not in TREE}), writings


def _commonest(counts: Counter[str]) -> str:
    return min(counts, key=lambda text: (-counts[text], text))


def _texts(column: pa.ChunkedArray | pa.Array) -> tuple[list[str], list[str]]:
    """The folded texts [N], without what nobody sees in them, and the texts."""
    return pc.replace_substring_regex(folded(column), r"\p{Cf}+", "").to_pylist(), column.to_pylist()
