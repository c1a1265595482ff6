"""Pairs with several judgements → how far annotators agree.

query_item q1 | i4: label 2 by "ann", 1 by "bob", 2 by "eve" → (2, 1) and (1, 2)
"""

import numpy as np
import pyarrow.compute as pc

from relevance.audit import kappa
from relevance.audit.opened import Opened

ANNOTATOR = "annotator"


def judged(found: Opened) -> dict[str, dict]:
    """Agreement by task (and of all) over rows of one task with the same left and right entity.

    They are taken in the order of the column `annotator`, else of the file: the first beside the second, the second
    beside the third, and so on.
    """
    order = _order(found)
    pair = found.keys.pair[order]
    order = order[np.argsort(pair, kind="stable")]
    pair, label = found.keys.pair[order], found.label[order]
    next_to = np.flatnonzero(pair[1:] == pair[:-1])
    told = {}
    for name, rows in found.parts().items():
        at = next_to[rows[order[next_to]]]
        told[name] = kappa.agreement(kappa.couples(pair[at], label[at], label[at + 1]))
    return told


def ordered_by(found: Opened) -> str:
    """What puts the judgements of a pair in order."""
    return f"column {ANNOTATOR}" if ANNOTATOR in found.table.column_names else "rows in the file"


def _order(found: Opened) -> np.ndarray:
    """Places of the rows by annotator, those without one last."""
    if ANNOTATOR not in found.table.column_names:
        return np.arange(len(found.rows))
    by = found.table.select([ANNOTATOR])
    return pc.sort_indices(by, sort_keys=[(ANNOTATOR, "ascending")]).to_numpy()
