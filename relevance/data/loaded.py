"""The rows of a file that could be read, numbered as a person counts them, and those that could not.

Loaded(table=3 rows, rows=[1, 2, 4], faults=[torn row 3])
the bytes 63 61 66 e9 ("café" in Latin-1) in row 3 → Fault("left is not UTF-8", remedy, rows=[3], ...)
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relevance.data.faults import Fault, merge_faults, shorten
from relevance.errors import UserError

BLOCK = 1 << 25  # bytes the csv and jsonl parsers hold at once: the longest possible row
UTF8_REMEDY = "save the file as UTF-8 (iconv -f LATIN1 -t UTF-8 does it for Latin-1)"
UTF8_PATTERN = (  # over bytes: table 3-7 of the Unicode standard
    r"^(?:[\x00-\x7F]|[\xC2-\xDF][\x80-\xBF]|\xE0[\xA0-\xBF][\x80-\xBF]|[\xE1-\xEC\xEE\xEF][\x80-\xBF]{2}"
    r"|\xED[\x80-\x9F][\x80-\xBF]|\xF0[\x90-\xBF][\x80-\xBF]{2}|[\xF1-\xF3][\x80-\xBF]{3}"
    r"|\xF4[\x80-\x8F][\x80-\xBF]{2})*$"
)


@dataclass(frozen=True)
class Loaded:
    """The rows that could be read, and those that could not."""

    table: pa.Table
    rows: np.ndarray  # [N] numbers of the table's rows in the file, ascending
    faults: tuple[Fault, ...] = ()
    counted: str = "rows are counted from 1"


def joined(parts: Sequence[Loaded]) -> Loaded:
    """Consecutive parts of one file as one."""
    table = pa.concat_tables([part.table for part in parts])
    rows = np.concatenate([part.rows for part in parts])
    faults = merge_faults([fault for part in parts for fault in part.faults])
    return replace(parts[-1], table=table, rows=rows, faults=faults)


def unique(path: Path, names: Sequence[str]) -> None:
    """Raise UserError where the file names a column twice."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UserError(f"{path}: column {', '.join(twice)} is given twice; rename or remove one")


def plain_strings(table: pa.Table) -> pa.Table:
    """The same table, dictionaries decoded and every kind of string as Arrow's `string`."""
    return pa.table({name: _plain(table[name]) for name in table.column_names})


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    text = pa.types.is_large_string(column.type) or pa.types.is_string_view(column.type)
    return column.cast(pa.string()) if text else column


def undecodable(table: pa.Table, rows: np.ndarray) -> Iterator[Fault]:
    """A fault for each column with text that is not UTF-8; `rows` [N] are the numbers of the table's rows."""
    for name in table.column_names:
        if not pa.types.is_string(table.schema.field(name).type):
            continue
        try:
            table[name].validate(full=True)
        except pa.ArrowInvalid:  # rare: only now pay for finding which
            raw = table[name].cast(pa.binary())
            at = np.flatnonzero(pc.equal(pc.match_substring_regex(raw, UTF8_PATTERN), False).to_numpy())
            values = [shorten(value) for value in raw.take(pa.array(at)).to_pylist()]
            yield Fault(f"{name} is not UTF-8", UTF8_REMEDY, rows[at], values)
