"""What a person wants scored, and what a first look at it says.

Job(input=pairs.csv, output=scored.parquet, columns={left: query}, quarantine=False, rows=20,000)
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from relevance.data import faults, pairs
from relevance.data.chunks import LABEL, NEEDED, Chunk, chunks
from relevance.data.scan import Scan, scan
from relevance.data.schema import having
from relevance.data.writers import writable
from relevance.errors import UserError
from relevance.predictions import PROBABILITIES, SCHEMA

ADDED = pa.schema([SCHEMA.field(name) for name in (*PROBABILITIES, "predicted")])
SHOWN = (*NEEDED, LABEL)  # cells of a row that is set aside
SET_ASIDE = "or set on_bad_row=quarantine to leave these rows out of the output and list them beside it"


@dataclass(frozen=True)
class Job:
    """A file to read and one to write."""

    input: Path
    output: Path
    columns: dict[str, str]  # ours: theirs
    quarantine: bool  # bad rows are set aside; else they are an error
    rows: int  # held at a time

    @property
    def aside(self) -> Path:
        """Where bad rows are listed."""
        return self.output.with_name(f"{self.output.name}.quarantine.csv")

    def chunks(self) -> Iterator[Chunk]:
        return chunks(self.input, self.columns, self.rows)

    def bad(self, chunk: Chunk) -> pa.Table:
        """The chunk's rows at fault as they are listed; texts of schema `faults.listing(SHOWN)`."""
        read = chunk.loaded
        cells = having(read.table, SHOWN, len(read.rows)).select(SHOWN)
        return faults.listed(str(self.input), chunk.faults, cells, read.rows)

    def scan(self) -> Scan:
        """The first look; raises UserError for what cannot be scored or written."""
        pairs.ours(self.columns, "columns")
        writable(self.output)
        if self.output.resolve() == self.input.resolve():
            raise UserError(f"output={self.output}: is the input; name another file")
        found = scan(self.chunks())
        taken = [name for name in ADDED.names if name in found.schema.names]
        if taken:
            raise UserError(
                f"{self.input}: column {', '.join(taken)} is the output's own; rename or drop it in the file"
            )
        if found.faults and not (self.quarantine and found.rows):
            remedy = SET_ASIDE if found.rows else faults.NONE_LEFT
            raise faults.error(str(self.input), found.faults, found.counted, remedy)
        if not found.rows:
            raise UserError(f"{self.input}: the file holds no rows")
        return found
