"""Cells of a tab-separated file that swallowed rows → faults.

3 <tab> "rustic bed / 4 <tab> "king" bed: the quote that row 3 opens is closed in row 4, so that two rows are one
"""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.data.faults import Fault, shorten
from relevance.data.loaded import Loaded

PROBLEM = "a quote opened here closes rows further on"
REMEDY = "close the quote, double one that belongs to the text, or read.*.quotes=false where no quote has a meaning"


def found(loaded: Loaded, delimiter: str) -> Loaded:
    """`loaded`, its rows at fault told and taken away; only tabs tell, for texts hold every other delimiter.

    A quote that closes in the column it was opened in leaves a row of the right length, whose cell holds as many
    delimiters as whole rows have.
    """
    cells = len(loaded.table.column_names) - 1
    bad, values = np.zeros(len(loaded.table), bool), {}
    for column in loaded.table.columns if delimiter == "\t" and cells else ():
        raw = column.cast(pa.binary())
        at = np.flatnonzero(pc.match_substring(raw, b"\n").to_numpy())
        some = raw.take(pa.array(at))
        lines, tabs = (pc.count_substring(some, sign).to_numpy() for sign in (b"\n", b"\t"))
        for row in np.flatnonzero(tabs == lines * cells):
            bad[at[row]] = True
            values[at[row]] = shorten(some[int(row)].as_py().decode(errors="replace"))
    if not bad.any():
        return loaded
    fault = Fault(PROBLEM, REMEDY, loaded.rows[bad], [values[at] for at in np.flatnonzero(bad)])
    kept = {"table": loaded.table.filter(pa.array(~bad)), "rows": loaded.rows[~bad]}
    return replace(loaded, faults=(*loaded.faults, fault), **kept)
