"""Parents → circles, ancestors.

parents=[-1, 0, 0, 1] → ancestors (node, ancestor, steps): (3, 3, 0), (3, 1, 1), (3, 0, 2), ...
"""

import numpy as np
import pyarrow as pa


def in_circle(parents: np.ndarray) -> np.ndarray:
    """[T] bool, whether a type is its own ancestor; `parents` [T] are places, -1 for none."""
    jumps = np.append(parents, -1)  # -1 leads to itself
    for _ in range(max(1, len(parents)).bit_length()):
        jumps = jumps[jumps]  # 2, 4, 8 ... steps up
    circle = np.zeros(len(parents) + 1, bool)
    circle[jumps] = True  # after more steps than there are types, all who still go on are spread over the circles
    return circle[:-1]


def ancestors(parents: np.ndarray, steps: int) -> pa.Table:
    """node, ancestor, steps: each type with itself and its ancestors up to `steps` steps above it."""
    node, above, rows = np.arange(len(parents)), np.arange(len(parents)), []
    for step in range(steps + 1):
        rows.append((node, above, np.full(len(node), step)))
        above = parents[above]
        node, above = node[above >= 0], above[above >= 0]
        if not len(node):
            break
    columns = [np.concatenate(column) for column in zip(*rows, strict=True)]
    return pa.table(columns, ["node", "ancestor", "steps"])
