"""A sweep as its record names it → the same with each cell whose files cannot be believed DAMAGED, and why.

test.parquet cut in half → status DAMAGED, reason "…/test.parquet: has 1,024 of the 2,311 bytes that were written; …":
the other cells are reported, and this one is counted among those that failed.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from relevance.cell_id import data_folder
from relevance.data.stored import REMEDY, ROWS, rows_fault
from relevance.errors import UserError
from relevance.predictions import cell_fault
from relevance.report.rows import FINISHED
from relevance.tracking.records import CellRecord, SweepRecord

DAMAGED = "DAMAGED"
AGAIN = "the same sweep trains it again"
READERS = 2  # threads: digests are computed outside Python's lock


def sound(sweep: SweepRecord) -> SweepRecord:
    """The sweep whose FINISHED cells are whole; cells of a table that is not are of no table.

    Raises UserError where no table of pairs is whole.
    """
    tables = {digest: rows_fault(data_folder(sweep.outputs, digest) / ROWS) for digest in sweep.tables}
    if tables and all(tables.values()):
        remedy = f"give outputs=FOLDER of the sweep, or {REMEDY}"
        raise UserError(f"rows {next(iter(tables.values()))}; {remedy}")

    def checked(cell: CellRecord) -> CellRecord:
        table = tables.get(cell.data_digest, "")
        cell = replace(cell, data_digest="" if table else cell.data_digest)
        if cell.status != FINISHED or not (why := table or cell_fault(cell.files)):
            return cell
        return replace(cell, status=DAMAGED, reason=f"{why}; {REMEDY if table else AGAIN}")

    with ThreadPoolExecutor(READERS) as readers:
        return replace(sweep, cells=tuple(readers.map(checked, sweep.cells)))
